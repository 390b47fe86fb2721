"""A domain's two documents as one: which NIC is which, and where another one fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmnet.errors import VmnetError
from vmnet.guest.kinds import State, Target
from vmnet.guest.model import Document, Domain
from vmnet.nic.model import Nic

MACS = [f"52:54:00:00:00:{n:02x}" for n in range(4)]
Q35 = "".join(
    f"<controller type='pci' index='{n}' model='{'pcie-root' if n == 0 else 'pcie-root-port'}'/>" for n in range(4)
)
I440FX = "<controller type='pci' index='0' model='pci-root'/>"


def nic(mac: str, bus: int | None = None, slot: int = 0) -> str:
    place = "" if bus is None else f"<address type='pci' domain='0' bus='{bus}' slot='{slot}' function='0'/>"
    return f"<interface type='bridge'><mac address='{mac}'/><source bridge='br0'/>{place}</interface>"


def document(*devices: str) -> Document:
    return Document.parse(f"<domain><devices>{''.join(devices)}</devices></domain>")


def domain(live: Document | None, config: Document | None) -> Domain:
    return Domain("web", "uuid", State.RUNNING if live else State.SHUTOFF, live, config)


PAIRS = [
    # live NICs, config NICs, the pairs as (in live, in config)
    ([], [], []),
    ([nic(MACS[0], 1)], [nic(MACS[0], 1)], [(True, True)]),
    ([nic(MACS[0], 1)], [], [(True, False)]),
    ([], [nic(MACS[0], 1)], [(False, True)]),
    ([nic(MACS[0], 1)], [nic(MACS[1], 1)], [(False, True), (True, False)]),
    ([nic(MACS[0], 1)], [nic(MACS[0])], [(True, True)]),  # the definition leaves the place open
    ([nic(MACS[0], 1)], [nic(MACS[0], 2)], [(False, True), (True, False)]),
    ([nic(MACS[0], 1), nic(MACS[0], 2)], [nic(MACS[0], 2), nic(MACS[0], 1)], [(True, True), (True, True)]),
]


@pytest.mark.parametrize(("live", "config", "pairs"), PAIRS)
def test_a_nic_in_both_documents_is_one_nic(live, config, pairs):
    found = domain(document(*live), document(*config)).nics
    assert [(pair.live is not None, pair.config is not None) for pair in found] == pairs


def test_nics_of_one_mac_are_told_apart_by_their_place():
    live, config = [nic(MACS[0], 1), nic(MACS[0], 2)], [nic(MACS[0], 2), nic(MACS[0], 1)]
    for pair in domain(document(*live), document(*config)).nics:
        assert pair.live.address == pair.config.address


@given(st.lists(st.sampled_from(MACS)), st.lists(st.sampled_from(MACS)))
def test_no_nic_of_either_document_is_lost_or_told_twice(live, config):
    found = domain(document(*map(nic, live)), document(*map(nic, config))).nics
    assert sorted(p.live.mac for p in found if p.live) == sorted(live)
    assert [p.config.mac for p in found if p.config] == config


def test_a_nic_keeps_its_number_when_it_is_plugged_in_again():
    one, two, three = (nic(mac, bus) for bus, mac in enumerate(MACS[:3], 1))
    before = domain(document(one, two), document(one, two))
    after = domain(document(two, three, one), document(one, two))
    assert [pair.mac for pair in before.nics] == MACS[:2]
    assert [pair.mac for pair in after.nics] == MACS[:3]


def test_a_transient_guests_nics_are_in_its_own_order():
    passing = domain(document(nic(MACS[1]), nic(MACS[0])), None)
    assert [pair.mac for pair in passing.nics] == [MACS[1], MACS[0]]


PLACES = [
    # machine, devices of the live document, of the definition, the free place
    (Q35, [], [], "0000:01:00.0"),
    (Q35, [nic(MACS[0], 1)], [], "0000:02:00.0"),
    (Q35, [nic(MACS[0], 1)], [nic(MACS[1], 2)], "0000:03:00.0"),
    (Q35, [nic(MACS[0], 1), nic(MACS[1], 2)], [nic(MACS[2], 3)], None),
    (I440FX, [], [], "0000:00:03.0"),
    (I440FX, [nic(MACS[0], 0, 3)], [nic(MACS[1], 0, 4)], "0000:00:05.0"),
    ("<controller type='pci' index='0' model='pcie-root'/>", [], [], None),
    ("", [], [], None),
]


@pytest.mark.parametrize(("machine", "live", "config", "free"), PLACES)
def test_a_free_place_is_free_in_both_documents(machine, live, config, free):
    both = domain(document(machine, *live), document(machine, *config))
    assert both.free_address([Target.LIVE, Target.CONFIG]) == free


def test_a_place_that_only_the_other_document_has_taken_is_free():
    both = domain(document(Q35, nic(MACS[0], 1)), document(Q35))
    assert both.free_address([Target.CONFIG]) == "0000:01:00.0"
    assert both.free_address([Target.LIVE]) == "0000:02:00.0"


ROOT_OFF = "<controller type='pci' index='1' model='pcie-root-port'><target hotplug='off'/></controller>"
SHARING = nic(MACS[1], 1).replace("function=", "multifunction='on' function=")
WISHES = [
    # machine, devices, bus and slot of the wish, why the running guest and a definition cannot have it there
    (Q35, [], (1, 0), "", ""),
    (Q35, [nic(MACS[1], 1)], (1, 0), "another device has it", "another device has it"),
    (Q35, [SHARING], (1, 0), "another device has it", "another device has it"),
    (Q35, [], (9, 0), "the running guest has no PCI controller 9", ""),
    (Q35, [], (0, 3), "PCI controller 0 (pcie-root) of the running guest takes no device there", ""),
    (Q35, [], (1, 1), "PCI controller 1 (pcie-root-port) of the running guest takes no device there", ""),
    (ROOT_OFF, [], (1, 0), "PCI controller 1 (pcie-root-port) of the running guest takes no device there", ""),
    (I440FX, [], (0, 2), "", ""),
    (I440FX, [nic(MACS[1], 0, 3)], (0, 3), "another device has it", "another device has it"),
]


@pytest.mark.parametrize(("machine", "devices", "place", "running", "defined"), WISHES)
def test_an_address_that_was_asked_for_is_refused_where_it_cannot_be(machine, devices, place, running, defined):
    there, wish = document(machine, *devices), Nic.parse(nic(MACS[0], *place))
    assert (there.cannot_place(wish, running=True), there.cannot_place(wish, running=False)) == (running, defined)


def test_a_slot_is_shared_by_functions():
    wish = Nic.parse(nic(MACS[0], 1).replace("function='0'", "function='1'"))
    assert document(Q35, SHARING).cannot_place(wish, running=True) == ""


@pytest.mark.parametrize(("state", "has"), [("connected", True), ("disconnected", False), (None, False)])
def test_an_agent_is_there_when_it_is_connected(state, has):
    told = f" state='{state}'" if state else ""
    channel = f"<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'{told}/></channel>"
    assert document(channel).has_agent is has


@pytest.mark.parametrize("text", ["", "<domain>", "<!DOCTYPE domain [<!ENTITY a 'b'>]><domain>&a;</domain>"])
def test_a_document_that_is_none_is_refused(text):
    with pytest.raises(VmnetError) as told:
        Document.parse(text)
    assert told.value.code == "xml-invalid"
