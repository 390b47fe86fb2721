"""The messages that change links that are there, each typed: what the kernel does not know cannot be asked.

What was set is read back by who sends them.
"""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct

from vmnet.host.wire import Message, attribute, packed

_NEW, _DELETE = 16, 17  # RTM_NEWLINK, RTM_DELLINK
_HEADER = Struct("=BxHiII")  # ifinfomsg: family, hardware type, index, flags, change mask
_UP = 0x1  # IFF_UP
_ADDRESS, _MTU, _MASTER, _INFO, _ALIAS, _AF_SPEC = 1, 4, 10, 18, 20, 26  # IFLA_...
_KIND, _DATA = 1, 2  # IFLA_INFO_KIND, IFLA_INFO_DATA
_PORT_KIND, _PORT_DATA, _ISOLATED = 4, 5, 33  # IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_ISOLATED
_MACVTAP_MODE = 1  # IFLA_MACVLAN_MODE
_MODES = {"private": 1, "vepa": 2, "bridge": 4}
_INET6, _TOKEN, _GEN_MODE = 10, 7, 8  # AF_INET6, IFLA_INET6_TOKEN, IFLA_INET6_ADDR_GEN_MODE
_NO_ADDRESS = 1  # IN6_ADDR_GEN_MODE_NONE
_DELETE_NEIGHBOUR, _NEIGHBOUR = 29, Struct("=BxxxiHBB")  # RTM_DELNEIGH, ndmsg
_BRIDGE, _OF_MASTER, _LLADDR, _VLAN = 7, 0x04, 2, 5  # AF_BRIDGE, NTF_MASTER, NDA_LLADDR, NDA_VLAN
_U16, _U32 = Struct("=H"), Struct("=I")

IPV6_MTU = 1280
"""Bytes that a link must take at once to have IPv6 (RFC 8200, 5)."""


def set_up(index: int, up: bool, name: str = "") -> Message:
    """Set a link up or down."""
    doing = f"Setting {name or f'link {index}'} {'up' if up else 'down'}"
    return Message(_NEW, _HEADER.pack(0, 0, index, _UP if up else 0, _UP), 0, doing)


def set_mark(index: int, alias: str, name: str, mtu: int = IPV6_MTU) -> Message:
    """Give a new link of this MTU its alias, the mark of who made it, and keep the kernel from giving it addresses."""
    return _set(index, f"Marking {name}", (_ALIAS, os.fsencode(alias)), *_no_ipv6_address(mtu))


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


def set_isolated(index: int) -> Message:
    """Cut a port of a bridge off from the other isolated ports."""
    data = packed([(_ISOLATED, b"\1")])
    info = packed([(_PORT_KIND, b"bridge\0"), (_PORT_DATA, data)])
    return _set(index, f"Isolating port {index}", (_INFO, info))


def set_bridge_data(index: int, data: bytes) -> Message:
    """Give a bridge settings as they were dumped (IFLA_INFO_DATA)."""
    info = packed([(_KIND, b"bridge\0"), (_DATA, data)])
    return _set(index, f"Setting what bridge {index} is to do", (_INFO, info))


def set_port_data(index: int, data: bytes) -> Message:
    """Give a port of a bridge settings as they were dumped (IFLA_INFO_SLAVE_DATA)."""
    info = packed([(_PORT_KIND, b"bridge\0"), (_PORT_DATA, data)])
    return _set(index, f"Setting what port {index} is to do", (_INFO, info))


def set_token(index: int, token: str) -> Message:
    """Give a link its token, in hexadecimal digits, or none."""
    value = attribute(_TOKEN, bytes.fromhex(token) or bytes(16))
    return _set(index, f"Setting the token of link {index}", (_AF_SPEC, attribute(_INET6, value)))


def forget(port: int, mac: str, vlan: int | None) -> Message:
    """Have a bridge forget that it heard a station at a port, in a VLAN or in none."""
    header = _NEIGHBOUR.pack(_BRIDGE, port, 0, _OF_MASTER, 0)
    given = [(_LLADDR, bytes.fromhex(mac.replace(":", "")))]
    given += [] if vlan is None else [(_VLAN, _U16.pack(vlan))]
    return Message(_DELETE_NEIGHBOUR, header + packed(given), 0, f"Having the bridge of link {port} forget {mac}")


def delete(index: int) -> Message:
    """Delete a link; what is stacked on it goes with it."""
    return Message(_DELETE, _HEADER.pack(0, 0, index, 0, 0), 0, f"Deleting link {index}")


def _set(index: int, doing: str, *attributes: tuple[int, bytes], busy: str = "") -> Message:
    return Message(_NEW, _HEADER.pack(0, 0, index, 0, 0) + packed(attributes), 0, doing, busy)


def _no_ipv6_address(mtu: int) -> list[tuple[int, bytes]]:
    """The attribute that keeps the kernel from giving the link an address; none where it has no IPv6 (EAFNOSUPPORT)."""
    if mtu < IPV6_MTU or not Path("/proc/sys/net/ipv6").exists():
        return []
    return [(_AF_SPEC, attribute(_INET6, attribute(_GEN_MODE, bytes([_NO_ADDRESS]))))]
