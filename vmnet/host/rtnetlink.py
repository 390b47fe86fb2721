"""Read the kernel's network tables as values, over a raw rtnetlink line; needs no root.

An attribute that is unknown, odd or cut off is not looked at. What changes links is in `netlink`.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
from collections.abc import Callable, Iterator
from struct import Struct
from types import TracebackType
from typing import Generic, Self, TypeVar

from vmnet.host.model import Address, BridgeSettings, Host, Learned, Link, Neighbour, PortState, Route
from vmnet.host.wire import Attributes, Line, aligned, attribute, attributes
from vmnet.values import dataclass

T = TypeVar("T")

# Names and numbers of linux/netlink.h, rtnetlink.h, if_link.h, neighbour.h and if_bridge.h.
_GROUP_LINK, _GROUP_NEIGHBOUR = 1, 4  # RTMGRP_LINK, RTMGRP_NEIGH
_LARGEST = 1 << 16  # the kernel sends 32 KiB at once at most (netlink_dump, Linux 6.18)

_UP, _LOOPBACK = 0x1, 0x8  # IFF_UP, IFF_LOOPBACK
_ETHERNET = 1  # ARPHRD_ETHER
_OPERSTATES = dict(enumerate(("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")))
_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthrough", 16: "source"}
_MODED = ("macvlan", "macvtap")
_PORT_STATES = dict(enumerate(PortState))
_SKIP_STATISTICS = attribute(29, Struct("=I").pack(8))  # IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
_FAMILIES: dict[int, int] = {socket.AF_INET: 4, socket.AF_INET6: 6}
_SIZES: dict[int, int] = {socket.AF_INET: 4, socket.AF_INET6: 16}
_HOP = Struct("=HBBi")  # rtnexthop: length, flags, hops, index
_SCOPE_LINK, _TABLE_LOCAL = 253, 255  # RT_SCOPE_LINK, RT_TABLE_LOCAL
_CLONED, _MADE_BY_KERNEL = 0x200, 2  # RTM_F_CLONED, RTPROT_KERNEL
_NO_ARP = 0x40  # NUD_NOARP: multicast and such, nobody's answer
_CONFIRMED = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # NUD_REACHABLE, STALE, DELAY, PROBE, PERMANENT
_NOT_LEARNED = 0x40 | 0x80  # NUD_NOARP: somebody's own entry; NUD_PERMANENT: the bridge's
_TOLD = 0x10 | 0x40  # NTF_EXT_LEARNED, NTF_STICKY: somebody else keeps it


def read() -> Host:
    """Every link, address, route and neighbour; wireless is unknown to rtnetlink and left False.

    Raises:
        VmnetError: The kernel did not answer (``netlink-...``).
    """
    with Line() as line:
        return Host(dump(line, LINKS), dump(line, ADDRESSES), dump(line, ROUTES), dump(line, NEIGHBOURS))


def ends() -> Host:
    """Links and neighbours alone: all of a host that a guest's NIC meets. Raises as `read`."""
    with Line() as line:
        return Host(dump(line, LINKS), neighbours=dump(line, NEIGHBOURS))


def links() -> tuple[Link, ...]:
    """Every link. Raises as `read`."""
    with Line() as line:
        return dump(line, LINKS)


def learned() -> tuple[Learned, ...]:
    """What every bridge has learned by itself of where stations are. Raises as `read`."""
    with Line() as line:
        return dump(line, FORWARDING)


