"""Templates are found by name or file: the user's before the site's before the shipped ones."""

import pytest

from vmnet.errors import VmnetError
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode
from vmnet.nic.templates import available, load

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
