"""libvirt really does what the rules claim of it; where a newer one has mended it, a test here fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import libvirt
import pytest
from lxml import etree

from tests.e2e.claims import CLAIMS, DOMAIN_CLAIMS, MAC, TWINS, Claim, Does, DomainClaim
from tests.e2e.world import CONSOLES, Guest, hypervisor, ip, links, tool, until
from vmnet.nic.rules import DOMAIN_RULES, RULES
from vmnet.nic.version import Version

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


@pytest.fixture(autouse=True)
def plain_bridge(lab: None) -> None:
    """br0 without a port: the uplink stays free for macvtaps."""
    ip("link add br0 type bridge stp_state 0 forward_delay 0")
    ip("link set br0 up")


def ids(claims):
    counts: dict[str, int] = {}
    for claim in claims:
        counts[claim.code] = counts.get(claim.code, 0) + 1
        yield f"{claim.code}-{counts[claim.code]}"


HELD = [claim for claim in CLAIMS if claim.does is not Does.DIFFERS]


@pytest.mark.parametrize("claim", HELD, ids=ids(HELD))
def test_libvirt_does_with_a_nic_what_the_rule_claims(claim: Claim, guest1: Guest) -> None:
    with hypervisor() as connection:
        installed = Version.of_number(connection.getLibVersion())
        [rule] = [rule for rule in RULES if rule.code == claim.code]
        assert rule.holds_on(installed), f"{claim.code} is not about libvirt {installed}: mark its claims as differing"
        domain = connection.lookupByName(guest1.name)
        if claim.does is Does.REFUSES_DEFINE:
            for act in (lambda: defined(connection, [claim.xml]), lambda: domain.attachDeviceFlags(claim.xml, LIVE)):
                with refused(claim.shows):
                    act()
            return
        [found] = defined(connection, [claim.xml])
        if claim.does is Does.REFUSES_ATTACH:
            with refused(claim.shows):
                domain.attachDeviceFlags(claim.xml, LIVE)
            assert not guest1.running
            return
        domain.attachDeviceFlags(claim.xml, LIVE)
        [running] = guest1.running
        assert found.xpath(claim.shows) and running.element.xpath(claim.shows)
        if claim.seen:
            name, value = claim.seen
            assert device(guest1, running.alias, name).startswith(value)


def test_a_macvtap_in_passthrough_gives_its_uplink_the_guests_mac(guest1: Guest) -> None:
    [claim] = [claim for claim in CLAIMS if claim.code == "N106"]
    with hypervisor() as connection:
        connection.lookupByName(guest1.name).attachDeviceFlags(claim.xml, LIVE)
    assert links()["up0"]["address"] == MAC


@pytest.mark.parametrize("claim", DOMAIN_CLAIMS, ids=ids(DOMAIN_CLAIMS))
def test_libvirt_does_with_a_domain_what_the_rule_claims(claim: DomainClaim) -> None:
    with hypervisor() as connection:
        installed = Version.of_number(connection.getLibVersion())
        [rule] = [rule for rule in DOMAIN_RULES if rule.code == claim.code]
        assert rule.holds_on(installed)
        if claim.starts:
            assert len(defined(connection, claim.xmls, boot=claim.boot)) == len(claim.nics)
        with refused(claim.shows):
            defined(connection, claim.xmls, boot=claim.boot, start=claim.starts)


def test_libvirt_takes_two_nics_of_one_mac_and_then_finds_neither_by_it(guest1: Guest) -> None:
    with hypervisor() as connection:
        domain = connection.lookupByName(guest1.name)
        for nic in TWINS:
            domain.attachDeviceFlags(f"<interface {nic}</interface>", LIVE)
        with refused("multiple devices matching MAC address"):
            domain.detachDeviceFlags(f"<interface {TWINS[0]}</interface>", LIVE)


@contextmanager
def refused(words: str) -> Iterator[None]:
    """libvirt refuses what is done in the block, and says so."""
    with pytest.raises(libvirt.libvirtError) as caught:
        yield
    assert words in str(caught.value)


def defined(
    connection: libvirt.virConnect, nics: list[str], *, boot: bool = False, start: bool = False
) -> list[etree._Element]:
    """Define a domain like guest1 with these NICs, for a moment; its NICs as libvirt keeps them."""
    root = etree.fromstring(connection.lookupByName("guest1").XMLDesc(INACTIVE))
    root.remove(root.find("uuid"))
    root.find("name").text = "claimed"
    for element in root.findall("os/boot"):
        element.getparent().remove(element)
    if boot:
        etree.SubElement(root.find("os"), "boot", dev="hd")
    root.find("devices").extend(etree.fromstring(nic) for nic in nics)
    for number, source in enumerate(root.iterfind("devices/*/source[@path]")):
        source.set("path", str(CONSOLES / f"claimed{number // 2}.console"))  # a serial port's and its console's are one
    domain = connection.defineXML(etree.tostring(root, encoding="unicode"))
    try:
        if start:
            domain.create()
            domain.destroy()
        return etree.fromstring(domain.XMLDesc(INACTIVE)).findall("devices/interface")
    finally:
        domain.undefine()


def device(guest: Guest, alias: str, name: str) -> str:
    """A property of a device of QEMU's."""
    asked = {"execute": "qom-get", "arguments": {"path": f"/machine/peripheral/{alias}", "property": name}}
    said = until(lambda: tool("virsh", "qemu-monitor-command", guest.name, json.dumps(asked)), "QEMU answers")
    return str(json.loads(said)["return"])
