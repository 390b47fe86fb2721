"""Do the steps of a hostlink, each read back."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface
from struct import Struct
from typing import TypeAlias

from vmnet.change.plan import Plan
from vmnet.errors import VmnetError
from vmnet.host import making, netlink, rtnetlink
from vmnet.host.carried import GEN_MODE, RP_FILTER, observe_carried, sysctl_file
from vmnet.host.carry import LOOSE
from vmnet.host.direct import check_lower
from vmnet.host.findings import listed
from vmnet.host.hostlink_steps import (
    CarryFromHostlink,
    CarryToHostlink,
    CreateHostlink,
    DeleteHostlink,
    GiveAddresses,
    HostlinkStep,
)
from vmnet.host.model import MOVED, Host, Link
from vmnet.host.moving import move_from_hostlink, move_to_hostlink
from vmnet.host.observe import observe
from vmnet.host.port import wait_until
from vmnet.host.readback import compare, same
from vmnet.host.wire import CREATE, EXCLUSIVE, Line, Message, packed

_Interface: TypeAlias = IPv4Interface | IPv6Interface
_Network: TypeAlias = IPv4Network | IPv6Network

_SECONDS = 5.0
"""How long the kernel may ask whether somebody has an IPv6 address already."""

# Names and numbers of linux/if_addr.h and rtnetlink.h.
_NEW_ADDRESS, _ADDRESS = 20, Struct("=BBBBi")  # RTM_NEWADDR, ifaddrmsg: family, prefix length, flags, scope, index
# RTM_NEWROUTE, rtmsg: family, two lengths, TOS, table, protocol, scope...
_NEW_ROUTE, _ROUTE = 24, Struct("=BBBBBBBBI")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_NO_PREFIX_ROUTE, _TENTATIVE, _FAILED = 0x200, 0x40, 0x08  # IFA_F_...
_DST, _OIF, _PREFSRC = 1, 4, 7  # RTA_...
_MAIN, _STATIC, _UNICAST = 254, 4, 1  # RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST
_SCOPES = {socket.AF_INET: 253, socket.AF_INET6: 0}  # RT_SCOPE_LINK, RT_SCOPE_UNIVERSE
_NUMBER = Struct("=I")
_OWN: Mapping[str, str] = {
    RP_FILTER: LOOSE,  # it hears what comes from beyond the gateway, to which the uplink leads
    "ipv6/conf/accept_ra": "0",  # the uplink hears the routers
    "ipv6/conf/autoconf": "0",
    GEN_MODE: "0",  # IN6_ADDR_GEN_MODE_EUI64: without an address of its own it can ask nobody
}
"""The settings of a hostlink that has addresses of its own beside the uplink's."""


def do(line: Line, step: HostlinkStep, mark: str, index: int) -> None:
    """Do one step and read it back.

    Args:
        line: To the kernel.
        step: The step.
        mark: The alias of what this change makes.
        index: The index of that.

    Raises:
        VmnetError: As `applier.HostWing.apply`; or ``address-in-use``.
    """
    match step:
        case CreateHostlink():
            _create(line, step, mark, index)
        case CarryToHostlink():
            uplink = same(observe(), step.uplink)
            move_to_hostlink(line, uplink.name, step.name)
        case GiveAddresses():
            _give(line, step)
        case CarryFromHostlink():
            host = observe()
            uplink, hostlink = same(host, step.uplink), same(host, step.hostlink)
            move_from_hostlink(line, hostlink.name, uplink.name)
        case DeleteHostlink():
            line.do([netlink.delete(same(observe(), step.hostlink).index)])


def address_in_use(taken: Iterable[str]) -> VmnetError:
    """The error that somebody on the LAN has addresses (``address-in-use``)."""
    return VmnetError(
        "address-in-use", f"somebody on the LAN has {listed(taken)} already", remedy="Give another --address"
    )


