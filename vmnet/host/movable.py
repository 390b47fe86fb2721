"""What keeps the host's addresses and routes from moving to a bridge or back, or must be known of it.

What cannot be carried faithfully is refused where the host would lose it, and told where it only stays behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_interface

from vmnet.findings import Finding
from vmnet.host.carried import GEN_MODE, Carried
from vmnet.host.findings import Rule, error, judged, listed, named, warning
from vmnet.host.handover import why_not
from vmnet.host.managers import Manager, Owner
from vmnet.host.model import BridgeOptions, Host, Link
from vmnet.host.netlink import IPV6_MTU
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class _Cargo:
    """What `source` carries, on its way to `target`, as the rules see it."""

    source: Carried
    target: str

    @property
    def name(self) -> str:
        return self.source.link.name


def check_cargo(source: Carried, target: str, *, bridged: bool = True) -> list[Finding]:
    """Everything that speaks against moving what `source` carries to `target`, or must be known of it.

    Args:
        source: What is carried.
        target: The link's name that is to carry it.
        bridged: Whether one of them is a bridge, and the other its port.
    """
    return judged(_Cargo(source, target), _CARGO + _BRIDGED if bridged else _CARGO)


def check_room(source: Carried, host: Host, target: Link) -> Iterator[Finding]:
    """Refuse a move to a link with another IPv4 address of the same network: the first that came is the host's own."""
    moving = {e.text() for e in source.addresses}
    networks = {ip_interface(text).network for text in moving if ":" not in text}
    there = [a.address for a in host.addresses_on(target) if a.family == 4 and a.address not in moving]
    if rivals := [text for text in there if ip_interface(text).network in networks]:
        yield error(
            "H440",
            what=f"{target.name} has {listed(rivals)} already, of a network that {source.link.name} is on too",
            why="What comes to it there would be second to that: the host would speak by another address, or by nobody",
            remedy=f"If nobody needs it: ip address delete {rivals[0]} dev {target.name}",
        )


def cargo(carried: Carried) -> str:
    """What a link carries, in words: ``192.0.2.1/24, 2001:db8::1/64 and 3 routes``."""
    counted = ((len(carried.routes), "route"), (len(carried.rules), "rule"), (len(carried.neighbours), "neighbour"))
    words = [e.text() for e in carried.addresses] + [f"{n} {what}{'s' if n > 1 else ''}" for n, what in counted if n]
    return listed(words) if words else "its settings"


def _nexthop_objects(cargo: _Cargo) -> Iterator[Finding]:
    routed = [e.text() for e in cargo.source.routes if e.has_nexthop]
    if cargo.source.nexthops or routed:
        ids = ", ".join(map(str, cargo.source.nexthops))
        yield error(
            "H401",
            what=f"nexthop objects lead out of {cargo.name}: {ids or listed(routed)}",
            why="A nexthop object is bound to its link, and whoever made it would find another in its place",
            remedy="Replace them by plain routes (ip nexthop list; ip route replace), or name another NIC",
        )


def _is_down(cargo: _Cargo) -> Iterator[Finding]:
    if not cargo.source.link.up and any(not _is_link_local(e.text()) for e in cargo.source.addresses):
        yield error(
            "H402",
            what=f"{cargo.name} is down and has addresses",
            why="It has no routes while it is down: what the host needs cannot be told",
            remedy=f"Set it up first: ip link set {cargo.name} up",
        )


def _has_queues(cargo: _Cargo) -> Iterator[Finding]:
    if cargo.source.queues:
        yield warning(
            "H403",
            what=f"tc is at work on {cargo.name}: {listed(cargo.source.queues)}",
            why=f"It stays there, and does not come along to {cargo.target}, which sees other frames",
            remedy=f"See that its rules are still what you want: tc qdisc show dev {cargo.name}",
        )


def _has_xdp(cargo: _Cargo) -> Iterator[Finding]:
    if cargo.source.xdp:
        yield warning(
            "H404",
            what=f"an XDP program is on {cargo.name}",
            why=f"It stays there, and sees the guests' frames too before {cargo.target} does",
            remedy="See that it lets them pass, or take it off",
        )


