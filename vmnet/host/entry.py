"""One entry of a kernel's table, kept as it was dumped: what is to be given back is not to pass through a translation.

Only the place of the link in it is known, the few parts that the kernel tells otherwise than it takes them, and how
two entries are the same to whoever uses the host.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from struct import Struct
from typing import Any

from vmnet.host.parts import (
    FOREVER,
    ONLINK,
    USER_HZ,
    Lifetime,
    a_hop,
    as_single,
    each_hop,
    expiry,
    number,
    plain_hops,
    ways,
)
from vmnet.host.wire import APPEND, CREATE, EXCLUSIVE, REPLACE, Message, attributes, nests, packed
from vmnet.values import dataclass

# Names and numbers of linux/if_addr.h, rtnetlink.h, neighbour.h and fib_rules.h.
_INDEX = Struct("=I")
_ADDRESS, _LOCAL, _LABEL, _LIFETIME, _FLAGS = 1, 2, 3, 6, 8  # IFA_...
_OIF, _METRIC, _MULTIPATH, _CACHEINFO, _EXPIRES, _NEXTHOP = 4, 6, 9, 12, 23, 30  # RTA_...
_IIFNAME, _RULE_PRIORITY, _OIFNAME = 3, 6, 17  # FRA_IIFNAME, FRA_PRIORITY, FRA_OIFNAME
_DST, _LLADDR, _NEIGHBOUR_EXTRAS = 1, 2, (12, 15)  # NDA_DST, NDA_LLADDR; NDA_PROTOCOL, NDA_FLAGS_EXT
_TENTATIVE, _FAILED = 0x40, 0x08  # IFA_F_TENTATIVE, IFA_F_DADFAILED
_NODAD, _SECONDARY = 0x02, 0x01  # IFA_F_NODAD; IFA_F_SECONDARY, which in IPv6 is IFA_F_TEMPORARY
_GIVEN = 0x200 | 0x400 | 0x10 | 0x100  # IFA_F_NOPREFIXROUTE, MCAUTOJOIN, HOMEADDRESS, MANAGETEMPADDR: what one may set
_INVERTED = 0x2  # FIB_RULE_INVERT
_PROXY, _PERMANENT, _NOARP, _STALE = 0x08, 0x80, 0x40, 0x04  # NTF_PROXY, NUD_PERMANENT, NUD_NOARP, NUD_STALE
_MADE_BY_KERNEL, _BY_RA, _LOCAL_TABLE = 2, 9, 255  # RTPROT_KERNEL, RTPROT_RA, RT_TABLE_LOCAL
_PROTO, _KERNEL_LL = 11, 3  # IFA_PROTO, IFAPROT_KERNEL_LL
_V6 = socket.AF_INET6


class Kind(Enum):
    """A table: the type that makes an entry (RTM_NEW...; that which deletes is one more), and its header."""

    ADDRESS = 20, Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index
    ROUTE = 24, Struct("=BBBBBBBBI")  # rtmsg: family, two lengths, TOS, table, protocol, scope, type, flags
    NEIGHBOUR = 28, Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
    RULE = 32, Struct("=BBBBBxxBI")  # fib_rule_hdr: family, two lengths, TOS, table, action, flags

    @property
    def new(self) -> int:
        """The type that makes an entry."""
        return self.value[0]

    @property
    def header(self) -> Struct:
        """What an entry begins with."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Entry:
    """An address, a route, a rule or a neighbour.

    Args:
        kind: Which of them.
        body: As the kernel dumped it: header and attributes.
        advertised: Whether it is a route that the kernel has by a router's word, and keeps by that (RTF_ADDRCONF):
            rtnetlink can neither show nor say so (Linux 6.18).
    """

    kind: Kind
    body: bytes
    advertised: bool = False

    @property
    def header(self) -> tuple[int, ...]:
        """The fields of its header."""
        return self.kind.header.unpack_from(self.body)

    @property
    def attributes(self) -> dict[int, bytes]:
        """Its attributes by type."""
        return dict(_parsed(self))

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return self.body[0]

    @property
    def links(self) -> tuple[int | str, ...]:
        """The links that it is by: indexes, of a rule names."""
        found = self.attributes
        match self.kind:
            case Kind.ADDRESS:
                return (self.header[4],)
            case Kind.NEIGHBOUR:
                return (self.header[1],)
            case Kind.RULE:
                return tuple(_name(found[key]) for key in (_IIFNAME, _OIFNAME) if key in found)
            case Kind.ROUTE:
                hops = tuple(index for _, _, index, _ in each_hop(found.get(_MULTIPATH, b"")))
                return hops or ((number(found[_OIF]),) if _OIF in found else ())

    @property
    def is_bookkeeping(self) -> bool:
        """Whether it is a route that the kernel keeps for its own addresses."""
        _, _, _, _, table, protocol, *_ = self.header if self.kind is Kind.ROUTE else (0,) * 6
        return protocol == _MADE_BY_KERNEL and table == _LOCAL_TABLE

    @property
    def is_kernel_made(self) -> bool:
        """Whether it is a route that the kernel makes for an address, or a link-local address of its own making."""
        if self.kind is Kind.ADDRESS:
            return self.attributes.get(_PROTO) == bytes([_KERNEL_LL])
        return self.kind is Kind.ROUTE and self.header[5] == _MADE_BY_KERNEL

    @property
    def is_passing(self) -> bool:
        """Whether it goes by itself, in time."""
        found = self.attributes
        match self.kind:
            case Kind.ADDRESS:
                return Lifetime.of(found).valid != FOREVER
            case Kind.ROUTE:
                return expiry(found) > 0
        return False

    @property
    def net(self) -> tuple[int, bytes]:
        """Length and network of an address, and of the route that the kernel makes for it."""
        length, found = self.header[1], self.attributes.get(_ADDRESS, b"")  # RTA_DST has its number
        bits = len(found) * 8
        number = int.from_bytes(found) >> max(bits - length, 0) << max(bits - length, 0)
        return length, number.to_bytes(len(found)) if length else b""

    @property
    def local(self) -> tuple[int | str, bytes]:
        """Of an address, and of the route by which the kernel listens for it: its link, and itself."""
        found = self.attributes
        key = found.get(_LOCAL) or found.get(_ADDRESS) if self.kind is Kind.ADDRESS else found.get(_ADDRESS)
        return (self.links or (0,))[0], key or b""  # RTA_DST has the number of IFA_ADDRESS

    @property
    def is_listened_for(self) -> bool:
        """Whether it is an IPv6 address that is in use, or about to be."""
        return self.family == _V6 and not self.flags & (_TENTATIVE | _FAILED)

    @property
    def is_lasting(self) -> bool:
        """Whether it is a neighbour that somebody put down: the kernel did not find it, and it is no group."""
        _, _, state, flags, _ = self.header
        group = (self.attributes.get(_LLADDR) or b"\1")[0] & 1
        return bool(state & _PERMANENT or flags & _PROXY or (state & _NOARP and not group))

    @property
    def rank(self) -> tuple[int, int]:
        """Of a rule, its family and priority."""
        return self.family, number(self.attributes.get(_RULE_PRIORITY, b""))

    @property
    def has_nexthop(self) -> bool:
        """Whether it is a route by a nexthop object."""
        return self.kind is Kind.ROUTE and _NEXTHOP in self.attributes

    @property
    def flags(self) -> int:
        """Of an address, all of them (IFA_F_...)."""
        return number(self.attributes[_FLAGS]) if _FLAGS in self.attributes else self.header[2]

    @property
    def is_secondary(self) -> bool:
        """Whether it is an IPv4 address behind another of its net, with which the kernel takes it away."""
        return self.kind is Kind.ADDRESS and self.family != _V6 and bool(self.flags & _SECONDARY)

    @property
    def is_temporary(self) -> bool:
        """Whether it is an IPv6 privacy address, which the kernel alone makes."""
        return self.kind is Kind.ADDRESS and self.family == _V6 and bool(self.flags & _SECONDARY)

    @property
    def lasting(self) -> Entry | None:
        """The address without an end; None where it has none, or is none."""
        if self.kind is not Kind.ADDRESS or Lifetime.of(self.attributes).valid == FOREVER:
            return None
        return self._with({**self.attributes, _LIFETIME: Lifetime(FOREVER, FOREVER).packed()})

    def single_hops(self) -> tuple[Entry, ...]:
        """Of an IPv6 route over several links, each hop as a route: they are one only where they are shown."""
        found = self.attributes
        if self.kind is not Kind.ROUTE or self.family != _V6 or _MULTIPATH not in found:
            return (self,)
        return tuple(self._with({**found, _MULTIPATH: a_hop(*hop)}) for hop in each_hop(found[_MULTIPATH]))

    def onto(self, source: tuple[str, int], target: tuple[str, int]) -> Entry:
        """The same by another link, each told by name and index."""
        (name, index), (new_name, new_index) = source, target
        header, found = list(self.header), self.attributes
        match self.kind:
            case Kind.ADDRESS:
                header[4] = new_index
                if _LABEL in found:
                    found[_LABEL] = _named(_relabelled(_name(found[_LABEL]), name, new_name))
            case Kind.NEIGHBOUR:
                header[1] = new_index
            case Kind.RULE:
                for key in (_IIFNAME, _OIFNAME):
                    if key in found and _name(found[key]) == name:
                        found[key] = _named(new_name)
            case Kind.ROUTE:
                if _OIF in found and number(found[_OIF]) == index:
                    found[_OIF] = _INDEX.pack(new_index)
                if _MULTIPATH in found:
                    hops = each_hop(found[_MULTIPATH])
                    found[_MULTIPATH] = b"".join(a_hop(f, n, new_index if i == index else i, m) for f, n, i, m in hops)
        return self._with(found, tuple(header))

    def copied(self, behind: int) -> Entry:
        """Of a route that the kernel has by a router's word, what may be made in its place until the next word.

        It must not be equal to the kernel's: what the kernel finds made by somebody else it takes for a failure, and
        it does not read on in the router's word to the addresses there (ndisc_router_discovery, Linux 6.18).

        Args:
            behind: By how much it is behind the kernel's; another for each router, or they would become one route.
        """
        found = self.attributes
        return self._with({**found, _METRIC: _INDEX.pack(number(found.get(_METRIC, b"")) + behind)}, advertised=False)

    def lasting_as(self, other: Entry, elapsed: float) -> Entry:
        """The same, to last as long as another of its kind does that was read so many seconds later."""
        found, told = self.attributes, other.attributes
        match self.kind:
            case Kind.ADDRESS:
                return self._with({**found, _LIFETIME: Lifetime.of(told).after(-elapsed).packed()})
            case Kind.ROUTE if _CACHEINFO in found and _CACHEINFO in told:
                left = expiry(told)
                info = bytearray(found[_CACHEINFO])
                Struct("=i").pack_into(info, 8, left + round(elapsed * USER_HZ) if left else 0)
                return self._with({**found, _CACHEINFO: bytes(info)})
        return self

    def place(self) -> tuple[Any, ...]:
        """What only one of a kind can be, or need be: by it an entry is known again that was renewed or changed."""
        return _place(self)

    def _place(self) -> tuple[Any, ...]:
        header, found = self.header, self.attributes
        match self.kind:
            case Kind.ADDRESS:
                return self.kind.name, self.family, 0 if self.family == _V6 else header[1], self.local
            case Kind.ROUTE:
                family, to, source, tos, table, protocol, _, kind, _ = header
                metric = b"" if protocol == _BY_RA else found.get(_METRIC, b"")
                given = tuple(found.get(key, b"") for key in (1, 2, 15))  # RTA_DST, RTA_SRC, RTA_TABLE
                return self.kind.name, family, to, source, tos, table, kind, metric, given, ways(found)
            case Kind.RULE:
                return self.key()
            case Kind.NEIGHBOUR:
                return self.kind.name, self.family, header[1], header[3] & _PROXY, found.get(_DST, b"")

    def key(self) -> tuple[Any, ...]:
        """What it is to whoever uses the host: equal for entries that do the same by the same link."""
        return _key(self)

    def _key(self) -> tuple[Any, ...]:
        header, found = self.header, self.attributes
        match self.kind:
            case Kind.ADDRESS:
                forever = Lifetime.of(found).valid == FOREVER
                family, length, _, scope, index = header
                flags = self.flags & (_GIVEN | (_SECONDARY if family != _V6 else 0))
                kept = _without(found, _LIFETIME, _FLAGS)
                return self.kind.name, family, length, scope, index, flags, forever, kept
            case Kind.ROUTE:
                *fields, flags = header
                told, weight = as_single(found)
                expires = fields[5] != _MADE_BY_KERNEL and expiry(found) > 0
                return self.kind.name, *fields, flags & ONLINK, weight, expires, _without(told, _CACHEINFO)
            case Kind.RULE:
                *fields, flags = header
                return self.kind.name, *fields, flags & _INVERTED, _without(found)
            case Kind.NEIGHBOUR:
                return self.kind.name, *header, _without(self._neighbour(found))

    def add(self, elapsed: float, *, dad: bool = False) -> Message | None:
        """What makes it; None when it has expired since it was read.

        Args:
            elapsed: Seconds since it was read.
            dad: Whether an IPv6 address is to be as it was; without, it is one that nobody need be asked about first.
        """
        header, found = self.header, self.attributes
        flags = {Kind.ROUTE: CREATE | APPEND, Kind.RULE: CREATE | EXCLUSIVE}.get(self.kind, CREATE | REPLACE)
        match self.kind:
            case Kind.ADDRESS:
                good = Lifetime.of(found).after(elapsed)
                if good.valid == 0:
                    return None
                given = self.flags & (_GIVEN | _NODAD)
                family, length, _, scope, index = header
                header = (family, length, 0, scope, index)
                found |= {
                    _LIFETIME: good.packed(),
                    _FLAGS: _INDEX.pack(given if dad or family != _V6 else given | _NODAD),
                }
            case Kind.ROUTE:
                header = (*header[:8], header[8] & ONLINK)
                if left := expiry(found):
                    if left / USER_HZ <= elapsed:
                        return None
                    found[_EXPIRES] = _INDEX.pack(max(1, round(left / USER_HZ - elapsed)))
                found.pop(_CACHEINFO, None)
                if _MULTIPATH in found:
                    found[_MULTIPATH] = plain_hops(found[_MULTIPATH])
            case Kind.RULE:
                header = (*header[:6], header[6] & _INVERTED)
            case Kind.NEIGHBOUR:
                if not self.is_lasting:
                    header = (*header[:2], _STALE, *header[3:])
                found = self._neighbour(found)
        return Message(self.kind.new, self._with(found, header).body, flags, f"Adding {self.text()}")

    def delete(self) -> Message:
        """What takes it away."""
        header, found = self.header, self.attributes
        match self.kind:
            case Kind.ROUTE:
                header = (*header[:8], 0)
                found.pop(_CACHEINFO, None)
                if _MULTIPATH in found:
                    found[_MULTIPATH] = plain_hops(found[_MULTIPATH])
            case Kind.RULE:
                header = (*header[:6], header[6] & _INVERTED)
            case Kind.NEIGHBOUR:
                found = {_DST: found.get(_DST, b"")}
            case Kind.ADDRESS:
                found = {key: value for key, value in found.items() if key in (_ADDRESS, _LOCAL, _LABEL)}
        return Message(self.kind.new + 1, self._with(found, header).body, 0, f"Removing {self.text()}")

    def order(self) -> tuple[Any, ...]:
        """Where it belongs among others: what leads to a gateway comes before what goes by it, and what might be taken
        for the way to a gateway after what needs the gateway.
        """
        if self.kind is not Kind.ROUTE:
            return ()
        found = self.attributes
        hops = [dict(attributes(more)) for _, _, _, more in each_hop(found.get(_MULTIPATH, b""))]
        by_gateway = any(key in a for a in (found, *hops) for key in (5, 18))  # RTA_GATEWAY, RTA_VIA
        return by_gateway, -self.header[1], -number(found.get(_METRIC, b""))

    def text(self) -> str:
        """For people: ``192.0.2.1/24``, ``default via 192.0.2.254``, ``rule 1000``."""
        found, family = self.attributes, self.family
        match self.kind:
            case Kind.ADDRESS:
                return f"{_ip(family, found.get(_LOCAL) or found.get(_ADDRESS))}/{self.header[1]}"
            case Kind.ROUTE:
                to = f"{_ip(family, found[1])}/{self.header[1]}" if 1 in found else "default"  # RTA_DST
                via = f" via {_ip(family, found[5])}" if 5 in found else ""  # RTA_GATEWAY
                return f"route {to}{via}"
            case Kind.RULE:
                return f"rule {number(found.get(_RULE_PRIORITY, b''))}"
            case Kind.NEIGHBOUR:
                return f"neighbour {_ip(family, found.get(_DST))}"

    def _whole(self) -> tuple[Any, ...] | None:
        """What the hops of one IPv6 route have in common; None for what is no hop."""
        if self.kind is not Kind.ROUTE or self.family != _V6 or _MULTIPATH not in (found := self.attributes):
            return None
        return *self.header, _without(found, _MULTIPATH, _CACHEINFO)

    def _neighbour(self, found: dict[int, bytes]) -> dict[int, bytes]:
        """Of a neighbour's attributes those that say what it is, not what has become of it."""
        return {key: value for key, value in found.items() if key in (_DST, _LLADDR, *_NEIGHBOUR_EXTRAS)}

    def _with(
        self, found: dict[int, bytes], header: tuple[int, ...] | None = None, *, advertised: bool | None = None
    ) -> Entry:
        nested = nests(self.body, self.kind.header.size)  # ip6t, seg6 and the like ask for the mark (lwtunnel)
        pairs = ((key | nested.get(key, 0), value) for key, value in found.items())
        body = self.kind.header.pack(*(header or self.header)) + packed(pairs)
        return Entry(self.kind, body, self.advertised if advertised is None else advertised)


