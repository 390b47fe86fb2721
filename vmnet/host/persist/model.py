"""A bridge as it is to be at every boot, in words that no network manager calls its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, TypeAlias

from vmnet.findings import Finding
from vmnet.host.managers import Manager
from vmnet.host.model import PLAIN, BridgeSettings
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingAddress:
    """An address that is the host's own, not leased.

    Args:
        family: 4 or 6.
        address: With its prefix: ``192.0.2.1/24``.
        peer: The other end, with its prefix, of a point-to-point address.
        label: Of IPv4, where it is not the link's name.
        scope: ``link`` or ``host``; None for all the world.
        metric: Of the route to its network, where it is not the kernel's.
        broadcast: Where it is not that of its network.
        silent: Whether an IPv4 address has none, though its network would; nobody misses it.
        bare: Whether its network is not on the link (noprefixroute).
        deprecated: Whether it is for nothing new (preferred lifetime 0).
    """

    family: int
    address: str
    peer: str | None = None
    label: str | None = None
    scope: str | None = None
    metric: int | None = None
    broadcast: str | None = None
    silent: bool = False
    bare: bool = False
    deprecated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingRoute:
    """A route that somebody gave, not learned.

    Args:
        family: 4 or 6.
        to: Prefix; None for all that no other route is for.
        via: Next hop.
        metric: None where it is the kernel's.
        table: None for the main one.
        onlink: Whether the next hop is on the link whatever the addresses say.
        source: Preferred source address.
        scope: Where it is not what follows from having a next hop: ``link`` or ``global``.
        mtu: Bytes.
        further: What else it has, in words: ``several next hops``.
    """

    family: int
    to: str | None
    via: str | None = None
    metric: int | None = None
    table: int | None = None
    onlink: bool = False
    source: str | None = None
    scope: str | None = None
    mtu: int | None = None
    further: tuple[str, ...] = ()

    def text(self) -> str:
        """For people: ``default via 192.0.2.254 table 100``."""
        table = f" table {self.table}" if self.table else ""
        return f"route {self.to or 'default'}{f' via {self.via}' if self.via else ''}{table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingRule:
    """A routing rule that is about the bridge or its routes' tables.

    Args:
        family: 4 or 6.
        priority: Its place.
        table: Where it looks.
        source: From which prefix.
        to: To which prefix.
        incoming: By which link it came in.
        outgoing: By which link it is bound to leave.
        mark: Firewall mark, with its mask: ``0x1/0xff``.
        further: What else it has, in words.
    """

    family: int
    priority: int
    table: int
    source: str | None = None
    to: str | None = None
    incoming: str | None = None
    outgoing: str | None = None
    mark: str | None = None
    further: tuple[str, ...] = ()

    def text(self) -> str:
        """For people."""
        return f"rule {self.priority}"


@dataclass(frozen=True, slots=True)
class Port:
    """A port that leads to a LAN: its name, MAC, MTU in bytes, and kind (None for hardware)."""

    name: str
    mac: str | None
    mtu: int
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """A bridge as it is to be at every boot.

    Args:
        name: Its name.
        mac: Its MAC.
        mtu: Bytes.
        settings: How it forwards.
        further: What else it is set to, otherwise than the kernel would, by name.
        ports: Those that lead to a LAN.
        addresses: The host's own, in order.
        routes: Those that were given to it.
        rules: Those that are about it.
        dhcp4: Whether IPv4 addresses are leased.
        dhcp6: Whether IPv6 addresses are.
        ra: Whether routers are listened to for IPv6.
        ipv6: Whether IPv6 is on at all.
        name_servers: Whom names are asked of, where no lease says.
        search: In which domains.
    """

    name: str
    mac: str
    mtu: int = 1500
    settings: BridgeSettings = PLAIN
    further: Mapping[str, int] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    addresses: tuple[LastingAddress, ...] = ()
    routes: tuple[LastingRoute, ...] = ()
    rules: tuple[LastingRule, ...] = ()
    dhcp4: bool = False
    dhcp6: bool = False
    ra: bool = False
    ipv6: bool = True
    name_servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NativeFile:
    """A file of a network manager's.

    Args:
        path: Where.
        text: All of it.
        mode: Its permissions.
    """

    path: Path
    text: str
    mode: int

    def document(self) -> dict[str, Any]:
        """The file as a JSON-able mapping with stable keys."""
        return {"path": str(self.path), "mode": f"{self.mode:04o}", "text": self.text}


Texts: TypeAlias = Mapping[Path, str]
"""The files in which a manager is told what to do, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How one network manager is told.

    Args:
        name: What to call it.
        managers: Whose links are to be told in it.
        reads: Where the manager looks, folders in falling order of weight, and what its files are called.
        says: What can be said in it: names of fields, such as ``route.table``.
        files: The files that say it.
        clashes: What its manager's other files say against it.
        claims: Which of them are about the bridge or its ports.
        leases: Which of them has IPv4 leased there; empty if none.
        effect: How it comes to work before the next boot, in a sentence; ``{bridge}`` stands for the bridge's name.
    """

    name: str
    managers: frozenset[Manager]
    reads: tuple[tuple[str, str], ...]
    says: frozenset[str]
    files: Callable[[Lasting, Texts], tuple[NativeFile, ...]]
    clashes: Callable[[Lasting, Texts], Iterator[Finding]]
    claims: Callable[[Lasting, Texts], Iterator[str]]
    leases: Callable[[Lasting, Texts], str]
    effect: str
