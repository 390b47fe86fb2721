"""The kernel's rtnetlink behind a few typed verbs: the only file that imports pyroute2.

pyroute2 ignores keyword arguments that it does not know, without a word: each verb here fixes their names,
and the applier reads back what was set.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from vmnet.errors import VmnetError
from vmnet.host.model import Address, BridgeSettings, Host, Link, Neighbour, PortState, Route

T = TypeVar("T")

_DUMP_TRIES = 5
_DUMP_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: pyroute2 0.9.7 declares NetlinkDumpInterrupted but never raises it
_SKIP_STATISTICS = 8  # RTEXT_FILTER_SKIP_STATS
_ADDR_GEN_MODE_NONE = 1  # IN6_ADDR_GEN_MODE_NONE
_GROUP_LINK = 1  # RTMGRP_LINK
_UP, _LOOPBACK = 0x1, 0x8  # IFF_UP, IFF_LOOPBACK
_ETHERNET = 1  # ARPHRD_ETHER
_FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 6}
_SCOPE_LINK = 253  # RT_SCOPE_LINK
_TABLE_LOCAL = 255  # RT_TABLE_LOCAL
_CLONED = 0x200  # RTM_F_CLONED
_MADE_BY_KERNEL = 2  # RTPROT_KERNEL
_NO_ARP = 0x40  # NUD_NOARP: multicast and such, nobody's answer
_CONFIRMED = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # NUD_REACHABLE, STALE, DELAY, PROBE, PERMANENT
_MODED = ("macvlan", "macvtap")

_REMEDIES = {
    errno.EPERM: "Run it as root",
    errno.EACCES: "Run it as root",
    errno.EBUSY: "A macvlan, macvtap or ipvlan on the link, perhaps in a container's namespace, or another "
    "master holds it: remove that first",
    errno.EEXIST: "Something made it in the meantime: run the command again to plan with what is there now",
    errno.ENODEV: "The link went away in the meantime: run the command again",
}


class Netlink:
    """An open line to the kernel, a context manager; its verbs raise `VmnetError` (``netlink-<errno>``)."""

    def __enter__(self) -> Self:
        from pyroute2 import IPRoute

        with _told("Talking to the kernel over netlink"):
            self._ip = IPRoute(ext_ack=True, strict_check=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ip.close()

    def dump(self) -> Host:
        """Every link, address, route and neighbour; wireless is unknown to rtnetlink and left False."""
        return Host(
            self.links(),
            _values(_address, steady("address", self._ip.addr)),
            _values(_route, steady("route", self._ip.route)),
            _values(_neighbour, steady("neighbour", self._ip.neigh)),
        )

    def links(self) -> tuple[Link, ...]:
        """Every link."""
        return _values(_link, steady("link", self._ip.link, ext_mask=_SKIP_STATISTICS))

    def create_bridge(self, name: str, mac: str | None, mtu: int, *, stp: bool, forward_delay: int, alias: str) -> int:
        """Create a bridge on which the host has no address, and set it up; it must not exist.

        The MAC goes into the creation: a bridge without one takes the lowest of its ports' and changes it
        whenever a lower one joins (Linux 6.18). Alias and IPv6 address mode do not: the kernel ignores them there.
        The mode is none, or the host would be on the guests' LAN by a link-local address and the next router's word.

        Args:
            name: Its name.
            mac: Its MAC; None leaves it to the kernel.
            mtu: Bytes.
            stp: Whether it speaks STP.
            forward_delay: Centiseconds.
            alias: Its IFLA_IFALIAS, the mark of who made it.

        Returns:
            Its index.
        """
        given = {"address": mac} if mac else {}
        with _told(f"Creating bridge {name}"):
            self._ip.link(
                "add",
                ifname=name,
                kind="bridge",
                mtu=mtu,
                br_stp_state=int(stp),
                br_forward_delay=forward_delay,
                **given,
            )
            index = int(self._ip.link_lookup(ifname=name)[0])
            try:
                self._ip.link("set", index=index, ifalias=alias, **self._no_ipv6_address())
                self._ip.link("set", index=index, state="up")
            except BaseException:
                self._ip.link("del", index=index)
                raise
        return index

    def _no_ipv6_address(self) -> dict[str, Any]:
        """The part of a message that keeps the kernel from giving the link an address; none where it has no IPv6."""
        if not Path("/proc/sys/net/ipv6").exists():
            return {}
        mode = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _ADDR_GEN_MODE_NONE)]}
        return {"IFLA_AF_SPEC": {"attrs": [("AF_INET6", mode)]}}

    def set_up(self, index: int, up: bool) -> None:
        """Set a link up or down."""
        with _told(f"Setting link {index} {'up' if up else 'down'}"):
            self._ip.link("set", index=index, state="up" if up else "down")

    def set_master(self, index: int, master: int | None) -> None:
        """Make a link a port of `master`, or of nothing."""
        doing = f"Making link {index} a port of link {master}" if master else f"Releasing port {index}"
        with _told(doing):
            self._ip.link("set", index=index, master=master or 0)

    def delete(self, index: int) -> None:
        """Delete a link; what is stacked on it goes with it."""
        with _told(f"Deleting link {index}"):
            self._ip.link("del", index=index)


class LinkEvents:
    """Wakes when any link changes, as a context manager: subscribe, look, and only then wait."""

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
        self._socket.bind((0, _GROUP_LINK))
        self._socket.setblocking(False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def wait(self, timeout: float) -> bool:
        """Wait for a change of any link, at most `timeout` seconds; say whether there was one."""
        if not select.select([self._socket], [], [], max(timeout, 0))[0]:
            return False
        try:
            while self._socket.recv(65536):
                pass
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # events were lost: all the more reason to look again
                raise
        return True


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Raise what the kernel refuses as an error for a person, with the kernel's own words."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except (NetlinkError, OSError) as error:
        number = error.code if isinstance(error, NetlinkError) else error.errno or 0
        name = errno.errorcode.get(number, str(number))
        raise VmnetError(
            f"netlink-{name.lower()}",
            f"{doing} failed",
            why=f"The kernel says: {error.args[1] if len(error.args) > 1 else os.strerror(number)} ({name})",
            remedy=_REMEDIES.get(number, ""),
        ) from error


def steady(what: str, verb: Callable[..., Iterable[Any]], **options: int) -> list[Any]:
    """One whole dump of a table: again while the kernel says that it changed under the dump.

    Args:
        what: The table, in a word.
        verb: pyroute2's verb for it.
        options: Of the verb.

    Raises:
        VmnetError: The kernel refused, or the table never kept still (``netlink-unsteady``).
    """
    with _told(f"Reading the {what} table"):
        for _ in range(_DUMP_TRIES):
            messages = list(verb("dump", **options))
            if not any(m["header"]["flags"] & _DUMP_INTERRUPTED for m in messages):
                return messages
    raise VmnetError(
        "netlink-unsteady",
        f"The {what} table could not be read in one piece",
        why=f"It changed during each of {_DUMP_TRIES} reads",
        remedy="Try again when the host's network is quieter",
    )


def _values(decode: Callable[[Any], T | None], messages: list[Any]) -> tuple[T, ...]:
    return tuple(value for value in map(decode, messages) if value is not None)


# From messages to values. Attributes that pyroute2 does not know yet are not looked at.


def _link(message: Any) -> Link:
    kind = message.get(("linkinfo", "kind"))
    mode = message.get(("linkinfo", "data", f"{kind}_mode")) if kind in _MODED else None
    named = message.get("prop_list")
    return Link(
        index=message["index"],
        name=message.get("ifname"),
        kind=kind,
        mac=message.get("address"),
        mtu=message.get("mtu"),
        up=bool(message["flags"] & _UP),
        carrier=bool(message.get("carrier")),
        operstate=(message.get("operstate") or "unknown").lower(),
        master=message.get("master"),
        lower=message.get("link") or None,
        lower_netns=message.get("link_netnsid"),
        mode="passthrough" if mode == "passthru" else mode,
        alias=message.get("ifalias"),
        altnames=tuple(text for key, text in named["attrs"] if key == "IFLA_ALT_IFNAME") if named else (),
        loopback=bool(message["flags"] & _LOOPBACK),
        ethernet=message["ifi_type"] == _ETHERNET,
        bridge=_bridge(message) if kind == "bridge" else None,
        port=_port(message),
    )


def _bridge(message: Any) -> BridgeSettings:
    def setting(name: str) -> int:
        return message.get(("linkinfo", "data", f"br_{name}")) or 0

    return BridgeSettings(bool(setting("stp_state")), setting("forward_delay"), bool(setting("vlan_filtering")))


def _port(message: Any) -> PortState | None:
    if message.get(("linkinfo", "slave_kind")) != "bridge":
        return None
    return dict(enumerate(PortState)).get(message.get(("linkinfo", "slave_data", "state")))


def _address(message: Any) -> Address | None:
    family = _FAMILIES.get(message["family"])
    # IFA_LOCAL is the address; IFA_ADDRESS is the peer's on point-to-point links, and all there is for IPv6.
    address = message.get("local") or message.get("address")
    if family is None or address is None:
        return None
    return Address(
        index=message["index"],
        family=family,
        address=f"{address}/{message['prefixlen']}",
        link_local=family == 6 and message["scope"] == _SCOPE_LINK,
    )


def _route(message: Any) -> Route | None:
    family = _FAMILIES.get(message["family"])
    table = message.get("table") or message["table"]
    if family is None or table == _TABLE_LOCAL or message["flags"] & _CLONED:
        return None
    hops = message.get("multipath") or [{"oif": message.get("oif")}]
    destination = message.get("dst")
    return Route(
        family=family,
        destination=f"{destination}/{message['dst_len']}" if destination else "default",
        links=tuple(dict.fromkeys(hop["oif"] for hop in hops if hop["oif"])),
        gateway=message.get("gateway") or (message.get("via") or {}).get("addr"),
        table=table,
        kernel_made=message["proto"] == _MADE_BY_KERNEL,
    )


def _neighbour(message: Any) -> Neighbour | None:
    family, mac = _FAMILIES.get(message["family"]), message.get("lladdr")
    if family is None or mac is None or message["state"] & _NO_ARP:
        return None
    return Neighbour(
        index=message["ifindex"],
        family=family,
        address=message.get("dst"),
        mac=mac,
        confirmed=bool(message["state"] & _CONFIRMED),
    )
