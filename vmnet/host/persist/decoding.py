"""What an entry of the kernel's tables says, in words: what was kept as bytes, for those who must be told in text."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable, Mapping
from ipaddress import ip_interface

from vmnet.host.entry import Entry
from vmnet.host.persist.model import LastingAddress, LastingRoute, LastingRule
from vmnet.host.wire import attributes

FOREVER = 0xFFFFFFFF
"""The lifetime of what does not end (INFINITY_LIFE_TIME)."""

KERNEL, BOOT, STATIC, RA, DHCP, REDIRECT = 2, 3, 4, 9, 16, 1
"""Who made a route (RTPROT_...)."""

_MAIN = 254
_SCOPES = {200: "site", 253: "link", 254: "host", 255: "nowhere"}
_MANAGED, _NO_PREFIX_ROUTE, _STABLE = 0x100, 0x200, 0x800  # IFA_F_MANAGETEMPADDR, NOPREFIXROUTE, STABLE_PRIVACY
_ROUTER, _OWN = 2, 3  # IFAPROT_KERNEL_RA, IFAPROT_KERNEL_LL
_ROUTE_SAID = {1, 4, 5, 6, 7, 8, 12, 15, 20}  # DST, OIF, GATEWAY, PRIORITY, PREFSRC, METRICS, CACHEINFO, TABLE, PREF
_ROUTE_FURTHER = {9: "several next hops", 18: "a next hop of the other family", 22: "an encapsulation", 30: "a nexthop"}
_METRICS = {2: "mtu", 3: "window", 8: "advmss", 11: "initcwnd", 14: "initrwnd", 16: "congestion control"}
_IPV6_METRIC = 1024  # IP6_RT_PRIO_USER
_RULE_FURTHER = {
    14: "a shortest prefix", 19: "a VRF", 20: "users", 22: "a protocol", 23: "ports", 24: "ports",
}  # fmt: skip


def is_leased(entry: Entry) -> bool:
    """Whether an address ends, so that somebody must have lent it."""
    return len(told := entry.attributes.get(6, b"")) >= 8 and struct.unpack_from("=II", told)[1] != FOREVER


def is_of_router(entry: Entry) -> bool:
    """Whether an IPv6 address came of a router's advertisement: by the kernel's word, else by its lease of a /64."""
    by_kernel = entry.attributes.get(11) == bytes([_ROUTER]) or bool(entry.flags & _MANAGED)
    return entry.family == socket.AF_INET6 and (by_kernel or (is_leased(entry) and entry.header[1] < 128))


def is_own(entry: Entry, mac: str) -> bool:
    """Whether an IPv6 address is the one that each link gives itself."""
    if entry.family != socket.AF_INET6 or entry.header[3] != 253:  # RT_SCOPE_LINK
        return False
    by_mac = _eui64(mac) == entry.attributes.get(1, b"")[8:]
    return by_mac or entry.attributes.get(11) == bytes([_OWN]) or bool(entry.flags & _STABLE)


def address(entry: Entry, link: str, routes: Iterable[Entry]) -> LastingAddress:
    """An address of a link, which has these routes."""
    found, length = entry.attributes, entry.header[1]
    own, other = found.get(2, found.get(1, b"")), found.get(1, b"")  # IFA_LOCAL, IFA_ADDRESS
    label = _text(found.get(3))
    network = ip_interface(f"{_ip(own)}/{length}").network
    broadcast = _ip(found[4]) if 4 in found else None
    usual = None if length >= 31 else str(getattr(network, "broadcast_address", ""))
    lifetime = found.get(6, b"")
    return LastingAddress(
        family=_family(entry),
        address=f"{_ip(own)}/{length}",
        peer=f"{_ip(other)}/{length}" if other != own else None,
        label=label if label and label != link else None,
        scope=_SCOPES.get(entry.header[3])
        if not (entry.family == socket.AF_INET6 and entry.header[3] == 253)
        else None,
        metric=_number(found.get(9)) or None,
        broadcast=broadcast if broadcast != usual and entry.family == socket.AF_INET and broadcast else None,
        silent=entry.family == socket.AF_INET and broadcast is None and length < 31,
        bare=bool(entry.flags & _NO_PREFIX_ROUTE)
        and not any(_leads_to(r, network.network_address.packed) for r in routes),
        deprecated=len(lifetime) >= 8 and struct.unpack_from("=I", lifetime)[0] == 0,
    )


def route(entry: Entry) -> LastingRoute:
    """A route by a link."""
    found = entry.attributes
    family, length, _, tos, table, _, scope, kind, flags = entry.header
    metrics = {key: _number(value) for key, value in attributes(found.get(8, b""))}
    further = [words for key, words in _ROUTE_FURTHER.items() if key in found]
    further += [f"attribute {key}" for key in sorted(found.keys() - _ROUTE_SAID - _ROUTE_FURTHER.keys())]
    further += [_METRICS.get(key, f"metric {key}") for key, value in metrics.items() if key not in (1, 2) and value]
    further += [*(["a locked MTU"] if metrics.get(1) else []), *(["a type of service"] if tos else [])]
    further += [
        *(["a preference"] if found.get(20, b"\0") != b"\0" else []),
        *(["a kind of its own"] if kind != 1 else []),
    ]
    metric = _number(found.get(6))
    usual_scope = 0 if 5 in found or family == socket.AF_INET6 else 253
    return LastingRoute(
        family=_family(entry),
        to=f"{_ip(found[1])}/{length}" if 1 in found else None,
        via=_ip(found[5]) if 5 in found else None,
        metric=metric if metric not in (0, _IPV6_METRIC if family == socket.AF_INET6 else 0) else None,
        table=number if (number := _number(found.get(15)) or table) != _MAIN else None,
        onlink=bool(flags & 4),
        source=_ip(found[7]) if 7 in found else None,
        scope=_SCOPES.get(scope, "global") if scope != usual_scope else None,
        mtu=metrics.get(2),
        further=tuple(further),
    )


def rule(entry: Entry) -> LastingRule:
    """A routing rule."""
    found = entry.attributes
    _, to_length, from_length, tos, table, action, flags = entry.header
    further = [words for key, words in _RULE_FURTHER.items() if found.get(key, b"").strip(b"\xff")]
    further += [*(["what it is not for"] if flags & 2 else []), *(["a type of service"] if tos else [])]
    further += ["an act of its own"] if action != 1 else []
    mark = _number(found.get(10))
    return LastingRule(
        family=_family(entry),
        priority=_number(found.get(6)),
        table=_number(found.get(15)) or table,
        source=f"{_ip(found[2])}/{from_length}" if 2 in found else None,
        to=f"{_ip(found[1])}/{to_length}" if 1 in found else None,
        incoming=_text(found.get(3)),
        outgoing=_text(found.get(17)),
        mark=f"{mark:#x}/{_number(found.get(16)) or FOREVER:#x}" if mark else None,
        further=tuple(further),
    )


def table(entry: Entry) -> int:
    """The routing table of a route, or that a rule looks up."""
    return _number(entry.attributes.get(15)) or entry.header[4]


_FURTHER = {
    "hello_time": (2, 200), "max_age": (3, 2000), "priority": (6, 32768), "group_fwd_mask": (9, 0),
    "multicast_router": (22, 1), "multicast_querier": (25, 0), "nf_call_iptables": (36, 0),
    "nf_call_ip6tables": (37, 0), "nf_call_arptables": (38, 0), "vlan_default_pvid": (39, 1),
}  # fmt: skip
"""Settings of a bridge beside those of `BridgeSettings`: IFLA_BR_..., and what the kernel starts with; centiseconds."""


def further_settings(data: bytes) -> Mapping[str, int]:
    """What a bridge's IFLA_INFO_DATA has that the kernel would not have set, and `BridgeSettings` does not tell."""
    found = dict(attributes(data))
    told = {name: int.from_bytes(found[key], sys.byteorder) for name, (key, _) in _FURTHER.items() if key in found}
    return {name: value for name, value in told.items() if value != _FURTHER[name][1]}


def is_changing(data: bytes) -> bool:
    """Whether a bridge's spanning tree is changing, while the kernel cuts its ageing time short."""
    return bool(_number(dict(attributes(data)).get(14)))  # IFLA_BR_TOPOLOGY_CHANGE


def _leads_to(entry: Entry, network: bytes) -> bool:
    """Whether it is the route to a network that comes with an address."""
    return entry.header[5] == KERNEL and entry.attributes.get(1) == network


def _eui64(mac: str) -> bytes:
    octets = bytes.fromhex(mac.replace(":", ""))
    return bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]


def _family(entry: Entry) -> int:
    return 4 if entry.family == socket.AF_INET else 6


def _ip(value: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


def _number(value: bytes | None) -> int:
    return int.from_bytes(value or b"", sys.byteorder)


def _text(value: bytes | None) -> str | None:
    return value.partition(b"\0")[0].decode(errors="replace") if value is not None else None
