"""Each field that a running guest can get is seen by libvirt in both documents, by the kernel, and by the guest."""

from __future__ import annotations

import ctypes
import fcntl
import re
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

import libvirt
import pytest

from tests.e2e.world import (
    CONSOLES,
    UPLINK,
    Guest,
    changed,
    documents,
    links,
    make_bridge,
    run,
    tool,
    unchanged_world,
    until,
    vmnet,
)
from vmnet.nic.field import Live
from vmnet.nic.model import Nic
from vmnet.nic.version import Version

INSTALLED = Version.of_number(libvirt.getVersion())
ON_BRIDGE, ON_MACVTAP = ("--bridge", "br0"), ("--direct", UPLINK)

FILTERS = {
    "lab-mute": "<rule action='drop' direction='inout'><mac protocolid='ipv4'/></rule>",
    "lab-not-from": "<rule action='drop' direction='out'><ip srcipaddr='$IP'/></rule>",
}


def is_port_of(tap: str, bridge: str) -> bool:
    return links()[tap]["master"] == bridge


def is_isolated(tap: str, _: str) -> bool:
    return links()[tap]["linkinfo"]["info_slave_data"]["isolated"]


def has_mode(macvtap: str, mode: str) -> bool:
    return links()[macvtap]["linkinfo"]["info_data"]["mode"] == mode


def is_mute(tap: str, _: str) -> bool:
    return "-p IPv4 -j DROP" in rules_for(tap)


def is_filtered_by(tap: str, parameter: str) -> bool:
    return f"--ip-src {parameter.removeprefix('IP=')} -j DROP" in rules_for(tap)


def rules_for(tap: str) -> str:
    """The chain that what comes from a tap goes through."""
    table = tool("ebtables", "-t", "nat", "-L")
    chain = re.search(rf"^Bridge chain: libvirt-I-{tap},.*?(?=^Bridge chain|\Z)", table, re.M | re.S)
    return chain[0] if chain and f"-i {tap} -j libvirt-I-{tap}" in table else ""


def coalesces(tap: str, frames: str) -> bool:
    """Whether a tap batches so many frames: ETHTOOL_GCOALESCE by SIOCETHTOOL, for `ip` does not tell."""
    answer = (ctypes.c_uint32 * 23)(0x0E)
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8946, struct.pack("16sP16x", tap.encode(), ctypes.addressof(answer)))
    _, _, rx_max_coalesced_frames, *_ = answer
    return rx_max_coalesced_frames == int(frames)


def has_no_carrier(guest: Guest) -> bool:
    return guest.execute("/bin/cat", "/sys/class/net/eth0/carrier")[1].strip() == "0"


def is_cut_off(guest: Guest) -> bool:
    return guest.is_cut_off(guest.running[0].mac)


def does_not_reach_guest2(guest: Guest) -> bool:
    other = Guest("guest2")
    return not guest.pings(other.address(other.running[0].mac))


@dataclass(frozen=True)
class Row:
    """A field that changes under a running guest.

    Args:
        value: What it gets; `{address}` is the guest's own address.
        shows: An XPath that holds for the NIC in both documents then, with `{value}` and `{address}`.
        kernel: What is so of the NIC's link in the kernel then, and is not before; None where libvirt tells QEMU alone.
        guest: What the guest sees then, and does not before; None where it can see nothing of it.
        nic: How the NIC is attached.
        given: What it has beforehand.
        beside: How guest2 has a NIC at the same time; empty for none.
    """

    value: str
    shows: str
    kernel: Callable[[str, str], bool] | None
    guest: Callable[[Guest], bool] | None
    nic: tuple[str, ...] = ON_BRIDGE
    given: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


ROWS = {
    "bridge": Row("br1", "source/@bridge='{value}'", is_port_of, is_cut_off),
    "mode": Row("private", "source/@mode", has_mode, does_not_reach_guest2, nic=ON_MACVTAP, beside=ON_MACVTAP),
    "link": Row("down", "link/@state='{value}'", None, has_no_carrier),
    "filter": Row("lab-mute", "filterref/@filter='{value}'", is_mute, is_cut_off),
    "filter_params": Row(
        "IP={address}",
        "filterref/parameter[@name='IP']/@value='{address}'",
        is_filtered_by,
        is_cut_off,
        given=("--filter", "lab-not-from", "--set", "filter_params=IP=10.99.9.9"),
    ),
    "isolated": Row(
        "yes", "port/@isolated='{value}'", is_isolated, does_not_reach_guest2, beside=(*ON_BRIDGE, "--isolated")
    ),
    "coalesce": Row("16", "coalesce/rx/frames/@max='{value}'", coalesces, None),
}
LIMITS = {"inbound": ("1000", "htb"), "outbound": ("1000,2000,512", "ingress")}
"""Fields that take a kernel with HTB, SFQ and the police action, each with the qdisc that is made first."""
BY_REPLUG = {"network"}
"""Fields that libvirt changes or not, as what they name turns out: vmnet, which does not know, asks for the word."""


