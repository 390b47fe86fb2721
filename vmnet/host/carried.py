"""All that a link carries for the host, read once, complete, and able to go to disk."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from vmnet.host import ethtool, resolver
from vmnet.host.entry import Entry, Kind
from vmnet.host.model import BridgeSettings, Link, PortState
from vmnet.host.rtnetlink import FORWARDING, LINKS
from vmnet.host.wire import Attributes, Line, attributes
from vmnet.values import dataclass

GEN_MODE = "ipv6/conf/addr_gen_mode"
"""The setting by which the kernel gives a link addresses of its own making."""

RP_FILTER = "ipv4/conf/rp_filter"
"""The setting by which the kernel drops what comes in elsewhere than it would send."""

PROMOTE = "ipv4/conf/promote_secondaries"
"""The setting by which the kernel keeps the other IPv4 addresses of a net when the first of them goes."""

_SYSCTLS = Path("/proc/sys/net")
_ROOMS = ("ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_CLONED = 0x200  # RTM_F_CLONED
_BY_RA, _MULTIPATH = 9, 9  # RTPROT_RA, RTA_MULTIPATH
_BY_WORD, _OF_A_ROUTER = 0x00040000, 0x00010000 | 0x00800000  # RTF_ADDRCONF; RTF_DEFAULT, RTF_ROUTEINFO
_IPV6_ROUTES = Path("/proc/thread-self/net/ipv6_route")
_PROXY = 0x08  # NTF_PROXY
_PORT_DATA, _AF_SPEC, _TOKEN = 5, 26, 7  # IFLA_INFO_SLAVE_DATA, IFLA_AF_SPEC, IFLA_INET6_TOKEN
_NOT_LEARNED = 0x40  # NUD_NOARP
_INFO, _INFO_DATA, _XDP, _XDP_ATTACHED = 18, 2, 43, 2  # IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_XDP, IFLA_XDP_ATTACHED
_EXT_MASK, _BRIDGE_VLANS = 29, 2  # IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN
_MASTER, _BRIDGE_VLAN = 10, 2  # IFLA_MASTER, IFLA_BRIDGE_VLAN_INFO
_VLAN, _UNTAGGED_PVID = struct.Struct("=HH"), 0x02 | 0x04  # bridge_vlan_info, BRIDGE_VLAN_INFO_PVID and _UNTAGGED
_KNOWN = 0x02 | 0x04 | 0x08 | 0x10  # NUD_REACHABLE, STALE, DELAY, PROBE: the kernel has had an answer
_FAILED_DAD = 0x08  # IFA_F_DADFAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a link carries.

    Args:
        link: The link.
        at: Seconds of CLOCK_BOOTTIME when it was read: lifetimes count from there.
        data: The settings of its kind as dumped (IFLA_INFO_DATA).
        port_data: Its settings as a port of a bridge, as dumped (IFLA_INFO_SLAVE_DATA).
        token: The end of the IPv6 addresses that the kernel makes for it (`ip token`), in hexadecimal digits.
        addresses: In the kernel's order.
        routes: By it, of all tables and both families, but those that the kernel keeps for its own addresses.
        rules: That name it.
        neighbours: That somebody put down.
        seen: Neighbours that the kernel found: no part of what the link is, but they spare a question.
        order: All rules of a priority at which it has one and others do too: they count in this order.
        sysctls: Its own ones: ``ipv6/conf/accept_ra`` and value.
        late: Its IPv6 addresses for which the kernel does not listen yet: it makes their local routes in its own time.
        duplicates: Its addresses that somebody else has (failed DAD).
        nexthops: Nexthop objects by it.
        queues: Kinds of the queueing disciplines that somebody gave it.
        vlans: VLANs that somebody gave it or its ports, if it is a bridge that filters them.
        fixed: MACs that somebody told the bridge, that it is, where to find.
        xdp: Whether an XDP program is on it.
        lro: Whether it joins frames that it receives.
        filtered: Whether this host has bridged frames pass its IP firewall.
        resolver: What systemd-resolved was told of it; None where that does not run.
    """

    link: Link
    at: float
    data: bytes = b""
    port_data: bytes = b""
    token: str = ""
    addresses: tuple[Entry, ...] = ()
    routes: tuple[Entry, ...] = ()
    rules: tuple[Entry, ...] = ()
    neighbours: tuple[Entry, ...] = ()
    seen: tuple[Entry, ...] = ()
    order: tuple[Entry, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    late: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    nexthops: tuple[int, ...] = ()
    queues: tuple[str, ...] = ()
    vlans: tuple[int, ...] = ()
    fixed: tuple[str, ...] = ()
    xdp: bool = False
    lro: bool = False
    filtered: bool = False
    resolver: Mapping[str, str] | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All that the host would miss, in the order in which it is to come about."""
        return *self.addresses, *self.routes, *self.rules, *self.neighbours

    def document(self) -> dict[str, Any]:
        """Itself as a JSON-able mapping; `of_document` reads it."""
        told = {f: getattr(self, f) for f in _PLAIN}
        entries = {f: [_entry_document(e) for e in getattr(self, f)] for f in _ENTRIES}
        return {
            "link": link_document(self.link),
            "data": self.data.hex(),
            "port_data": self.port_data.hex(),
            "sysctls": dict(self.sysctls),
            **told,
            **entries,
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Carried:
        """What `document` said. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        told: dict[str, Any] = {f: _frozen(document[f]) for f in _PLAIN}
        told |= {f: tuple(_entry_of_document(kind, e) for e in document[f]) for f, kind in _ENTRIES.items()}
        return cls(
            link=link_of_document(document["link"]),
            data=bytes.fromhex(document["data"]),
            port_data=bytes.fromhex(document["port_data"]),
            sysctls={str(key): str(value) for key, value in document["sysctls"].items()},
            **told,
        )


_PLAIN = (
    "at",
    "token",
    "late",
    "duplicates",
    "nexthops",
    "queues",
    "vlans",
    "fixed",
    "xdp",
    "lro",
    "filtered",
    "resolver",
)
_ENTRIES = {
    "addresses": Kind.ADDRESS,
    "routes": Kind.ROUTE,
    "rules": Kind.RULE,
    "neighbours": Kind.NEIGHBOUR,
    "seen": Kind.NEIGHBOUR,
    "order": Kind.RULE,
}


def observe_carried(line: Line, wanted: Collection[str | int]) -> dict[str, Carried]:
    """What each of these links carries, by its name; those that are not there are left out.

    Args:
        line: To the kernel.
        wanted: Names of links, or indexes.

    Raises:
        VmnetError: The kernel did not answer (``netlink-...``).
    """
    at = time.clock_gettime(time.CLOCK_BOOTTIME)
    links, names = {}, {}
    for body in line.dump(LINKS.name, LINKS.ask, LINKS.request):
        if link := LINKS.value(body):
            names[link.index] = link.name
            if link.name in wanted or link.index in wanted:
                links[link.name] = link, dict(attributes(body[LINKS.header.size :]))
    if not links:
        return {}
    entries = {kind: list(dumped(line, kind)) for kind in Kind}
    entries[Kind.ROUTE] = _told_apart(entries[Kind.ROUTE], names)
    local = {e.local for e in entries[Kind.ROUTE] if e.is_bookkeeping}
    filtered = _read(_SYSCTLS / "bridge/bridge-nf-call-iptables") == "1"
    found = {}
    for name, (link, told) in links.items():
        mine = {
            kind: [e for e in several if not e.is_bookkeeping and {link.index, name} & set(e.links)]
            for kind, several in entries.items()
        }
        lasting = [e for e in mine[Kind.NEIGHBOUR] if e.is_lasting]
        info = dict(attributes(told.get(_INFO, b"")))
        found[name] = Carried(
            link=link,
            at=at,
            data=info.get(_INFO_DATA, b""),
            port_data=info.get(_PORT_DATA, b"") if link.port else b"",
            token=_token(told),
            addresses=tuple(e for e in mine[Kind.ADDRESS] if not e.flags & _FAILED_DAD),
            routes=tuple(mine[Kind.ROUTE]),
            rules=tuple(mine[Kind.RULE]),
            neighbours=tuple(lasting),
            seen=tuple(e for e in mine[Kind.NEIGHBOUR] if e not in lasting and e.header[2] & _KNOWN),
            order=_order(entries[Kind.RULE], mine[Kind.RULE]),
            sysctls=read_sysctls(link),
            late=tuple(e.text() for e in mine[Kind.ADDRESS] if e.is_listened_for and e.local not in local),
            duplicates=tuple(e.text() for e in mine[Kind.ADDRESS] if e.flags & _FAILED_DAD),
            nexthops=_nexthops(line, link.index),
            queues=_queues(line, link.index),
            vlans=_vlans(line, link.index) if link.bridge and link.bridge.vlan_filtering else (),
            fixed=_fixed(line, link.index) if link.is_bridge else (),
            xdp=any(dict(attributes(told.get(_XDP, b""))).get(_XDP_ATTACHED, b"")),
            lro=ethtool.joins_frames(name),
            filtered=filtered,
            resolver=resolver.settings(link.index),
        )
    return found


def read_sysctls(link: Link) -> dict[str, str]:
    """The settings of one link under /proc/sys/net, by room and name.

    An IPv6 MTU that is the link's own is no setting: it follows the link's.
    """
    found = {}
    for room in _ROOMS:
        for file in _files(_SYSCTLS / room / link.name):
            if (value := _read(file)) is not None:
                found[f"{room}/{file.name}"] = value
    if found.get("ipv6/conf/mtu") == str(link.mtu):
        del found["ipv6/conf/mtu"]
    return found


def drops_detours(link: str) -> bool:
    """Whether a link drops what comes in and would be answered by another: strict rp_filter, its own or that of all.

    Of both the larger counts (Linux 6.18).
    """
    return max(_read(_SYSCTLS / "ipv4/conf" / name / "rp_filter") or "0" for name in ("all", link)) == "1"


def sysctl_file(link: str, key: str) -> Path:
    """Where a setting of `read_sysctls` is."""
    room, _, name = key.rpartition("/")
    if room not in _ROOMS or link in ("", ".", "..") or "/" in link or name in ("", ".", ".."):
        raise ValueError(f"not a setting of a link: {link!r}, {key!r}")
    return _SYSCTLS / room / link / name


def link_document(link: Link) -> dict[str, Any]:
    """A link as a JSON-able mapping."""
    return asdict(link) | {"port": link.port and link.port.value}


def link_of_document(document: Mapping[str, Any]) -> Link:
    """What `link_document` said. Raises `TypeError` or `ValueError` for anything else."""
    told = {key: _frozen(value) for key, value in document.items()}
    bridge, port = told.get("bridge"), told.get("port")
    link = Link(**told)
    return replace(
        link, bridge=BridgeSettings(**bridge) if bridge else None, port=PortState(port) if port is not None else None
    )


def _entry_document(entry: Entry) -> dict[str, Any]:
    told = {"text": entry.text(), "body": entry.body.hex()}
    return told | ({"advertised": True} if entry.advertised else {})


def _entry_of_document(kind: Kind, document: Mapping[str, Any]) -> Entry:
    return Entry(kind, bytes.fromhex(document["body"]), document.get("advertised") is True)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def dumped(line: Line, kind: Kind) -> Iterable[Entry]:
    """All entries of a table, of both families; neighbours with those that the host answers for."""
    blank = bytes(kind.header.size)
    asked = [blank, kind.header.pack(0, 0, 0, _PROXY, 0)] if kind is Kind.NEIGHBOUR else [blank]
    for request in asked:
        for body in line.dump(kind.name.lower(), kind.new + 2, request):
            if len(body) < kind.header.size or body[0] not in _FAMILIES:
                continue
            entry = Entry(kind, body)
            if kind is Kind.ROUTE and entry.header[8] & _CLONED:
                continue
            yield from entry.single_hops()


def _told_apart(routes: list[Entry], names: Mapping[int, str]) -> list[Entry]:
    """The routes, those said to be so that the kernel has by a router's word; only procfs shows that (Linux 6.18)."""
    if not any(e.family == socket.AF_INET6 and e.header[5] == _BY_RA for e in routes):
        return routes
    told = set()
    for words in map(str.split, (_read(_IPV6_ROUTES) or "").splitlines()):
        to, length, _, _, gateway, metric, _, _, flags, link = words
        if int(flags, 16) & _BY_WORD and int(flags, 16) & _OF_A_ROUTER:
            told.add((to, int(length, 16), gateway, int(metric, 16), link))
    return [replace(e, advertised=True) if _as_in_procfs(e, names) & told else e for e in routes]


def _as_in_procfs(route: Entry, names: Mapping[int, str]) -> set[tuple[str, int, str, int, str]]:
    """Destination, its length, gateway, metric and link of an IPv6 route by a router."""
    if route.family != socket.AF_INET6 or route.header[5] != _BY_RA:
        return set()
    found = route.attributes
    found |= dict(attributes(found[_MULTIPATH][8:])) if _MULTIPATH in found else {}
    to, gateway = (found.get(key, bytes(16)).hex() for key in (1, 5))  # RTA_DST, RTA_GATEWAY
    return {
        (to, route.header[1], gateway, _number(found.get(6)), names.get(index, ""))  # RTA_PRIORITY
        for index in route.links
        if isinstance(index, int)
    }


def _order(rules: Sequence[Entry], mine: Sequence[Entry]) -> tuple[Entry, ...]:
    """The rules of those priorities at which some are a link's, and others are not."""
    shared = {e.rank for e in rules if e not in mine} & {e.rank for e in mine}
    return tuple(e for e in rules if e.rank in shared)


def _token(told: Attributes) -> str:
    """A link's token in hexadecimal digits; empty where it has none."""
    family = dict(attributes(dict(attributes(told.get(_AF_SPEC, b""))).get(socket.AF_INET6, b"")))
    value = family.get(_TOKEN, b"")
    return value.hex() if any(value) else ""


def _fixed(line: Line, index: int) -> tuple[str, ...]:
    """The MACs that somebody told a bridge where to find."""
    found = []
    for body in line.dump(FORWARDING.name, FORWARDING.ask, FORWARDING.request):
        _, _, state, _, _ = Kind.NEIGHBOUR.header.unpack_from(body)
        told = dict(attributes(body[Kind.NEIGHBOUR.header.size :]))
        if state & _NOT_LEARNED and _number(told.get(9)) == index:  # NDA_MASTER
            found.append(told.get(2, b"").hex(":"))  # NDA_LLADDR
    return tuple(found)


def _nexthops(line: Line, index: int) -> tuple[int, ...]:
    """The nexthop objects by a link (RTM_GETNEXTHOP: NHA_ID, NHA_OIF)."""
    told = (dict(attributes(body[8:])) for body in line.dump("nexthop", 106, bytes(8)))
    return tuple(_number(n.get(1)) for n in told if _number(n.get(5)) == index)


def _queues(line: Line, index: int) -> tuple[str, ...]:
    """The queueing disciplines of a link with a handle, which those that come with it do not have (RTM_GETQDISC)."""
    found = []
    for body in line.dump("qdisc", 38, bytes(20)):
        _, link, handle, _, _ = struct.unpack_from("=BxxxiIII", body)
        if link == index and handle:
            found.append(os.fsdecode(dict(attributes(body[20:])).get(1, b"").partition(b"\0")[0]))
    return tuple(found)


def _vlans(line: Line, bridge: int) -> tuple[int, ...]:
    """The VLANs of a bridge and its ports, but for the one that each is in untagged without anybody's doing."""
    found: set[int] = set()
    asked = struct.pack("=B15xHHI", socket.AF_BRIDGE, 8, _EXT_MASK, _BRIDGE_VLANS)
    for body in line.dump("bridge VLAN", LINKS.ask, asked):
        told = dict(attributes(body[LINKS.header.size :]))
        if bridge in (LINKS.header.unpack_from(body)[1], _number(told.get(_MASTER))):
            entries = [e for kind, e in attributes(told.get(_AF_SPEC, b"")) if kind == _BRIDGE_VLAN]
            found |= {vlan for flags, vlan in map(_VLAN.unpack, entries) if flags & _UNTAGGED_PVID != _UNTAGGED_PVID}
    return tuple(sorted(found))


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # the link went, or there is no IPv6
        return []


def _read(file: Path) -> str | None:
    """What a setting is; None when the kernel does not say."""
    try:
        return file.read_text().strip()
    except OSError:  # EIO: a stable_secret that was never set
        return None


def _number(value: bytes | None) -> int:
    return int.from_bytes(value or b"", sys.byteorder)
