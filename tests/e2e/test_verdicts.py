"""What the vocabulary says it takes to change a field of a running guest is what libvirt does; vmnet says it before."""

from __future__ import annotations

from collections.abc import Mapping

import libvirt
import pytest
from lxml import etree

from tests.e2e.test_live_fields import BY_REPLUG, INSTALLED, LIMITS, ROWS
from tests.e2e.test_vocabulary import CASES, S390
from tests.e2e.world import CONSOLES, UPLINK, Guest, changed, documents, hypervisor, tool, unchanged_world
from vmnet.errors import Refused, VmnetError
from vmnet.guest.connection import Connection
from vmnet.guest.editing import Update, field_changes
from vmnet.guest.kinds import Scope, Target
from vmnet.guest.networks import to_update
from vmnet.guest.observe import observe
from vmnet.guest.updating import update
from vmnet.nic.field import Live
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.operations.change import Run
from vmnet.operations.choice import Choice
from vmnet.operations.edit import edit

HEAVY = [name for name, field in Nic.FIELDS.items() if field.live(INSTALLED) is not Live.LIVE and name not in S390]
"""Fields that a running guest does not get, on this libvirt; and which a domain here can have."""
ATTACHMENTS = {
    ("--direct", UPLINK): ["mode"],
    ("--network", "lab", "--set", "portgroup=sales"): ["portgroup"],
    ("--bridge", "br0"): [name for name in HEAVY if name not in ("mode", "portgroup")],
}
"""How a NIC is attached, and the fields that are wished to change then."""
WISHES: dict[str, Mapping[str, str]] = {
    "direct": {"direct": UPLINK},
    "mode": {"mode": "passthrough"},
    "model": {"model": "e1000e"},
    "portgroup": {"portgroup": "dev"},
    "address": {"address": "0000:05:00.0"},
    "mac_type": {"mac_type": "static"},
    "mac_check": {"mac_check": "no"},
    "native": {"trunk": "10,20", "native": "10"},
    "multifunction": {"multifunction": "on"},
}
"""What is wished where that is not the field's value in the cases of test_vocabulary."""


def wish_for(field: str) -> Mapping[str, str]:
    case = next(case for case in reversed(CASES.values()) if field in case)
    together = [name for name in case if name.startswith("virtualport") and field.startswith("virtualport")]
    return WISHES.get(field, {name: case[name] for name in [*together, field]})


@pytest.fixture
def network(br0: str) -> None:
    """A libvirt network on br0, with port groups."""
    file = CONSOLES / "network.xml"
    file.write_text(
        "<network><name>lab</name><forward mode='bridge'/><bridge name='br0'/>"
        "<portgroup name='sales'/><portgroup name='dev'/></network>"
    )
    tool("virsh", "net-define", str(file))
    tool("virsh", "net-start", "lab")


def test_heavy_and_light_are_all_fields() -> None:
    assert {*HEAVY, *ROWS, *LIMITS, *S390, *BY_REPLUG} == set(Nic.FIELDS)


@pytest.mark.parametrize("attachment", ATTACHMENTS, ids=lambda attachment: attachment[0])
def test_what_libvirt_does_not_change_live_vmnet_refuses_before_it_is_asked(
    attachment: tuple[str, ...], guest1: Guest, network: None
) -> None:
    fields = {name: Nic.FIELDS[name].live(INSTALLED) for name in ATTACHMENTS[attachment]}
    if attachment[0] == "--direct":
        tool("ip", "link", "set", UPLINK, "nomaster")
    nic = changed("attach", guest1.name, *attachment)["nics"][0]
    before = documents(guest1)

    with hypervisor() as connection:
        domain = connection.lookupByName(guest1.name)
        assert {name: libvirt_does(domain, guest1, wish_for(name)) for name in fields} == fields
    assert documents(guest1) == before

    with Connection("qemu:///system") as connection, unchanged_world():
        for name, verdict in fields.items():
            with pytest.raises(Refused) as told:
                edit(connection, Choice([guest1.name]), nic["mac"], wish_for(name), scope=Scope.LIVE, run=Run())
            code = "G312" if verdict is Live.NEXT_BOOT else "G311"
            assert code in [finding.code for finding in told.value.findings], name
            assert "libvirt says" not in str(told.value.document()), name


def test_a_libvirt_that_says_yes_and_does_nothing_is_caught_by_reading_back(guest1: Guest, br0: str) -> None:
    """The steps are made by hand: vmnet knows which fields those are."""
    changed("attach", guest1.name, "--bridge", br0)
    ignored = [name for name in ATTACHMENTS["--bridge", br0] if Nic.FIELDS[name].live(INSTALLED) is Live.IGNORED]
    with Connection("qemu:///system") as connection, unchanged_world():
        handle = connection.domain(guest1.name)
        domain = observe(handle)
        [now] = domain.live.nics
        for name in ignored:
            wished = rewrite(now, wish_for(name))
            with pytest.raises(VmnetError) as told:
                update(handle, Update(domain.name, domain.uuid, wished, Target.LIVE, now, field_changes(now, wished)))
            assert told.value.code == "nic-readback", name
            assert name in told.value.why
    assert ignored


def libvirt_does(domain: libvirt.virDomain, guest: Guest, wish: Mapping[str, str]) -> Live:
    """What libvirt does when it is asked, without vmnet, to change fields of the one NIC of a running guest."""
    [now] = guest.running
    wished = rewrite(to_update(Nic(now.element)), wish)
    try:
        domain.updateDeviceFlags(wished.xml(), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError as error:
        return Live.NEXT_BOOT if "boot" in str(error) else Live.REPLUG
    [then] = guest.running
    return Live.IGNORED if etree.tostring(then.element) == etree.tostring(now.element) else Live.LIVE