def _joins_frames(cargo: _Cargo) -> Iterator[Finding]:
    if cargo.source.lro:
        yield warning(
            "H405",
            what=f"{cargo.name} joins frames that it receives (LRO)",
            why="The kernel switches that off on a port, and some drivers reset the link for it; it is switched on "
            "again when the bridge is dismantled, or this is undone",
            remedy=f"Switch it off at a time of your choice: ethtool -K {cargo.name} lro off",
        )


def _is_filtered(cargo: _Cargo) -> Iterator[Finding]:
    if cargo.source.filtered and not cargo.source.link.is_bridge:
        yield warning(
            "H406",
            what="bridged frames pass this host's IP firewall (br_netfilter)",
            why="A FORWARD policy of drop, such as Docker's, keeps guests on the bridge from the LAN",
            remedy="sysctl net.bridge.bridge-nf-call-iptables=0, or accept them in FORWARD",
        )


def _has_temporary(cargo: _Cargo) -> Iterator[Finding]:
    if temporary := [e.text() for e in cargo.source.addresses if e.is_temporary]:
        yield warning(
            "H407",
            what=f"{cargo.name} has IPv6 privacy addresses: {listed(temporary)}",
            why="The kernel alone makes them: they come along as ordinary ones until they expire",
        )


def _routes_multicast(cargo: _Cargo) -> Iterator[Finding]:
    if "1" in (cargo.source.sysctls.get(f"{family}/conf/mc_forwarding") for family in ("ipv4", "ipv6")):
        yield warning(
            "H439",
            what=f"a multicast router uses {cargo.name}",
            why=f"It knows the link by its index, and does not come along to {cargo.target}",
            remedy=f"Have it use {cargo.target} afterwards",
        )


def _has_duplicates(cargo: _Cargo) -> Iterator[Finding]:
    if cargo.source.duplicates:
        yield warning(
            "H408",
            what=f"somebody on the LAN has an address of {cargo.name} too: {listed(cargo.source.duplicates)}",
            why="The kernel does not use it (duplicate address detection failed), and it does not come along",
            remedy="Give one of the two another address",
        )


def _is_stably_private(cargo: _Cargo) -> Iterator[Finding]:
    if cargo.source.sysctls.get(GEN_MODE) in _STABLY_PRIVATE and not cargo.source.link.is_bridge:
        yield warning(
            "H409",
            what=f"the kernel makes IPv6 addresses of {cargo.name} that are stable and private (addr_gen_mode)",
            why=f"It makes them of the NIC's permanent MAC, which {cargo.target} has not: with the next router's word "
            "it gets others, and those that come along now expire",
            remedy="If somebody knows the host by one of them: give it that by hand, or a token (ip token)",
        )


def _is_told_more(cargo: _Cargo) -> Iterator[Finding]:
    source = cargo.source
    told = [f"where {listed(source.fixed)} are"] if source.fixed else []
    told += [f"of VLANs {listed(map(str, source.vlans))} of its own and its ports"] if source.vlans else []
    if told:
        yield warning(
            "H410",
            what=f"bridge {cargo.name} was told {' and '.join(told)}",
            why="That goes with it, and an undo, which makes the bridge again, does not bring it back",
            remedy=f"Keep it if you may need it: bridge -json fdb show br {cargo.name}; bridge -json vlan show",
        )


def _is_link_local(text: str) -> bool:
    return text.startswith("fe80:")


_CARGO: tuple[Rule[_Cargo], ...] = (
    _nexthop_objects,
    _is_down,
    _has_queues,
    _has_xdp,
    _has_temporary,
    _has_duplicates,
    _routes_multicast,
    _is_stably_private,
    _is_told_more,
)

_STABLY_PRIVATE = ("2", "3")
"""IN6_ADDR_GEN_MODE_STABLE_PRIVACY and IN6_ADDR_GEN_MODE_RANDOM."""

_BRIDGED: tuple[Rule[_Cargo], ...] = (_joins_frames, _is_filtered)
"""What matters of a bridge and its port alone."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A bridge over `uplink` with these options, as the rules see it."""

    name: str
    uplink: Link
    options: BridgeOptions
    has_ipv6: bool


