"""The host's network as values: links, addresses, routes, neighbours, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from functools import cached_property

from vmnet.values import dataclass

GUEST_PORTS = frozenset({"tun", "macvtap", "ipvtap"})
"""Kinds of link whose other end is a file that a process holds open, such as QEMU."""

STACKED_ON_MAC = frozenset({"macvlan", "macvtap", "ipvlan", "ipvtap"})
"""Kinds that take the one receive handler of their lower link, so that it cannot be a port (EBUSY)."""

PAIRED = frozenset({"veth", "netkit", "vxcan"})
"""Kinds whose IFLA_LINK is the other end of a pair, not a link below."""


class PortState(StrEnum):
    """What a bridge does with the frames of a port (IFLA_BRPORT_STATE, in the kernel's order)."""

    DISABLED = "disabled"
    LISTENING = "listening"
    LEARNING = "learning"
    FORWARDING = "forwarding"
    BLOCKING = "blocking"


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """What makes a bridge forward the way it does.

    Args:
        stp: Whether a spanning tree is spoken, by the kernel or by a daemon.
        forward_delay: Centiseconds in each of listening and learning; felt only with STP.
        vlan_filtering: Whether ports are filtered by VLAN.
        ageing: Centiseconds for which it remembers behind which port a MAC is.
        multicast_snooping: Whether multicast goes only where it was asked for.
    """

    stp: bool = False
    forward_delay: int = 0
    vlan_filtering: bool = False
    ageing: int = 30000
    multicast_snooping: bool = True


PLAIN = BridgeSettings()
"""Settings by which every port forwards at once, to all that are there."""


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """How a bridge over an uplink is wished; None leaves it as it would be.

    Args:
        stp: Whether it speaks STP; else it does not.
        forward_delay: Centiseconds; else none, with STP 15 s.
        ageing: Centiseconds; else 300 s.
        mac: Its MAC; else the uplink's.
        mtu: Bytes; else the uplink's.
        multicast_snooping: Whether multicast goes only where it was asked for; else it does.
        vlan_filtering: Whether ports are filtered by VLAN; else they are not.
        without_address: Whether the host is to have no address on it.
    """

    stp: bool | None = None
    forward_delay: int | None = None
    ageing: int | None = None
    mac: str | None = None
    mtu: int | None = None
    multicast_snooping: bool | None = None
    vlan_filtering: bool | None = None
    without_address: bool = False

    @property
    def settings(self) -> BridgeSettings:
        """The settings of a bridge that is made so."""
        given = {name: value for name in _SETTINGS if (value := getattr(self, name)) is not None}
        return BridgeSettings(**{**({"forward_delay": 1500} if self.stp else {}), **given})

    def differing(self, bridge: BridgeSettings) -> tuple[str, ...]:
        """The settings that are wished otherwise than `bridge` has them."""
        return tuple(
            name for name in _SETTINGS if (value := getattr(self, name)) is not None and value != getattr(bridge, name)
        )


_SETTINGS = tuple(f.name for f in fields(BridgeSettings))

MARK = "vmnet:"
"""What the alias (IFLA_IFALIAS) of every link that vmnet makes begins with."""

MOVED = "+moved"
"""What the alias of a hostlink ends with that was made to carry what its uplink did."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Where a bridge has heard a station, and sends what is for it.

    Args:
        bridge: Index of the bridge.
        port: Index of its port.
        mac: The station's.
        vlan: In which VLAN, if the bridge tells them apart.
    """

    bridge: int
    port: int
    mac: str
    vlan: int | None


@dataclass(frozen=True, slots=True)
class Identity:
    """What a link was when it was looked at: a name alone may pass to another link meanwhile."""

    name: str
    index: int
    mac: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network link as the kernel shows it.

    Args:
        index: The kernel's number, unique in the namespace.
        name: Its name, at most 15 bytes.
        kind: IFLA_INFO_KIND (bridge, macvtap, tun, veth, ...); None for hardware.
        mac: Lower case, colons; None when it has none.
        permanent: The MAC that its hardware came with; None when it has none.
        mtu: Bytes.
        up: Whether it was set up.
        carrier: Whether it sees its medium.
        operstate: RFC 2863 state in lower case.
        master: Index of the bridge, bond, team, switch or VRF it belongs to.
        lower: Index of the link below it, or of the other end of a pair (IFLA_LINK).
        lower_netns: Namespace id where `lower` counts, when it is not this one.
        mode: Mode of a macvlan or macvtap, in libvirt's words (``passthrough``).
        alias: IFLA_IFALIAS, free text.
        altnames: Further names.
        loopback: Whether it is a loopback.
        ethernet: Whether it carries Ethernet frames.
        wireless: Whether it is an 802.11 link.
        bridge: Settings, when it is a bridge.
        port: State, when it is a port of a bridge.
        isolated: Whether that bridge keeps it from its other isolated ports.
    """

    index: int
    name: str
    kind: str | None = None
    mac: str | None = None
    permanent: str | None = None
    mtu: int = 1500
    up: bool = True
    carrier: bool = True
    operstate: str = "up"
    master: int | None = None
    lower: int | None = None
    lower_netns: int | None = None
    mode: str | None = None
    alias: str | None = None
    altnames: tuple[str, ...] = ()
    loopback: bool = False
    ethernet: bool = True
    wireless: bool = False
    bridge: BridgeSettings | None = None
    port: PortState | None = None
    isolated: bool = False

    @property
    def identity(self) -> Identity:
        """What tells this link from any other."""
        return Identity(self.name, self.index, self.mac)

    @property
    def is_ours(self) -> bool:
        """Whether vmnet made it."""
        return bool(self.alias and self.alias.startswith(MARK))

    @property
    def is_bridge(self) -> bool:
        """Whether it is a Linux bridge."""
        return self.kind == "bridge"

    @property
    def is_hostlink(self) -> bool:
        """Whether it is a macvlan: the host's own end beside the macvtaps of its uplink."""
        return self.kind == "macvlan"

    @property
    def carries_uplinks(self) -> bool:
        """Whether vmnet made it to carry what its uplink did."""
        return self.is_ours and bool(self.alias and self.alias.endswith(MOVED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An IP address of a link, with its prefix: ``192.0.2.1/24``."""

    index: int
    family: int
    address: str
    link_local: bool = False
    """An IPv6 address of link scope: every link that is up has one, and the kernel makes it anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route that is not the kernel's own bookkeeping of local addresses.

    Args:
        family: 4 or 6.
        destination: Prefix, or ``default``.
        links: Indexes of the links it leaves by; several for multipath.
        gateways: Link and address of each next hop.
        table: Routing table.
        kernel_made: It came with an address, and goes with it.
    """

    family: int
    destination: str
    links: tuple[int, ...]
    gateways: tuple[tuple[int, str], ...] = ()
    table: int = 254
    kernel_made: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An IP address that the host has seen at a MAC.

    Args:
        index: The link it was seen on.
        family: 4 or 6.
        address: IP address.
        mac: MAC, lower case.
        confirmed: Whether the kernel has had an answer (not merely tried, not failed).
    """

    index: int
    family: int
    address: str
    mac: str
    confirmed: bool = True


@dataclass(frozen=True)
class Host:
    """One observation of the host's network; a list of hundreds of guests asks it of each."""

    links: tuple[Link, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()

    def link(self, name: str) -> Link | None:
        """The link of this name, else the one that has it among its further names."""
        return self._by_name.get(name)

    def by_index(self, index: int | None) -> Link | None:
        """The link of this index."""
        return None if index is None else self._by_index.get(index)

    def ports(self, master: Link) -> tuple[Link, ...]:
        """The ports of a bridge, bond or other master."""
        return tuple(n for n in self.links if n.master == master.index)

    def uppers(self, link: Link) -> tuple[Link, ...]:
        """The links stacked on this one: macvtaps, VLANs, tunnels; not the other end of a pair."""
        return tuple(
            n
            for n in self.links
            if n.lower == link.index and n.lower_netns is None and n.kind not in PAIRED and n is not link
        )

    def siblings(self, lower: Link) -> tuple[Link, ...]:
        """The macvlans and macvtaps that share this lower link."""
        return tuple(n for n in self.uppers(lower) if n.kind in ("macvlan", "macvtap"))

    def takers(self, lower: Link) -> tuple[Link, ...]:
        """The macvlans and macvtaps that have taken this lower link whole, and given it their MAC."""
        return tuple(n for n in self.siblings(lower) if n.mode == "passthrough")

    def guest_ends(self, mac: str) -> tuple[Link, ...]:
        """The links that may be the host's end of a guest's NIC with this MAC.

        A macvtap has the guest's MAC. A tap has it but for the first octet, which libvirt makes fe, so that no bridge
        takes a guest's MAC for its own: NICs whose MACs differ only there cannot be told apart by it.
        """
        mac = mac.lower()
        return tuple(
            n
            for n in self.links
            if (n.kind == "macvtap" and n.mac == mac) or (n.kind == "tun" and n.mac and n.mac[2:] == mac[2:])
        )

    def addresses_on(self, link: Link) -> tuple[Address, ...]:
        """The IP addresses of this link."""
        return tuple(a for a in self.addresses if a.index == link.index)

    def routes_through(self, link: Link) -> tuple[Route, ...]:
        """The routes that leave by this link."""
        return tuple(r for r in self.routes if link.index in r.links)

    def neighbours_at(self, mac: str) -> tuple[Neighbour, ...]:
        """The IP addresses last seen at this MAC, those that answered first."""
        return tuple(sorted(self._by_mac.get(mac.lower(), ()), key=lambda n: not n.confirmed))

    def macs(self) -> Mapping[str, str]:
        """Every MAC in use by a link, and who has it, in words."""
        held: dict[str, str] = {}
        for link in self.links:
            if link.mac and not link.loopback:
                held.setdefault(link.mac, f"link {link.name}")
        return held

    @cached_property
    def _by_name(self) -> dict[str, Link]:
        further = {name: link for link in reversed(self.links) for name in link.altnames}
        return further | {link.name: link for link in reversed(self.links)}

    @cached_property
    def _by_index(self) -> dict[int, Link]:
        return {link.index: link for link in reversed(self.links)}

    @cached_property
    def _by_mac(self) -> dict[str, list[Neighbour]]:
        found: dict[str, list[Neighbour]] = {}
        for neighbour in self.neighbours:
            found.setdefault(neighbour.mac, []).append(neighbour)
        return found
