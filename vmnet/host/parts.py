"""The parts of a kernel's entry that are more than a number: lifetimes, and the hops of a route."""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct

from vmnet.host.wire import aligned, attributes, padded
from vmnet.values import dataclass

# Names and numbers of linux/if_addr.h and rtnetlink.h.
_HOP = Struct("=HBBi")  # rtnexthop: length, flags, hops, index
_OIF, _MULTIPATH, _CACHEINFO = 4, 9, 12  # RTA_...
_GATEWAY, _VIA = 5, 18  # RTA_GATEWAY, RTA_VIA
_LIFETIME = 6  # IFA_CACHEINFO
_INDEX = Struct("=I")

FOREVER = 0xFFFFFFFF
"""INFINITY_LIFE_TIME: of an address that does not go by itself."""

ONLINK = 4
"""RTNH_F_ONLINK: the other flags are what the kernel has to say, and refuses to be told."""

USER_HZ = os.sysconf("SC_CLK_TCK")
"""Ticks a second in which the kernel tells what is left of a route."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Seconds for which an address is preferred and valid (ifa_cacheinfo)."""

    preferred: int
    valid: int

    @classmethod
    def of(cls, found: dict[int, bytes]) -> Lifetime:
        """That of an address with these attributes."""
        told = found.get(_LIFETIME, b"")
        return cls(*Struct("=II").unpack_from(told)) if len(told) >= 8 else cls(FOREVER, FOREVER)

    def after(self, elapsed: float) -> Lifetime:
        """What is left of it after so many seconds."""
        return Lifetime(*(n if n == FOREVER else max(0, round(n - elapsed)) for n in (self.preferred, self.valid)))

    def packed(self) -> bytes:
        """It as the kernel takes it."""
        return Struct("=IIII").pack(self.preferred, self.valid, 0, 0)


def expiry(found: dict[int, bytes]) -> int:
    """Ticks of USER_HZ that a route has left, as rta_cacheinfo tells them; 0 for one that stays."""
    told = found.get(_CACHEINFO, b"")
    return max(0, Struct("=i").unpack_from(told, 8)[0]) if len(told) >= 12 else 0


def each_hop(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Flags, weight, link and attributes of each hop of a route over several; nonsense ends them."""
    at = 0
    while at + _HOP.size <= len(data):
        length, flags, weight, index = _HOP.unpack_from(data, at)
        if not _HOP.size <= length <= len(data) - at:
            return
        yield flags, weight, index, data[at + _HOP.size : at + length]
        at += aligned(length)


def a_hop(flags: int, weight: int, index: int, more: bytes) -> bytes:
    """One hop, padded to where the next begins."""
    return padded(_HOP.pack(_HOP.size + len(more), flags, weight, index) + more)


def plain_hops(data: bytes) -> bytes:
    """The hops without what the kernel has to say of them."""
    return b"".join(a_hop(flags & ONLINK, weight, index, more) for flags, weight, index, more in each_hop(data))


def ways(found: dict[int, bytes]) -> tuple[tuple[int, bytes], ...]:
    """Link and gateway of each hop of a route."""
    hops = [(index, dict(attributes(more))) for _, _, index, more in each_hop(found.get(_MULTIPATH, b""))]
    hops = hops or [(number(found.get(_OIF, b"")), found)]
    return tuple((index, told.get(_GATEWAY) or told.get(_VIA, b"")) for index, told in hops)


def as_single(found: dict[int, bytes]) -> tuple[dict[int, bytes], int]:
    """A route's attributes and weight, a single hop as that of a route that never had several.

    While the same IPv6 route is on two links, the kernel shows the two as one of two hops (Linux 6.18).
    """
    if _MULTIPATH not in found:
        return found, 0
    hops = list(each_hop(found[_MULTIPATH]))
    if len(hops) != 1:
        return {**found, _MULTIPATH: plain_hops(found[_MULTIPATH])}, 0
    ((_, weight, index, more),) = hops
    rest = {key: value for key, value in found.items() if key != _MULTIPATH}
    return {**rest, _OIF: _INDEX.pack(index), **dict(attributes(more))}, weight


def number(value: bytes) -> int:
    """A number of four bytes; 0 for anything else."""
    return _INDEX.unpack(value)[0] if len(value) == 4 else 0
