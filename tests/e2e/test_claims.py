"""libvirt really does what the rules claim of it; where a newer one has mended it, a test here fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libvirt
import pytest
from lxml import etree

from tests.e2e.claims import (
    BRIDGE,
    CLAIMS,
    DIRECT,
    DOMAIN_CLAIMS,
    DOWN,
    INTEL,
    MAC,
    ON_DIRECT,
    TWINS,
    Claim,
    Does,
    DomainClaim,
    trusting,
)
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


IDLE = [claim for claim in CLAIMS if claim.idle]


@pytest.mark.parametrize("claim", IDLE, ids=ids(IDLE))
def test_what_does_nothing_changes_neither_qemus_arguments_nor_the_kernels_link(claim: Claim) -> None:
    without = etree.fromstring(claim.xml)
    if without.attrib.pop(claim.idle, None) is None:
        without.remove(without.find(claim.idle))
    with hypervisor() as connection:
        plain = started(connection, etree.tostring(without, encoding="unicode"))
        assert started(connection, claim.xml) == plain


def test_what_does_something_is_seen_in_qemus_arguments_or_in_the_kernels_link() -> None:
    """Or the test above would hold of anything."""
    nic = f"<interface {BRIDGE}<mac address='{MAC}'/>%s</interface>"
    with hypervisor() as connection:
        [plain, queues, mtu] = [
            started(connection, nic % inside) for inside in ("", "<driver queues='2'/>", "<mtu size='1400'/>")
        ]
    assert plain[0] != queues[0]
    assert plain[1] != mtu[1]


LONE = [claim for claim in CLAIMS if claim.code == "N127"]


@pytest.mark.parametrize("claim", LONE, ids=ids(LONE))
def test_a_virtualport_of_a_macvtaps_kind_leaves_the_tap_on_no_bridge(claim: Claim) -> None:
    with hypervisor() as connection:
        _, link = started(connection, claim.xml)
    assert link["linkinfo"]["info_data"]["type"] == "tap"
    assert "master" not in link


def test_libvirt_never_runs_a_downscript() -> None:
    [claim] = [claim for claim in CLAIMS if claim.idle == "downscript"]
    script, ran = Path(DOWN), Path(DOWN + ".ran")
    script.write_text(f"#!/bin/sh\n: >{ran}\n")
    script.chmod(0o755)
    with hypervisor() as connection:
        started(connection, claim.xml)
    assert not ran.exists()


def test_a_guest_sets_the_mac_of_a_macvtap_that_trusts_it_and_of_no_other_link(guest1: Guest) -> None:
    kinds = {"trusting": trusting(DIRECT), "plain": DIRECT, "bridge": trusting(BRIDGE)}
    macs = {kind: f"52:54:00:c1:a1:1{n}" for n, kind in enumerate(kinds)}
    with hypervisor() as connection:
        domain = connection.lookupByName(guest1.name)
        for kind, nic in kinds.items():
            domain.attachDeviceFlags(f"<interface {nic}<mac address='{macs[kind]}'/></interface>", LIVE)
    targets = {nic.mac: nic.target for nic in guest1.running}
    before = {kind: links()[targets[macs[kind]]]["address"] for kind in kinds}
    for kind in ("plain", "bridge", "trusting"):  # libvirt hears of them in this order
        guest1.sees(macs[kind])
        name = re.findall(rf"lab: nic\+ (\w+) {macs[kind]}", guest1.console)[-1]
        assert guest1.execute("/bin/ip", "link", "set", name, "address", moved(macs[kind]))[0] == 0
    until(lambda: links()[targets[macs["trusting"]]]["address"] == moved(macs["trusting"]), "the macvtap follows")
    assert {kind: links()[targets[macs[kind]]]["address"] for kind in ("plain", "bridge")} == {
        kind: before[kind] for kind in ("plain", "bridge")
    }


def test_another_model_than_virtio_tells_no_filters(guest1: Guest) -> None:
    with hypervisor() as connection:
        connection.lookupByName(guest1.name).attachDeviceFlags(
            f"<interface {trusting(ON_DIRECT + INTEL)}</interface>", LIVE
        )
    asked = {"execute": "query-rx-filter", "arguments": {"name": guest1.running[0].alias}}
    said = json.loads(tool("virsh", "qemu-monitor-command", guest1.name, json.dumps(asked)))
    assert "doesn't support rx-filter querying" in said["error"]["desc"]


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
    with claimed(connection, nics, boot=boot) as domain:
        if start:
            domain.create()
            domain.destroy()
        return etree.fromstring(domain.XMLDesc(INACTIVE)).findall("devices/interface")


def started(connection: libvirt.virConnect, nic: str) -> tuple[list[str], dict[str, Any]]:
    """QEMU's arguments for a domain with this NIC, and the kernel's link for it, but for what is new each time."""
    with claimed(connection, [nic]) as domain:
        domain.create()
        try:
            pid = Path("/run/libvirt/qemu/claimed.pid").read_text()
            target = etree.fromstring(domain.XMLDesc()).xpath("string(devices/interface/target/@dev)")
            arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            link = {name: value for name, value in links()[target].items() if name not in _NEW_EACH_TIME}
        finally:
            domain.destroy()
    new = r'domain-\d+-|-uuid|[\da-f]{8}-[\da-f-]{27}|"?(?:vhost)?fds?"?[:=]"?[\d:]+"?|\bfd=\d+'
    return [re.sub(new, "", argument) for argument in arguments], link


_NEW_EACH_TIME = {"ifindex", "ifname", "operstate", "flags"}


@contextmanager
def claimed(connection: libvirt.virConnect, nics: list[str], *, boot: bool = False) -> Iterator[libvirt.virDomain]:
    """A domain like guest1 with these NICs, for a moment."""
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
        yield domain
    finally:
        domain.undefine()


def moved(mac: str) -> str:
    """Another MAC address, made of this one."""
    return mac.replace("52:54:00:c1:a1", "52:54:00:c1:a2")


def device(guest: Guest, alias: str, name: str) -> str:
    """A property of a device of QEMU's."""
    asked = {"execute": "qom-get", "arguments": {"path": f"/machine/peripheral/{alias}", "property": name}}
    said = until(lambda: tool("virsh", "qemu-monitor-command", guest.name, json.dumps(asked)), "QEMU answers")
    return str(json.loads(said)["return"])
