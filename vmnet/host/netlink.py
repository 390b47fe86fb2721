"""The messages that change links, each typed: what is unknown to the kernel, or none of its business, cannot be asked.

What was set is read back by who sends them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator
from pathlib import Path
from struct import Struct

from vmnet.host.model import BridgeSettings
from vmnet.host.wire import CREATE, EXCLUSIVE, Line, Message, attribute, packed

_NEW, _DELETE = 16, 17  # RTM_NEWLINK, RTM_DELLINK
_HEADER = Struct("=BxHiII")  # ifinfomsg: family, hardware type, index, flags, change mask
_UP = 0x1  # IFF_UP
_ADDRESS, _NAME, _MTU, _MASTER, _INFO, _ALIAS, _AF_SPEC = 1, 3, 4, 10, 18, 20, 26  # IFLA_...
_KIND, _DATA = 1, 2  # IFLA_INFO_KIND, IFLA_INFO_DATA
_FORWARD_DELAY, _AGEING, _STP, _VLAN_FILTERING, _SNOOPING = 1, 4, 5, 7, 23  # IFLA_BR_...
_MACVTAP_MODE = 1  # IFLA_MACVLAN_MODE
_MODES = {"private": 1, "vepa": 2, "bridge": 4}
_INET6, _GEN_MODE = 10, 8  # AF_INET6, IFLA_INET6_ADDR_GEN_MODE
_NO_ADDRESS = 1  # IN6_ADDR_GEN_MODE_NONE
_U32 = Struct("=I")


def create_bridge(
    name: str, mac: str | None, mtu: int, settings: BridgeSettings, alias: str, index: int
) -> list[Message]:
    """Create a bridge on which the host has no address, mark it and set it up; for one send.

    The MAC goes into the creation: a bridge without one takes the lowest of its ports' and changes it whenever a lower
    one joins (Linux 6.18). Alias and IPv6 address mode do not: the kernel ignores them there. The mode is none, or the
    host would be on the guests' LAN by a link-local address and the next router's word. We choose the index, so that
    no other link, which may have the name already, can be meant by the messages behind the first.

    Args:
        name: Its name.
        mac: Its MAC; None leaves it to the kernel.
        mtu: Bytes.
        settings: Its settings; VLAN filtering and snooping go along only if they are not the kernel's.
        alias: Its IFLA_IFALIAS, the mark of who made it.
        index: Its index, from `free_index`.
    """
    given = [(_NAME, os.fsencode(name) + b"\0"), (_MTU, _U32.pack(mtu))]
    if mac:
        given.append((_ADDRESS, bytes.fromhex(mac.replace(":", ""))))
    given.append((_INFO, packed([(_KIND, b"bridge\0"), (_DATA, packed(_bridge_data(settings)))])))
    doing = f"Creating bridge {name}"
    marks = [(_ALIAS, os.fsencode(alias)), *_no_ipv6_address()]
    return [
        Message(_NEW, _HEADER.pack(0, 0, index, 0, 0) + packed(given), CREATE | EXCLUSIVE, doing),
        _set(index, f"Marking bridge {name}", *marks),
        set_up(index, True, name),
    ]


def free_index(taken: Collection[int]) -> int:
    """An index for a new link, far from those that the kernel counts up to by itself."""
    while (index := 1 << 20 | secrets.randbits(20)) in taken:
        pass
    return index


def set_up(index: int, up: bool, name: str = "") -> Message:
    """Set a link up or down."""
    doing = f"Setting {name or f'link {index}'} {'up' if up else 'down'}"
    return Message(_NEW, _HEADER.pack(0, 0, index, _UP if up else 0, _UP), 0, doing)


def set_mode(index: int, mode: str) -> Message:
    """Set the mode of a macvtap: vepa, bridge or private; the kernel takes no other on one that is there."""
    data = packed([(_MACVTAP_MODE, _U32.pack(_MODES[mode]))])
    info = packed([(_KIND, b"macvtap\0"), (_DATA, data)])
    return _set(index, f"Setting the mode of link {index} to {mode}", (_INFO, info))


def set_address(index: int, mac: str) -> Message:
    """Give a link another MAC, up or down as it is; some drivers take one only while it is down (EBUSY)."""
    value = bytes.fromhex(mac.replace(":", ""))
    return _set(
        index,
        f"Setting the MAC of link {index} to {mac}",
        (_ADDRESS, value),
        busy="Set the link down for it: ip link set DEV down",
    )


def set_mtu(index: int, mtu: int) -> Message:
    """Give a link another MTU, in bytes."""
    return _set(index, f"Setting the MTU of link {index} to {mtu}", (_MTU, _U32.pack(mtu)))


def set_master(index: int, master: int | None) -> Message:
    """Make a link a port of `master`, or of nothing."""
    doing = f"Making link {index} a port of link {master}" if master else f"Releasing port {index}"
    return _set(index, doing, (_MASTER, _U32.pack(master or 0)))


def set_bridge_data(index: int, data: bytes) -> Message:
    """Give a bridge settings as they were dumped (IFLA_INFO_DATA)."""
    info = packed([(_KIND, b"bridge\0"), (_DATA, data)])
    return _set(index, f"Setting what bridge {index} is to do", (_INFO, info))


def delete(index: int) -> Message:
    """Delete a link; what is stacked on it goes with it."""
    return Message(_DELETE, _HEADER.pack(0, 0, index, 0, 0), 0, f"Deleting link {index}")


def make(line: Line, messages: list[Message], index: int) -> None:
    """Send the messages that make a link; if it came about but for a part of them, it goes again.

    Raises:
        VmnetError: As `Line.do`.
    """
    refusals = line.send(messages)
    if not refusals:
        return
    if refusals[0].message is not messages[0]:
        line.send([delete(index)])
    raise refusals[0].error()


def _set(index: int, doing: str, *attributes: tuple[int, bytes], busy: str = "") -> Message:
    return Message(_NEW, _HEADER.pack(0, 0, index, 0, 0) + packed(attributes), 0, doing, busy)


def _bridge_data(settings: BridgeSettings) -> Iterator[tuple[int, bytes]]:
    yield _FORWARD_DELAY, _U32.pack(settings.forward_delay)
    yield _AGEING, _U32.pack(settings.ageing)
    yield _STP, _U32.pack(settings.stp)
    if settings.vlan_filtering:
        yield _VLAN_FILTERING, b"\1"
    if not settings.multicast_snooping:
        yield _SNOOPING, b"\0"


def _no_ipv6_address() -> list[tuple[int, bytes]]:
    """The attribute that keeps the kernel from giving the link an address; none where it has no IPv6."""
    if not Path("/proc/sys/net/ipv6").exists():
        return []
    return [(_AF_SPEC, attribute(_INET6, attribute(_GEN_MODE, bytes([_NO_ADDRESS]))))]
