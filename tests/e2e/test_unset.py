"""A definition gets a field and loses it again, whichever field it is, and is what it was, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from lxml import etree

from tests.e2e.test_vocabulary import CASES, S390
from tests.e2e.world import CONSOLES, UPLINK, Guest, define, make_bridge, tool
from vmnet.guest.connection import Connection
from vmnet.nic.model import Nic
from vmnet.operations.change import Run
from vmnet.operations.choice import Choice
from vmnet.operations.edit import edit

NIC = """<interface type='{kind}'><source {source}/><mac address='52:54:00:00:00:77'/><model type='virtio'/>
<address type='pci' domain='0' bus='3' slot='0' function='0'/></interface>"""
BASES = {
    "bridge": NIC.format(kind="bridge", source="bridge='br0'"),
    "openvswitch": NIC.format(kind="bridge", source="bridge='br0'"),
    "direct": NIC.format(kind="direct", source=f"dev='{UPLINK}' mode='bridge'"),
    "802.1Qbg": NIC.format(kind="direct", source=f"dev='{UPLINK}' mode='vepa'"),
    "network": NIC.format(kind="network", source="network='lab'"),
}
"""The NIC to begin with, for the cases of test_vocabulary."""
ATTACHED = {"bridge": "br1", "direct": UPLINK, "network": "n"}
"""Another attachment; from each the way back is to the first one."""
REFUSED = {"vlan", "trunk", "native"}
"""What no NIC can have here: a rule speaks against it (N108, libvirt before 11.0), and test_verdicts hears it."""


def test_every_field_is_set_and_unset() -> None:
    assert {field for case in BASES for field in CASES[case]} | REFUSED | S390 | set(ATTACHED) == set(Nic.FIELDS)


@pytest.fixture
def clean_traffic() -> None:
    """The filter of the cases, without which no NIC that has it is defined."""
    file = CONSOLES / "filter.xml"
    file.write_text("<filter name='clean-traffic'/>")
    tool("virsh", "nwfilter-define", str(file))


@pytest.fixture
def networks() -> None:
    """The libvirt networks of the cases, which vmnet asks for before a NIC is to be on one."""
    for name in ("n", "lab"):
        file = CONSOLES / "network.xml"
        file.write_text(f"<network><name>{name}</name><forward mode='bridge'/><bridge name='br0'/></network>")
        tool("virsh", "net-define", str(file))


@pytest.mark.parametrize("case", BASES)
def test_a_field_that_is_set_and_unset_leaves_the_definition_as_it_was(case, clean_traffic, networks):
    make_bridge("br0", uplink=None)
    make_bridge("br1", uplink=None)
    off = without_boot_order(define("off", extra=[BASES[case]]))
    before = definition(off)
    with Connection("qemu:///system") as connection:
        for wish, back in changes(case):
            edit(connection, Choice([off.name]), "2", wish, run=Run())
            changed = definition(off)
            edit(connection, Choice([off.name]), "2", back, run=Run())
            assert definition(off) == before, wish
            assert changed != before, wish


def changes(case: str) -> Iterator[tuple[Mapping[str, str], Mapping[str, str | None]]]:
    """Each field of a case: what is wished, and what is wished to have it as it was."""
    nic = Nic.parse(BASES[case])
    [attachment] = [name for name in ATTACHED if nic.get(name)]
    for name, value in ATTACHED.items():
        if nic.get(name) != value and case in ATTACHED:
            yield {name: value}, {attachment: nic.get(attachment), **({"mode": "bridge"} if nic.mode else {})}
    for field, value in CASES[case].items():
        if field in ATTACHED or field in REFUSED or nic.get(field) == value:
            continue
        wish = {field: value}
        if field.startswith("virtualport"):  # half of one is refused
            wish = {name: text for name, text in CASES[case].items() if name.startswith("virtualport")}
        elif Nic.FIELDS[field].needs in CASES[case] and Nic.FIELDS[field].needs not in ("mac", *ATTACHED):
            wish = {Nic.FIELDS[field].needs: CASES[case][Nic.FIELDS[field].needs], **wish}
        yield wish, {name: nic.get(name) for name in reversed(wish)}


def definition(guest: Guest) -> str:
    return tool("virsh", "dumpxml", guest.name, "--inactive")


def without_boot_order(guest: Guest) -> Guest:
    """The guest with its boot order left to its devices, of which one must have it: libvirt takes a NIC's only so."""
    root = etree.fromstring(definition(guest))
    for boot in root.findall("os/boot"):
        boot.getparent().remove(boot)
    other = "<interface type='bridge'><source bridge='br0'/><boot order='9'/>"
    other += "<model type='virtio'/><address type='pci' domain='0' bus='4' slot='0' function='0'/></interface>"
    root.find("devices/interface").addprevious(etree.fromstring(other))
    file = CONSOLES / "domain.xml"
    file.write_bytes(etree.tostring(root))
    tool("virsh", "define", str(file))
    return guest
