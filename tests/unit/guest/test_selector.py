"""A NIC answers to each of its names, and to nothing that two of them share."""

from __future__ import annotations

import pytest

from vmnet.errors import VmnetError
from vmnet.guest.kinds import State
from vmnet.guest.model import Document, Domain
from vmnet.guest.selector import select


def interface(number: int, mac: str = "") -> str:
    return (
        f"<interface type='bridge'><mac address='{mac or f'52:54:00:00:00:0{number}'}'/><source bridge='br0'/>"
        f"<target dev='vnet{number}'/><alias name='ua-{number}'/>"
        f"<address type='pci' domain='0x0000' bus='0x0{number}' slot='0x00' function='0x0'/></interface>"
    )


def domain(*nics: str) -> Domain:
    live = Document.parse(f"<domain><devices>{''.join(nics)}</devices></domain>")
    return Domain("web", "uuid", State.RUNNING, live, None)


NAMES = ["52:54:00:00:00:02", "52:54:00:00:00:02".upper(), "ua-2", "vnet2", "0000:02:00.0", "02:00.0", "2"]


@pytest.mark.parametrize("name", NAMES)
def test_a_nic_answers_to_each_of_its_names(name):
    assert select(domain(interface(1), interface(2)), name).mac == "52:54:00:00:00:02"


@pytest.mark.parametrize("name", ["", "0", "3", "vnet", "br0", "52:54", "02:00", "none", "-1", "\x1b[31m"])
def test_a_name_that_no_nic_has_is_told_with_those_there_are(name):
    with pytest.raises(VmnetError) as told:
        select(domain(interface(1), interface(2)), name)
    assert told.value.code == "nic-unknown"
    assert "1: NIC 52:54:00:00:00:01" in told.value.why
    assert "2: NIC 52:54:00:00:00:02" in told.value.why


def test_a_domain_without_nics_says_so():
    with pytest.raises(VmnetError) as told:
        select(domain(), "1")
    assert told.value.why == "it has none"


def test_a_name_that_two_nics_share_is_refused_and_both_are_named():
    shared = "52:54:00:00:00:09"
    with pytest.raises(VmnetError) as told:
        select(domain(interface(1, shared), interface(2, shared)), shared)
    assert told.value.code == "nic-ambiguous"
    assert told.value.why.count(shared) == 2