def test_every_field_that_changes_live_has_its_row() -> None:
    live = {name for name, field in Nic.FIELDS.items() if field.live(INSTALLED) is Live.LIVE}
    assert live | {"mode"} == set(ROWS) | set(LIMITS) | BY_REPLUG


@pytest.fixture
def bridges(br0: str) -> None:
    """br0 on the LAN, and br1 on nothing."""
    make_bridge("br1", uplink=None)


@pytest.fixture
def filters() -> None:
    """The network filters of these tests."""
    for name, rules in FILTERS.items():
        file = CONSOLES / "filter.xml"
        file.write_text(f"<filter name='{name}' chain='root'>{rules}</filter>")
        tool("virsh", "nwfilter-define", str(file))


@pytest.mark.parametrize("field", ROWS)
def test_a_field_changes_under_a_running_guest_and_back(
    field: str, guest1: Guest, bridges: None, filters: None
) -> None:
    row = ROWS[field]
    if row.nic is ON_MACVTAP:
        tool("ip", "link", "set", UPLINK, "nomaster")
    if row.beside:
        Guest("guest2").address(changed("attach", "guest2", *row.beside)["nics"][0]["mac"])
    nic = changed("attach", guest1.name, *row.nic, *row.given)["nics"][0]
    mac, link = nic["mac"], nic["target"]
    address = guest1.address(mac)
    guest1.reaches_lan(mac)
    value = row.value.format(address=address)
    shows = row.shows.format(value=value, address=address)
    before, was = documents(guest1), nic.get(field)
    assert not (row.kernel and row.kernel(link, value))
    assert not (row.guest and row.guest(guest1))

    changed("set", guest1.name, mac, "--set", f"{field}={value}")
    assert [bool(seen.element.xpath(shows)) for seen in (*guest1.running, *guest1.defined)] == [True, True]
    assert row.kernel is None or row.kernel(link, value)
    if row.guest:
        until(lambda: row.guest(guest1), f"{guest1.name} sees {field}")

    changed("set", guest1.name, mac, *(("--set", f"{field}={was}") if was else ("--unset", field)))
    assert documents(guest1) == before
    assert not (row.kernel and row.kernel(link, value))
    guest1.reaches_lan(mac)
    assert not (row.guest and row.guest(guest1))


@pytest.mark.parametrize("field", LIMITS)
def test_a_limit_is_in_force_or_nothing_is_left_of_it(field: str, guest1: Guest, br0: str) -> None:
    value, qdisc = LIMITS[field]
    nic = changed("attach", guest1.name, *ON_BRIDGE)["nics"][0]
    told = ("tc", "qdisc", "show", "dev", nic["target"])
    before, written = kinds(tool(*told)), documents(guest1)
    done = vmnet("set", guest1.name, nic["mac"], "--set", f"{field}={value}", "--json")
    if done.code == 0:
        assert qdisc in kinds(tool(*told))
        assert all(seen.element.xpath(f"bandwidth/{field}") for seen in (*guest1.running, *guest1.defined))
        changed("set", guest1.name, nic["mac"], "--unset", field)
    else:
        assert (done.code, done.error["code"]) == (1, "libvirt-refused")
        assert "tc" in done.error["why"]
    assert kinds(tool(*told)) == before
    assert documents(guest1) == written


def kinds(qdiscs: str) -> list[str]:
    """The kinds of the queueing disciplines that tc shows."""
    return re.findall(r"^qdisc (\w+)", qdiscs, re.M)


def test_a_filter_that_is_not_there_is_refused_and_the_old_one_stays_in_force(
    guest1: Guest, br0: str, filters: None
) -> None:
    nic = changed("attach", guest1.name, *ON_BRIDGE, "--filter", "lab-not-from", "--set", "filter_params=IP=10.99.9.9")
    [nic] = nic["nics"]
    rules = rules_for(nic["target"])
    assert "10.99.9.9" in rules
    with unchanged_world():
        done = vmnet("set", guest1.name, nic["mac"], "--filter", "nonsense", "--unset", "filter_params", "--json")
    assert done.code == 1
    assert rules_for(nic["target"]) == rules


def test_a_change_of_another_field_leaves_a_nic_of_a_network_on_its_network(guest1: Guest, br0: str) -> None:
    file = CONSOLES / "network.xml"
    file.write_text(
        "<network><name>lab</name><forward mode='bridge'/><bridge name='br0'/><portgroup name='sales'/></network>"
    )
    tool("virsh", "net-define", str(file))
    tool("virsh", "net-start", "lab")
    nic = changed("attach", guest1.name, "--network", "lab", "--set", "portgroup=sales")["nics"][0]
    before = documents(guest1)
    for change in ("--set", "coalesce=7"), ("--unset", "coalesce"), ("--queues", "2", "--replug"):
        guest1.reaches_lan(nic["mac"])
        changed("set", guest1.name, nic["mac"], *change)
        [live] = guest1.running
        assert live.element.xpath("source[@network='lab' and @portgroup='sales' and @bridge='br0']")
        assert len(run("virsh", "net-port-list", "lab", "--uuid").out.split()) == 1
        assert change != ("--unset", "coalesce") or documents(guest1)[1] == before[1]
    guest1.reaches_lan(nic["mac"])
