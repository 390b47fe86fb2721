"""New links: what the kernel is to make, written by pyroute2; the only file that imports it.

pyroute2 knows the many settings that a kind of link has, under their names. Sending is left to `wire`: a link that is
made, marked and set up by one send is never found half made, whenever vmnet dies. What was set is read back.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

from vmnet.host.model import BridgeSettings
from vmnet.host.netlink import delete, set_mark, set_up
from vmnet.host.wire import CREATE, EXCLUSIVE, Line, Message

_NEW = 16  # RTM_NEWLINK
_NETLINK_HEADER = 16  # bytes of nlmsghdr, which `wire` writes


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
    data = {
        "IFLA_BR_FORWARD_DELAY": settings.forward_delay,
        "IFLA_BR_AGEING_TIME": settings.ageing,
        "IFLA_BR_STP_STATE": int(settings.stp),
        **({"IFLA_BR_VLAN_FILTERING": 1} if settings.vlan_filtering else {}),
        **({} if settings.multicast_snooping else {"IFLA_BR_MCAST_SNOOPING": 0}),
    }
    given = {"IFLA_IFNAME": name, "IFLA_MTU": mtu, **({"IFLA_ADDRESS": mac} if mac else {})}
    creation = _link(index, "bridge", given, data)
    return [
        Message(_NEW, creation, CREATE | EXCLUSIVE, f"Creating bridge {name}"),
        set_mark(index, alias, name, mtu),
        set_up(index, True, name),
    ]


def create_hostlink(name: str, mac: str, mtu: int, uplink: int, alias: str, index: int) -> list[Message]:
    """Create a macvlan in bridge mode on which the host has no address, mark it and set it up; for one send.

    Alias and IPv6 address mode go by themselves, and the index is ours, as of a bridge.

    Args:
        name: Its name.
        mac: Its MAC: the kernel sets up none that has the uplink's (EADDRINUSE).
        mtu: Bytes, the uplink's at most.
        uplink: Index of its lower link.
        alias: Its IFLA_IFALIAS, the mark of who made it.
        index: Its index, from `free_index`.
    """
    given = {"IFLA_IFNAME": name, "IFLA_ADDRESS": mac, "IFLA_MTU": mtu, "IFLA_LINK": uplink}
    creation = _link(index, "macvlan", given, {"IFLA_MACVLAN_MODE": "bridge"})
    return [
        Message(_NEW, creation, CREATE | EXCLUSIVE, f"Creating hostlink {name}"),
        set_mark(index, alias, name),
        set_up(index, True, name),
    ]


def free_index(taken: Collection[int]) -> int:
    """An index for a new link, far from those that the kernel counts up to by itself."""
    while (index := 1 << 20 | secrets.randbits(20)) in taken:
        pass
    return index


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


def _link(index: int, kind: str, given: dict[str, Any], data: dict[str, Any]) -> bytes:
    """The body of a message that makes a link: header and attributes, by their names in linux/if_link.h."""
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    message = ifinfmsg()
    message["index"] = index
    info = [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": list(data.items())})]
    message["attrs"] = [*given.items(), ("IFLA_LINKINFO", {"attrs": info})]
    message.encode()
    return bytes(message.data)[_NETLINK_HEADER:]
