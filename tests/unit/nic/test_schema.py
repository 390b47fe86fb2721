"""libvirt's own schema judges what vmnet makes, and names the part that is wrong."""

from pathlib import Path

import pytest

from vmnet.nic.model import Nic
from vmnet.nic.schema import check

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.xml"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_everything_vmnet_generates_is_valid(path):
    assert check(Nic.parse(path.read_text())) == []


@pytest.mark.parametrize(
    ("text", "culprits"),
    [
        ("<source dev='e' mode='brid'/><model type='virtio'/>", ["mode='brid' in <source>"]),
        ("<source dev='e'/><mtu size='99999'/>", ['<mtu size="99999"/>']),
        ("<source dev='e'/><model type='virtio'/><foo/>", ["<foo/>"]),
        ("<source dev='e'/><n:foo xmlns:n='urn:x'/>", ['<n:foo xmlns:n="urn:x"/>']),
        (
            "<source dev='e'/><link state='up' x='&#27;[31m'/>".replace("&#27;", "&#x202e;"),
            [r"x='\u202e[31m' in <link>"],
        ),
        ("<source dev='e'/><driver><host csum='maybe' gso='on'/></driver>", ["csum='maybe' in <host>"]),
        ("<source dev='e'/><mac address='zz'/><model type='a' y='1'/>", ['<mac address="zz"/>', "y='1' in <model>"]),
        ("<source dev='e' bad='1'/><foo/>", ["bad='1' in <source>", "<foo/>"]),
        ("<source dev='e'/><driver queues='x' odd='1'/>", ["queues='x' in <driver>", "odd='1' in <driver>"]),
        ("<source dev='e' odd='1' mode='brid'/>", ["odd='1' in <source>", "mode='brid' in <source>"]),
        ("<source mode='bridge'/>", ["type 'direct' with <source mode=\"bridge\"/>"]),
        ("", ["type 'direct' with no <source>"]),
        ("<source dev='e'/><mtu size='1'/><mtu size='1'/>", ["this <interface>"]),
    ],
)
def test_what_is_invalid_is_named(text, culprits):
    findings = check(Nic.parse(f"<interface type='direct'>{text}</interface>"))
    assert [f.what.removeprefix("libvirt's schema does not allow ") for f in findings] == culprits
    assert all(f.code == "N001" and f.is_error and f.why for f in findings)


def test_without_a_schema_the_check_is_skipped_with_a_note(tmp_path):
    [finding] = check(Nic.parse("<interface/>"), [tmp_path])
    assert (finding.code, finding.is_error) == ("N002", False)