class LinkEvents:
    """Wakes when any link changes, as a context manager: subscribe, look, and only then wait.

    Args:
        neighbours: Whether to wake when any neighbour changes, too.
    """

    def __init__(self, *, neighbours: bool = False) -> None:
        self._groups = _GROUP_LINK | (_GROUP_NEIGHBOUR if neighbours else 0)

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
        self._socket.bind((0, self._groups))
        self._socket.setblocking(False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """What becomes readable with a change."""
        return self._socket.fileno()

    def wait(self, timeout: float) -> bool:
        """Wait for a change of any link, at most `timeout` seconds; say whether there was one."""
        if not select.select([self._socket], [], [], max(timeout, 0))[0]:
            return False
        self.clear()
        return True

    def clear(self) -> None:
        """Take note of the changes so far."""
        try:
            while self._socket.recv(_LARGEST):
                pass
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # events were lost: all the more reason to look again
                raise


# Asking for a table.


@dataclass(frozen=True, slots=True)
class Table(Generic[T]):
    """A table of the kernel's.

    Args:
        name: What it is of, in a word.
        ask: Type of the request (RTM_GET...); that of its answers is two less (RTM_NEW...).
        header: What request and answers begin with; a request for everything has it all zeros.
        decode: The value of an answer's header and attributes; None for one that is not wanted, or makes no sense.
        attributes: Those of the request.
        family: That of the request, with which every header begins.
    """

    name: str
    ask: int
    header: Struct
    decode: Callable[[tuple[int, ...], Attributes], T | None]
    attributes: bytes = b""
    family: int = 0

    @property
    def request(self) -> bytes:
        """What asks for everything."""
        return bytes([self.family]).ljust(self.header.size, b"\0") + self.attributes

    def value(self, answer: bytes) -> T | None:
        """The value of one answer."""
        if len(answer) < self.header.size:
            return None
        return self.decode(self.header.unpack_from(answer), dict(attributes(answer, self.header.size)))


def dump(line: Line, table: Table[T]) -> tuple[T, ...]:
    """Every value of a table. Raises as `Line.dump`."""
    answers = line.dump(table.name, table.ask, table.request)
    return tuple(value for value in map(table.value, answers) if value is not None)


# From answers to values.


def _link(header: tuple[int, ...], found: Attributes) -> Link | None:
    hardware, index, flags, _ = header
    if 3 not in found:  # IFLA_IFNAME
        return None
    info = dict(attributes(found.get(18, b"")))  # IFLA_LINKINFO
    kind, data = _text(info.get(1)), dict(attributes(info.get(2, b"")))  # IFLA_INFO_KIND, IFLA_INFO_DATA
    return Link(
        index=index,
        name=_text(found[3]) or "",
        kind=kind,
        mac=_mac(found.get(1)),  # IFLA_ADDRESS
        permanent=_mac(found.get(54)),  # IFLA_PERM_ADDRESS
        mtu=_number(found.get(4)),  # IFLA_MTU
        up=bool(flags & _UP),
        carrier=bool(_number(found.get(33))),  # IFLA_CARRIER
        operstate=_OPERSTATES.get(_number(found.get(16)), "unknown"),  # IFLA_OPERSTATE
        master=_number(found[10]) if 10 in found else None,  # IFLA_MASTER
        lower=_number(found.get(5)) or (_number(data.get(3)) if kind == "vxlan" else 0) or None,  # ..._LINK, VXLAN_LINK
        lower_netns=_number(found[37], signed=True) if 37 in found else None,  # IFLA_LINK_NETNSID
        mode=_MODES.get(_number(data.get(1))) if kind in _MODED else None,  # IFLA_MACVLAN_MODE
        alias=_text(found.get(20)),  # IFLA_IFALIAS
        altnames=tuple(_text(name) or "" for key, name in attributes(found.get(52, b"")) if key == 53),
        loopback=bool(flags & _LOOPBACK),
        ethernet=hardware == _ETHERNET,
        bridge=_bridge(data) if kind == "bridge" else None,
        port=_port(info),
        isolated=_is_isolated(info),
    )


def _is_isolated(info: Attributes) -> bool:
    """Whether a port's IFLA_INFO_SLAVE_DATA has IFLA_BRPORT_ISOLATED set."""
    return any(_number(value) for key, value in attributes(info.get(5, b"")) if key == 33)


def _bridge(data: Attributes) -> BridgeSettings:
    return BridgeSettings(
        stp=bool(_number(data.get(5))),  # IFLA_BR_STP_STATE
        forward_delay=_number(data.get(1)),  # IFLA_BR_FORWARD_DELAY
        vlan_filtering=bool(_number(data.get(7))),  # IFLA_BR_VLAN_FILTERING
        ageing=_number(data.get(4)),  # IFLA_BR_AGEING_TIME
        multicast_snooping=bool(_number(data.get(23))),  # IFLA_BR_MCAST_SNOOPING
    )


def _port(info: Attributes) -> PortState | None:
    if _text(info.get(4)) != "bridge":  # IFLA_INFO_SLAVE_KIND
        return None
    data = dict(attributes(info.get(5, b"")))  # IFLA_INFO_SLAVE_DATA
    return _PORT_STATES.get(_number(data.get(1)))  # IFLA_BRPORT_STATE


def _address(header: tuple[int, ...], found: Attributes) -> Address | None:
    family, length, _, scope, index = header
    # IFA_LOCAL is the address; IFA_ADDRESS is the peer's on point-to-point links, and all there is for IPv6.
    address = _ip(family, found.get(2) or found.get(1))
    if address is None:
        return None
    return Address(
        index=index,
        family=_FAMILIES[family],
        address=f"{address}/{length}",
        link_local=family == socket.AF_INET6 and scope == _SCOPE_LINK,
    )


def _route(header: tuple[int, ...], found: Attributes) -> Route | None:
    family, length, _, _, table, protocol, _, _, flags = header
    table = _number(found.get(15)) or table  # RTA_TABLE
    if family not in _FAMILIES or table == _TABLE_LOCAL or flags & _CLONED:
        return None
    destination = _ip(family, found.get(1))  # RTA_DST
    # RTA_MULTIPATH, RTA_OIF
    several = tuple(_hops(family, found[9])) if 9 in found else ((_number(found.get(4)), _gateway(family, found)),)
    return Route(
        family=_FAMILIES[family],
        destination=f"{destination}/{length}" if destination else "default",
        links=tuple(dict.fromkeys(index for index, _ in several if index)),
        gateways=tuple((index, gateway) for index, gateway in several if index and gateway),
        table=table,
        kernel_made=protocol == _MADE_BY_KERNEL,
    )


def _gateway(family: int, found: Attributes) -> str | None:
    """The next hop of a route, or of one of its hops."""
    via = found.get(18, b"")  # RTA_VIA: a family, and an address of that
    return _ip(family, found.get(5)) or _ip(_number(via[:2]), via[2:])  # RTA_GATEWAY


def _hops(family: int, data: bytes) -> Iterator[tuple[int, str | None]]:
    """Link and next hop of each way of a route over several; nonsense ends them."""
    at = 0
    while at + _HOP.size <= len(data):
        length, _, _, index = _HOP.unpack_from(data, at)
        if length < _HOP.size:
            return
        yield index, _gateway(family, dict(attributes(data[at + _HOP.size : at + length])))
        at += aligned(length)


def _neighbour(header: tuple[int, ...], found: Attributes) -> Neighbour | None:
    family, index, state, _, _ = header
    address, mac = _ip(family, found.get(1)), found.get(2)  # NDA_DST, NDA_LLADDR
    if address is None or not mac or state & _NO_ARP:
        return None
    return Neighbour(
        index=index,
        family=_FAMILIES[family],
        address=address,
        mac=mac.hex(":"),
        confirmed=bool(state & _CONFIRMED),
    )


def _learned(header: tuple[int, ...], found: Attributes) -> Learned | None:
    _, index, state, flags, _ = header
    mac, bridge = found.get(2), _number(found.get(9))  # NDA_LLADDR, NDA_MASTER
    if not mac or not bridge or state & _NOT_LEARNED or flags & _TOLD:
        return None
    return Learned(bridge, index, mac.hex(":"), _number(found[5]) if 5 in found else None)  # NDA_VLAN


def _number(value: bytes | None, *, signed: bool = False) -> int:
    """A number of any size; 0 for none."""
    return int.from_bytes(value or b"", sys.byteorder, signed=signed)


def _mac(value: bytes | None) -> str | None:
    return value.hex(":") if value else None


def _text(value: bytes | None) -> str | None:
    """A text, whatever its bytes are; `os.fsencode` gives them back."""
    return None if value is None else os.fsdecode(value.partition(b"\0")[0])


def _ip(family: int, value: bytes | None) -> str | None:
    """An IP address; None if it is none of its family."""
    if value is None or len(value) != _SIZES.get(family):
        return None
    return socket.inet_ntop(family, value)


# The headers are ifinfomsg (hardware type, index, flags, change mask), ifaddrmsg (family, prefix length, flags, scope,
# index), rtmsg (family, lengths of destination and source, TOS, table, protocol, scope, type, flags) and ndmsg
# (family, index, state, flags, type).
LINKS = Table("link", 18, Struct("=xxHiII"), _link, _SKIP_STATISTICS)
ADDRESSES = Table("address", 22, Struct("=BBBBi"), _address)
ROUTES = Table("route", 26, Struct("=BBBBBBBBI"), _route)
NEIGHBOURS = Table("neighbour", 30, Struct("=BxxxiHBB"), _neighbour)
FORWARDING = Table("forwarding", 30, Struct("=BxxxiHBB"), _learned, family=socket.AF_BRIDGE)