def check_options(name: str, uplink: Link, options: BridgeOptions, *, has_ipv6: bool = False) -> list[Finding]:
    """Everything that speaks against making a bridge with these options over `uplink`, or must be known of it.

    Args:
        name: The bridge's name.
        uplink: Its uplink.
        options: The options.
        has_ipv6: Whether IPv6 addresses are to move to it.
    """
    return judged(_Shape(name, uplink, options, has_ipv6), _SHAPE)


def _mtu_is_too_large(shape: _Shape) -> Iterator[Finding]:
    if shape.options.mtu is not None and not 68 <= shape.options.mtu <= shape.uplink.mtu:
        yield error(
            "H411",
            what=f"{shape.name} cannot have MTU {shape.options.mtu} over {shape.uplink.name}",
            why=f"{shape.uplink.name} sends no more than {shape.uplink.mtu} bytes at once, and less than 68 are no IP",
            remedy="Leave --mtu out, or give the uplink a larger one first",
        )
    elif shape.has_ipv6 and shape.options.mtu is not None and shape.options.mtu < IPV6_MTU:
        yield error(
            "H411",
            what=f"{shape.name} cannot have MTU {shape.options.mtu} and the IPv6 addresses of {shape.uplink.name}",
            why=f"A link has IPv6 if it takes {IPV6_MTU} bytes at once",
            remedy="Leave --mtu out",
        )


def _mac_is_unfit(shape: _Shape) -> Iterator[Finding]:
    mac = shape.options.mac
    if mac is None or mac.lower() == shape.uplink.mac:
        return
    if why := _unfit_mac(mac):
        yield error(
            "H412",
            what=f"{mac!r} cannot be the MAC of a bridge",
            why=why,
            remedy="Leave --mac out: the bridge has the uplink's then",
        )
    else:
        yield warning(
            "H413",
            what=f"the host moves to another MAC: {mac}",
            why=f"The LAN knows it by {shape.uplink.mac}, and is told of the new one (gratuitous ARP, neighbour "
            "advertisements); a DHCP server may give another address, a switch with port security may refuse it",
            remedy="Leave --mac out: the bridge has the uplink's then",
        )


def _unfit_mac(text: str) -> str:
    """Why it can be no link's MAC; empty where it can."""
    from vmnet.nic.types import mac

    try:
        mac(text)
    except ValueError as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}"
    return ""


def _forward_delay_is_unfit(shape: _Shape) -> Iterator[Finding]:
    settings = shape.options.settings
    if settings.stp and not 200 <= settings.forward_delay <= 3000:
        yield error(
            "H414",
            what=f"{shape.name} cannot speak STP with a forward delay of {settings.forward_delay / 100:g} s",
            why="The standard, and the kernel, take 2 to 30 s (ERANGE)",
            remedy="Give --forward-delay 2 or more, or leave --stp out",
        )


def _stp_keeps_waiting(shape: _Shape) -> Iterator[Finding]:
    settings = shape.options.settings
    if settings.stp:
        yield warning(
            "H415",
            what=f"the host hears nothing for {2 * settings.forward_delay / 100:g} s",
            why="With STP a bridge listens and learns before it lets a port pass anything",
            remedy="Leave --stp out, unless the bridge gets a second way to the same LAN",
        )


_SHAPE: tuple[Rule[_Shape], ...] = (_mtu_is_too_large, _mac_is_unfit, _forward_delay_is_unfit, _stp_keeps_waiting)


def check_users(host: Host, bridge: Link, uplink: Link | None, owners: Mapping[str, str]) -> Iterator[Finding]:
    """Who but its uplink uses a bridge, which keeps it from being deleted.

    Args:
        host: The observation.
        bridge: The bridge.
        uplink: Its way out.
        owners: Names of links, and the guests whose they are.
    """
    ports = [n for n in host.ports(bridge) if uplink is None or n.index != uplink.index]
    if ports:
        guests = sorted({owners[n.name] for n in ports if n.name in owners})
        yield error(
            "H421",
            what=f"bridge {bridge.name} is in use by {named(ports)}",
            why=f"They would be cut off{f': the guests {listed(guests)}' if guests else ''}",
            remedy="Detach or convert the guests first"
            if guests
            else f"Take them off it first: ip link set {ports[0].name} nomaster",
        )
    if uppers := host.uppers(bridge):
        guests = sorted({owners[n.name] for n in uppers if n.name in owners})
        yield error(
            "H422",
            what=f"links are stacked on bridge {bridge.name}: {named(uppers)}",
            why=f"They would be deleted with it{f': the guests {listed(guests)}' if guests else ''}",
            remedy="Detach or convert the guests, or delete the links, first",
        )


