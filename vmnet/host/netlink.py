"""What changes the host's links, behind a few typed verbs: the only file that imports pyroute2.

pyroute2 ignores keyword arguments that it does not know, without a word: each verb here fixes their names,
and the applier reads back, with `rtnetlink`, what was set.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vmnet.errors import VmnetError
from vmnet.host.rtnetlink import refused

_NTF_MASTER = 0x04  # the entry is the bridge's, not the port's own
_ADDR_GEN_MODE_NONE = 1  # IN6_ADDR_GEN_MODE_NONE


class Netlink:
    """A line to the kernel, opened by its first verb; a context manager.

    Its verbs raise `VmnetError` (``netlink-<errno>``).
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "_ip" in vars(self):
            self._ip.close()

    @cached_property
    def _ip(self) -> Any:
        from pyroute2 import IPRoute

        return IPRoute(ext_ack=True, strict_check=True)

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
            index = socket.if_nametoindex(name)
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

    def set_mode(self, index: int, mode: str) -> None:
        """Set the mode of a macvtap: vepa, bridge or private; the kernel takes no other on one that is there."""
        with _told(f"Setting the mode of link {index} to {mode}"):
            self._ip.link("set", index=index, kind="macvtap", macvtap_mode=mode)

    def set_address(self, index: int, mac: str) -> None:
        """Give a link another MAC, up or down as it is; some drivers take one only while it is down (EBUSY)."""
        with _told(f"Setting the MAC of link {index} to {mac}", busy="Set the link down for it: ip link set DEV down"):
            self._ip.link("set", index=index, address=mac)

    def set_master(self, index: int, master: int | None) -> None:
        """Make a link a port of `master`, or of nothing."""
        doing = f"Making link {index} a port of link {master}" if master else f"Releasing port {index}"
        with _told(doing):
            self._ip.link("set", index=index, master=master or 0)

    def forget(self, port: int, mac: str, vlan: int | None) -> None:
        """Have a bridge forget that it heard a station at a port, in a VLAN or in none; it may have already."""
        tagged = {} if vlan is None else {"vlan": vlan}
        try:
            with _told(f"Having the bridge of link {port} forget {mac}"):
                self._ip.fdb("del", ifindex=port, lladdr=mac, flags=_NTF_MASTER, **tagged)
        except VmnetError as error:
            if error.code != "netlink-enoent":
                raise

    def delete(self, index: int) -> None:
        """Delete a link; what is stacked on it goes with it."""
        with _told(f"Deleting link {index}"):
            self._ip.link("del", index=index)


def make_ready() -> None:
    """Import pyroute2 now: it takes a while, which a guest may not have once the change is under way."""
    import pyroute2.netlink.exceptions  # noqa: F401 - to be imported is all


@contextmanager
def _told(doing: str, *, busy: str = "") -> Iterator[None]:
    """Raise what the kernel refuses as an error for a person, with its own words, and what EBUSY calls for here."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except NetlinkError as error:
        told = refused(doing, error.code, str(error.args[1]) if len(error.args) > 1 else "")
        if busy and error.code == errno.EBUSY:
            told.remedy = busy
        raise told from error
    except OSError as error:
        raise refused(doing, error.errno or 0) from error