def forget() -> None:
    """Let go of what was worked out of entries: each move has its own, and a process may make a thousand."""
    for known in (_parsed, _key, _place):
        known.cache_clear()


def joined(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, with neighbouring hops of one IPv6 route as one: the kernel asks of each whether it is reached."""
    found: list[Entry] = []
    for e in entries:
        before = found[-1] if found else None
        if before and before._whole() is not None and before._whole() == e._whole():
            hops = before.attributes[_MULTIPATH] + e.attributes[_MULTIPATH]
            found[-1] = before._with({**before.attributes, _MULTIPATH: hops})
        else:
            found.append(e)
    return found


# A move looks at every entry again and again; on a host with thousands of routes that is its time.


@lru_cache(maxsize=1 << 16)
def _parsed(entry: Entry) -> dict[int, bytes]:
    return dict(attributes(entry.body[entry.kind.header.size :]))


@lru_cache(maxsize=1 << 16)
def _key(entry: Entry) -> tuple[Any, ...]:
    return entry._key()


@lru_cache(maxsize=1 << 16)
def _place(entry: Entry) -> tuple[Any, ...]:
    return entry._place()


def _without(found: dict[int, bytes], *keys: int) -> tuple[tuple[int, bytes], ...]:
    return tuple(sorted((key, value) for key, value in found.items() if key not in keys))


def _relabelled(label: str, name: str, new_name: str) -> str:
    """The label under another link's name, cut to what the kernel takes (15)."""
    return (new_name + label.removeprefix(name))[:15] if label.startswith(name) else new_name


def _name(value: bytes) -> str:
    return os.fsdecode(value.partition(b"\0")[0])


def _named(name: str) -> bytes:
    return os.fsencode(name) + b"\0"


def _ip(family: int, value: bytes | None) -> str:
    return socket.inet_ntop(family, value) if value and len(value) in (4, 16) else "?"
