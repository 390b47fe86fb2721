"""A hostlink, by which the host and the macvtap guests of one uplink talk: pure, from an observation to a plan.

It is a macvlan in bridge mode on the uplink. What macvlans and macvtaps in bridge mode send each other turns round
below them, at the uplink; what they and the uplink's own IP stack send each other never does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface
from itertools import count

from vmnet.change.plan import Plan, Step
from vmnet.findings import Finding
from vmnet.host.carried import Carried
from vmnet.host.direct import check_lower
from vmnet.host.findings import error, listed, named, note, unknown_link, warning
from vmnet.host.hostlink_steps import CarryFromHostlink, CarryToHostlink, CreateHostlink, DeleteHostlink, GiveAddresses
from vmnet.host.managers import Owner
from vmnet.host.model import MARK, MOVED, Host, Link
from vmnet.host.movable import cargo, check_cargo, check_owners, check_room
from vmnet.host.planner import unfit_name, unless_refused
from vmnet.host.steps import SetUp
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class HostlinkOptions:
    """How a hostlink is wished.

    Args:
        name: Its name; else that of the one that there is, or the first that is free of ``host0``, ``host1``.
        mac: Its MAC; else one that follows from its uplink's and its name.
        addresses: Addresses of its own, with their prefixes: ``192.0.2.3/24``.
        move: Whether it is to carry what the uplink does, instead.
    """

    name: str | None = None
    mac: str | None = None
    addresses: tuple[str, ...] = ()
    move: bool = False


def hostlinks(host: Host) -> list[Link]:
    """The hostlinks that there are, by name; foreign macvlans too."""
    return sorted((n for n in host.links if n.is_hostlink), key=lambda n: n.name)


def name_of(host: Host, uplink: str, options: HostlinkOptions) -> str:
    """The name of the hostlink that is wished for."""
    lower = host.link(uplink)
    ours = (n.name for n in hostlinks(host) if n.is_ours and lower and n.lower == lower.index)
    free = (name for number in count() if host.link(name := f"host{number}") is None)
    return options.name or next(ours, "") or next(free)


def unfit_address(one: IPv4Interface | IPv6Interface) -> str:
    """Why no host can have this address with this prefix; empty where one can."""
    network = one.network
    has_ends = network.max_prefixlen - network.prefixlen > 1  # RFC 3021, RFC 6164: two are two hosts'
    match one:
        case _ if network.prefixlen == 0:
            return "A prefix of 0 is every address there is"
        case _ if one.ip.is_unspecified:
            return "It stands for no address"
        case _ if one.ip.is_loopback:
            return "It never leaves a host (loopback)"
        case _ if one.ip.is_multicast:
            return "It is a group's (multicast)"
        case IPv6Interface() if one.ip.is_link_local or one.ip.scope_id:
            return "It is of one link alone, where the kernel makes one by itself (link-local)"
        case _ if has_ends and one.ip == network.network_address:
            return f"It is that of the network {network} itself"
        case IPv4Interface() if one.packed == b"\xff" * 4 or (has_ends and one.ip == network.broadcast_address):
            return f"It is everybody's in {network} (broadcast)"
    return ""


def plan_add(
    host: Host,
    carried: Mapping[str, Carried],
    uplink: str,
    options: HostlinkOptions,
    *,
    managers: Collection[Owner] = (),
    strict: bool = False,
) -> Plan:
    """The plan to have a hostlink on `uplink`.

    Args:
        host: The observation.
        carried: What the uplink carries, by `carried.observe_carried`.
        uplink: The uplink's name.
        options: How the hostlink is wished.
        managers: Who else looks after the links, by `managers.observe_owners`.
        strict: Whether the uplink drops what the host would answer by another link (rp_filter).
    """
    return unless_refused(Plan.of(_add_parts(host, carried, uplink, options, managers, strict)))


def plan_remove(host: Host, carried: Mapping[str, Carried], name: str, managers: Collection[Owner] = ()) -> Plan:
    """The plan to have hostlink `name` gone, and what was moved to it back on its uplink.

    Args:
        host: The observation.
        carried: What the hostlink carries, by `carried.observe_carried`.
        name: The hostlink's name.
        managers: Who else looks after the links, by `managers.observe_owners`.
    """
    return unless_refused(Plan.of(_remove_parts(host, carried, name, managers)))


def _add_parts(
    host: Host,
    carried: Mapping[str, Carried],
    uplink: str,
    options: HostlinkOptions,
    managers: Collection[Owner],
    strict: bool,
) -> Iterator[Step | Finding]:
    lower = host.link(uplink)
    if lower is None:
        yield unknown_link("H301", host, uplink)
        return
    name = name_of(host, uplink, options)
    there = host.link(name)
    if there is None:
        yield from _new(host, lower, name, options)
    elif there.kind != "macvlan" or there.lower != lower.index or not there.is_ours:
        yield error(
            "H461",
            what=f"the name {name} is that of a link on this host already: {named([there])}",
            why="It is no hostlink of vmnet's on this uplink",
            remedy="Choose another --name; vmnet hostlink list shows those there are",
        )
        return
    else:
        yield from _as_it_is(there, options)
    if not options.move:
        yield from _with_addresses(host, lower, name, there, options, strict)
    elif others := [n for n in host.siblings(lower) if n.is_hostlink and n.carries_uplinks and n.name != name]:
        yield error(
            "H469",
            what=f"what {lower.name} carried is on {named(others)} already",
            why="It has nothing more to move",
            remedy=f"Use that one; or vmnet hostlink remove {others[0].name}, and add it anew",
        )
    elif there is None and (source := carried.get(lower.name)):
        yield from check_cargo(source, name, bridged=False)
        yield from (_for_hostlinks(f, lower.name, name) for f in check_owners(managers, lower.name, name, bridge=name))
        yield CarryToHostlink(lower.identity, name, cargo(source))


def _new(host: Host, lower: Link, name: str, options: HostlinkOptions) -> Iterator[Step | Finding]:
    if why := unfit_name(name):
        yield error("H460", what=f"{name!r} cannot be the name of a link", why=why, remedy="Choose another --name")
    mac = (options.mac or _own_mac(lower, name)).lower()
    if int(mac[:2], 16) & 1 or not mac.strip("0:"):
        yield error(
            "H463",
            what=f"{mac} cannot be the MAC of a hostlink",
            why="It is a group's, or none",
            remedy="Leave --mac out",
        )
    yield from check_lower(host, lower, mac)
    if options.move:
        yield warning(
            "H464",
            what=f"the host moves to another MAC: {mac}",
            why=f"A hostlink cannot have that of {lower.name}. The LAN is told (gratuitous ARP, neighbour "
            "advertisements); a DHCP server, or a router's prefix, may give another address in time, and a switch "
            "with port security may refuse it",
        )
    if not lower.up:
        yield SetUp(lower.identity)
    yield CreateHostlink(name, lower.identity, mac, lower.mtu, options.move)


def _as_it_is(there: Link, options: HostlinkOptions) -> Iterator[Finding]:
    """A hostlink that is there stays as it is."""
    if options.mac and options.mac.lower() != there.mac:
        yield _differs(there, f"has the MAC {there.mac}")
    elif options.move and not there.carries_uplinks:
        yield _differs(there, "has addresses of its own")
    elif options.addresses and there.carries_uplinks:
        yield _differs(there, "carries what its uplink did")


def _differs(there: Link, how: str) -> Finding:
    return error(
        "H462",
        what=f"hostlink {there.name} is there already, and {how}",
        why="What runs over it might not take the change",
        remedy=f"vmnet hostlink remove {there.name}, and add it anew",
    )


def _with_addresses(
    host: Host, lower: Link, name: str, there: Link | None, options: HostlinkOptions, strict: bool
) -> Iterator[Step | Finding]:
    mine = {a.address for a in host.addresses_on(there)} if there else set()
    missing = tuple(text for text in options.addresses if text not in mine)
    given = [ip_interface(text) for text in missing]
    taken = {a.address.partition("/")[0]: a for a in host.addresses}
    for one in given:
        if held := taken.get(str(one.ip)):
            holder = host.by_index(held.index)
            yield _differs(there, f"has {held.address}") if there and holder is there else _is_held(one, holder)
    ways = [one for one in given if one.network.num_addresses > 1]
    networks = tuple(dict.fromkeys(str(one.network) for one in ways))
    beside = [link for link in (lower, *host.siblings(lower)) if link.name != name and link.kind != "macvtap"]
    lans = [(ip_interface(a.address).network, n) for n in beside for a in host.addresses_on(n) if not a.link_local]
    for one in ways:
        within = [n for n, _ in lans if one.version == n.version and n.num_addresses > 1 and one.network.overlaps(n)]
        if within and all(one.network.prefixlen < n.prefixlen for n in within):
            yield _is_wider(one, within[0], name)
    over = [(one, link) for one in ways for n, link in lans if one.version == n.version and one.network.overlaps(n)]
    if strict and any(one.version == 4 and link is lower for one, link in over):
        yield error(
            "H465",
            what=f"{lower.name} drops what the host would answer by another link (rp_filter)",
            why=f"The host is to reach {listed(networks)} by {name}: what comes in at {lower.name} from there would "
            "not be taken",
            remedy=f"sysctl net.ipv4.conf.{lower.name}.rp_filter=2, or --move-ip",
        )
    if over:
        shared = tuple(dict.fromkeys(one for one, _ in over))
        yield warning(
            "H466",
            what=f"the host sends to {listed(str(one.network) for one in shared)} by {name} from now on",
            why=f"Guests on {lower.name} are reached by it alone. New connections to the LAN come from "
            f"{listed(str(one.ip) for one in shared)}; routes by a gateway stay on "
            f"{listed(dict.fromkeys(link.name for _, link in over))}",
            remedy="With --move-ip instead the host keeps one address",
        )
    if not ways and not mine:
        yield warning(
            "H467",
            what=f"the host has no way to guests by {name}",
            why="An address without its network's prefix leads nowhere"
            if given
            else "It has no address there; what it knows of the LAN leads over the uplink",
            remedy="Give an address with the prefix of the guests' network (--address 192.0.2.3/24), or --move-ip; or "
            f"add routes to the guests: ip route add ADDRESS dev {name}",
        )
    if missing:
        yield GiveAddresses(name, missing, networks)


def _is_held(one: IPv4Interface | IPv6Interface, holder: Link | None) -> Finding:
    return error(
        "H468",
        what=f"{holder.name if holder else 'this host'} has the address {one.ip} already",
        why="Guests would ask for it in vain, for they do not reach that link",
        remedy="Give an address of the LAN that is free, or --move-ip",
    )


def _is_wider(one: IPv4Interface | IPv6Interface, lan: IPv4Network | IPv6Network, name: str) -> Finding:
    return error(
        "H481",
        what=f"the network of {one} is wider than the LAN's, which is {lan}",
        why=f"What is in it and beyond the LAN the host would look for by {name}, where no gateway is asked",
        remedy=f"Give the LAN's prefix: --address {one.ip}/{lan.prefixlen}",
    )


def _remove_parts(
    host: Host, carried: Mapping[str, Carried], name: str, managers: Collection[Owner]
) -> Iterator[Step | Finding]:
    link = host.link(name)
    if link is None:
        yield note("H476", what=f"there is no hostlink {name} on this host", why="There is nothing to remove")
        return
    if not link.is_hostlink:
        yield error("H477", what=f"{named([link])} is not a hostlink", remedy="Name a hostlink: vmnet hostlink list")
        return
    lower = host.by_index(link.lower) if link.lower_netns is None else None
    carries = _has_uplinks(host, link, lower)
    if not link.is_ours:
        yield error(
            "H478",
            what=f"vmnet did not make {named([link])}",
            why="Whoever made it may need it",
            remedy=f"If it is to be vmnet's to delete: ip link set {name} alias {MARK}adopted"
            f"{MOVED if carries else ''}",
        )
    if users := host.uppers(link):
        yield error(
            "H479",
            what=f"hostlink {name} is in use by {named(users)}",
            why="They would be cut off",
            remedy=f"Delete {users[0].name} first",
        )
    if carries and lower is None:
        yield error(
            "H480",
            what=f"hostlink {name} carries the host's addresses, and its uplink is in another namespace",
            why="They would be gone with it",
            remedy="Move the uplink back to this one",
        )
    load = carried.get(name)
    if carries and load and lower:
        yield from check_cargo(load, lower.name, bridged=False)
        yield from check_room(load, host, lower)
        yield from (_for_hostlinks(f, lower.name, name) for f in check_owners(managers, name, lower.name, bridge=name))
        yield CarryFromHostlink(link.identity, lower.identity, cargo(load))
        yield DeleteHostlink(link.identity)
    else:
        yield DeleteHostlink(link.identity, listed(a.address for a in host.addresses_on(link) if not a.link_local))


_MADE_BARE = re.compile(rf"{MARK}[0-9a-f]{{8}}")
"""The alias of a hostlink that was made for addresses of its own."""


def _has_uplinks(host: Host, link: Link, lower: Link | None) -> bool:
    """Whether a hostlink has what its uplink had, and what the host would lose with it.

    Its alias says so; but who adopts one, or gives it a name of their own, need not know.
    """
    if link.carries_uplinks or any(index == link.index for r in host.routes for index, _ in r.gateways):
        return True
    if _MADE_BARE.fullmatch(link.alias or ""):
        return False
    mine, uplinks = (any(not a.link_local for a in host.addresses_on(n)) if n else False for n in (link, lower))
    return mine and not uplinks


def _own_mac(lower: Link, name: str) -> str:
    """A MAC of nobody's making, always the same for the same uplink and name."""
    first, *others = hashlib.sha256(f"{lower.permanent or lower.mac} {name}".encode()).digest()[:6]
    return bytes([first & 0xFC | 0x02, *others]).hex(":")


def _for_hostlinks(finding: Finding, uplink: str, name: str) -> Finding:
    """What to do about somebody who looks after a link, where no bridge is to be."""
    remedy = _INSTEAD.get(finding.code)
    return replace(finding, remedy=remedy.format(uplink=uplink, name=name)) if remedy else finding


_INSTEAD = {
    "H432": "Have it see to the hostlink: Kind=macvlan and Mode=bridge in {name}.netdev, MACVLAN={name} in the file of "
    "{uplink}, the addresses in {name}.network, all in /etc/systemd/network; or give an address beside: --address",
    "H433": "netplan knows no macvlan; give an address beside the uplink's: --address",
    "H435": "For a hostlink that lasts, write it there (pre-up ip link add {name} link {uplink} type macvlan mode "
    "bridge)",
}
"""Other remedies than for a bridge."""
