"""Templates are found by name or file: the user's before the site's before the shipped ones."""

import pytest

from vmnet.errors import VmnetError
from vmnet.nic import rules, schema
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode
from vmnet.nic.generator import generate
from vmnet.nic.templates import available, described, load

NOBODY = {"XDG_CONFIG_HOME": "/dev/null"}
"""The environment of somebody without templates of their own."""


@pytest.fixture
def home(tmp_path):
    """A user's configuration directory with room for templates."""
    (tmp_path / "vmnet/templates").mkdir(parents=True)
    return tmp_path


def put(home, name, text):
    (home / "vmnet/templates" / f"{name}.xml").write_text(text)
    return {"XDG_CONFIG_HOME": str(home)}


def test_the_shipped_templates_are_virtio_and_leave_the_attachment_open():
    assert load("direct", NOBODY).attachment == Direct("", MacvtapMode.BRIDGE)
    assert load("bridge", NOBODY).attachment == Bridge("")
    assert load("direct", NOBODY).model == load("bridge", NOBODY).model == "virtio"


def test_a_users_template_takes_the_place_of_a_shipped_one(home):
    env = put(home, "direct", "<interface type='direct'><source dev='lan7' mode='vepa'/></interface>")
    assert load("direct", env).direct == "lan7"
    assert load("bridge", env).attachment == Bridge("")


def test_without_xdg_config_home_the_users_templates_are_below_config(home):
    (home / ".config/vmnet/templates").mkdir(parents=True)
    (home / ".config/vmnet/templates/mine.xml").write_text("<interface type='user'/>")
    assert "mine" in available({"HOME": str(home)})


def test_a_name_with_a_slash_is_a_file(home, monkeypatch):
    put(home, "own", "<interface type='bridge'><source bridge='br7'/></interface>")
    monkeypatch.chdir(home / "vmnet/templates")
    assert load("./own.xml", NOBODY).bridge == "br7"


def test_an_unknown_name_is_refused_with_the_ones_there_are(home):
    for name in ("no-such", "..", "", "direct\n", "\x1b[31m"):
        with pytest.raises(VmnetError) as caught:
            load(name, put(home, "mine", "<interface/>"))
        assert caught.value.code == "template-unknown"
        assert caught.value.what.isprintable()
        assert all(known in caught.value.remedy for known in ("bridge", "direct", "mine"))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<domain/>", "template-invalid"),
        (b"<interface", "template-invalid"),
        (b"<!DOCTYPE i><interface/>", "template-invalid"),
        (b"<interface>" + b" " * (1 << 20) + b"</interface>", "template-invalid"),
        (b"<!DOCTYPE i [<!ENTITY a 'bb'>]><interface type='&a;'/>", "template-invalid"),
        (b"<interface type='vhostuser'><source type='unix' path='/x' mode='client'/></interface>", "template-invalid"),
        (b"<interface type='hostdev'/>", "template-invalid"),
        (b"<interface/>", "template-invalid"),
        (None, "template-unreadable"),
    ],
)
def test_a_file_that_is_no_template_is_refused(home, content, code):
    path = home / "t.xml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VmnetError) as caught:
        load(str(path), {})
    assert caught.value.code == code
    assert caught.value.why


def test_a_name_with_a_null_byte_is_an_error_of_ours():
    with pytest.raises(VmnetError):
        load("/tmp/\0", NOBODY)


@pytest.mark.parametrize(
    "inside",
    [
        "<script path='/bin/true'/>",
        "<downscript path='/bin/true'/>",
        "<backend tap='/dev/net/tun'/>",
        "<backend vhost='/dev/vhost-net'/>",
        "<backend type='passt' logFile='/etc/passwd'/>",
        "<backenddomain name='x'/>",
        "<rom file='/etc/shadow'/>",
        "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-x'/></q:commandline>",
        "<driver><x xmlns='urn:x'/></driver>",
        "<model type='virtio' xmlns:q='urn:q' q:x='1'/>",
    ],
)
def test_a_template_that_would_act_on_the_host_is_refused_and_the_part_is_named(home, inside):
    path = home / "t.xml"
    path.write_text(f"<interface type='bridge'><source bridge='b'/>{inside}</interface>")
    with pytest.raises(VmnetError) as caught:
        load(str(path), {})
    error = caught.value
    assert error.code == "template-unsafe"
    assert error.why and error.remedy
    assert any(part in error.what for part in ("script", "backend", "<rom>", "{"))


def test_every_shipped_template_says_what_it_is_for_and_is_valid():
    for template in described(NOBODY):
        assert template.usable and template.purpose
        nic = load(template.name, NOBODY)
        kind = template.name.partition("-")[0]
        made = generate(nic, {kind: "x0"})
        assert made.get(kind) == "x0"
        assert not any(f.is_error for f in (*schema.check(made), *rules.check(made)))


def test_a_template_of_ones_own_is_listed_with_its_comment_and_a_bad_one_with_the_reason(home):
    env = put(home, "direct", "<!-- Ours:\n  on the lab's LAN -->\n<interface type='direct'/>")
    put(home, "bad", "<interface type='bridge'><script path='/x'/></interface>")
    put(home, "silent", "<interface type='bridge'/>")
    listed = {template.name: template for template in described(env)}
    assert listed["direct"].purpose == "Ours: on the lab's LAN"
    assert listed["direct"].path == home / "vmnet/templates/direct.xml"
    assert not listed["bad"].usable and "root" in listed["bad"].purpose
    assert listed["silent"].usable and listed["silent"].purpose == ""
    assert listed["bridge"].purpose