def check_owners(
    owners: Iterable[Owner], source: str, target: str, *, bridge: str, take_over: bool = False
) -> Iterator[Finding]:
    """Who else looks after the links that something moves from and to, and would put it back.

    What was seen to come of each advice is held by tests with the real daemons: NetworkManager 1.42, systemd 252,
    dhclient 4.4.3, dhcpcd 9.4 and udhcpc 1.35.

    Args:
        owners: Those that were seen.
        source: The link that it moves from.
        target: The link that it moves to.
        bridge: Which of them is the bridge.
        take_over: Whether those that can be told to leave the links alone are told, and are no finding.
    """
    for owner in owners:
        if owner.link in (source, target):
            why = why_not(owner)
            if take_over and not why and owner.manager is not Manager.IFUPDOWN:
                continue
            found = _owned(owner, source, target, bridge)
            if take_over and why:
                yield replace(found, why=f"{found.why}. --take-over cannot change that: {why}")
            elif why or owner.manager is Manager.IFUPDOWN:
                yield found
            else:
                yield replace(found, remedy=f"{found.remedy}. Or let vmnet do that, and undo it: --take-over")


def _owned(owner: Owner, source: str, target: str, bridge: str) -> Finding:
    uplink = source if target == bridge else target
    by, making = f"It says so in {owner.evidence}", target == bridge
    match owner.manager:
        case Manager.NETWORK_MANAGER:
            return error(
                "H431",
                what=f"NetworkManager manages {owner.link}",
                why=f"It would put back what it set there. {by}",
                remedy=f"Have it leave {owner.link} alone until the next boot: nmcli device set {owner.link} managed "
                "no (addresses stay; nobody renews a DHCP lease then)",
            )
        case Manager.NETWORKD:
            return error(
                "H432",
                what=f"systemd-networkd manages {owner.link}",
                why="It would put back what it set there, and takes the addresses away when it is told to leave the "
                f"link alone (Unmanaged=yes) or is stopped. {by}",
                remedy=f"Have it make the bridge: Kind=bridge in {bridge}.netdev, Bridge={bridge} in the file of "
                f"{uplink}, the addresses in {bridge}.network, all in /etc/systemd/network; then networkctl reload"
                if making
                else f"Have it take {bridge} away: move the addresses to the file of {uplink} in /etc/systemd/network, "
                f"then networkctl reload and ip link delete {bridge}",
            )
        case Manager.NETPLAN:
            return error(
                "H433",
                what=f"netplan has {owner.link} managed",
                why=f"What it was written for would put back what it set there. {by}",
                remedy=f"Write it into /etc/netplan (bridges: {bridge}: interfaces: [{uplink}]), then netplan try"
                if making
                else f"Take {bridge} out of /etc/netplan, then netplan apply",
            )
        case Manager.IFUPDOWN:
            return warning(
                "H435",
                what=f"ifupdown sets {owner.link} up at the next boot, or ifup",
                why=f"What is done now lasts until then. {by}",
                remedy=f"For a bridge that lasts, write it there (bridge_ports {uplink})",
            )
        case Manager.DHCLIENT | Manager.DHCPCD | Manager.UDHCPC as client:
            again = f"{client} -i {target}" if client is Manager.UDHCPC else f"{client} {target}"
            return error(
                "H434",
                what=f"{client} ({owner.evidence}) holds the DHCP lease of {owner.link}",
                why=f"When it renews the lease it puts the address on {owner.link} again; an orderly end takes it away",
                remedy=f"kill -KILL {owner.process}, which leaves the address; this command again; then, before the "
                f"lease ends: {again}",
            )
        case other:
            return error(
                "H437",
                what=f"{other} ({owner.evidence}) looks after {owner.link}, or may",
                why=f"It would put back what it set there, and know nothing of {target}",
                remedy=f"Write {target} in place of {source} where it is told its links, or end it first and see "
                "that the addresses stay",
            )