def _create(line: Line, step: CreateHostlink, mark: str, index: int) -> None:
    host = observe()
    uplink = same(host, step.uplink)
    Plan(findings=tuple(check_lower(host, uplink, step.mac))).refuse()
    alias = mark + (MOVED if step.moving else "")
    making.make(line, making.create_hostlink(step.name, step.mac, step.mtu, uplink.index, alias, index), index)

    def made() -> Link | None:
        return Host(rtnetlink.links()).by_index(index)

    if uplink.carrier:
        wait_until(lambda: bool((link := made()) and link.carrier))
    now = made()
    compare(
        step.name,
        name=(step.name, now and now.name),
        mac=(step.mac, now and now.mac),
        mtu=(step.mtu, now and now.mtu),
        mode=("bridge", now and now.mode),
        lower=(uplink.index, now and now.lower),
        alias=(alias, now and now.alias),
        up=(True, now and now.up),
    )


def _give(line: Line, step: GiveAddresses) -> None:
    hostlink = Host(rtnetlink.links()).link(step.name)
    if hostlink is None:
        raise VmnetError("host-changed", f"{step.name} is gone")
    given = [ip_interface(text) for text in step.addresses]
    _set(hostlink.name, {key: value for key, value in _OWN.items() if _fits(key, given)})
    line.do([_address(hostlink.index, one) for one in given])
    _wait_for(line, step)
    ways = {half: one for one in given for half in _halves(one)}
    there = {r.destination for r in observe().routes_through(hostlink)}
    line.do([_way(hostlink.index, half, one) for half, one in ways.items() if str(half) not in there])
    host = observe()
    compare(
        step.name,
        lacks=(set(), set(step.addresses) - {a.address for a in host.addresses_on(hostlink)}),
        lacks_ways_to=(set(), {str(half) for half in ways} - {r.destination for r in host.routes_through(hostlink)}),
    )


def _halves(given: _Interface) -> list[_Network]:
    """The halves of an address's network: a longer prefix counts before the uplink's, whatever comes and goes there."""
    network: _Network = given.network
    return list(network.subnets()) if network.num_addresses > 1 else []


def _fits(key: str, given: list[_Interface]) -> bool:
    return key.startswith("ipv4") or any(one.version == 6 for one in given)


def _set(name: str, settings: Mapping[str, str]) -> None:
    for key, value in settings.items():
        try:
            sysctl_file(name, key).write_text(value)
        except OSError as error:
            raise VmnetError("sysctl", f"Setting {key} of {name} to {value} failed", why=error.strerror or "") from None


def _address(index: int, given: _Interface) -> Message:
    """An address without the kernel's own way to its network, which would not come before the uplink's."""
    family = socket.AF_INET if given.version == 4 else socket.AF_INET6
    header = _ADDRESS.pack(family, given.network.prefixlen, 0, 0, index)
    told = [
        (_IFA_LOCAL, given.ip.packed),
        (_IFA_ADDRESS, given.ip.packed),
        (_IFA_FLAGS, _NUMBER.pack(_NO_PREFIX_ROUTE)),
    ]
    return Message(_NEW_ADDRESS, header + packed(told), CREATE | EXCLUSIVE, f"Adding {given}")


def _way(index: int, to: _Network, given: _Interface) -> Message:
    """A route to a part of the network of an address."""
    family = socket.AF_INET if given.version == 4 else socket.AF_INET6
    header = _ROUTE.pack(family, to.prefixlen, 0, 0, _MAIN, _STATIC, _SCOPES[family], _UNICAST, 0)
    told = [(_DST, to.network_address.packed), (_OIF, _NUMBER.pack(index)), (_PREFSRC, given.ip.packed)]
    return Message(_NEW_ROUTE, header + packed(told), CREATE | EXCLUSIVE, f"Adding a route to {to}")


def _wait_for(line: Line, step: GiveAddresses) -> None:
    """Wait until the kernel has asked the LAN about the IPv6 addresses.

    Raises:
        VmnetError: ``address-in-use``: somebody has one.
    """
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        found = observe_carried(line, [step.name])[step.name]
        if taken := set(found.duplicates) & set(step.addresses):
            raise address_in_use(sorted(taken))
        if not any(e.flags & _TENTATIVE for e in found.addresses):
            return
        time.sleep(0.01)
