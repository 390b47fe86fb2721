"""What keeps a link from being the uplink of a bridge: each rule names the culprit and what to do instead.

The kernel's own refusals are those of br_add_if() in Linux 6.18; the others are of plans that it would obey and
that would cut the host off.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmnet.findings import Finding
from vmnet.host.findings import Rule, error, is_a_port, is_wireless, judged, listed, named, unknown_link, warning
from vmnet.host.model import GUEST_PORTS, STACKED_ON_MAC, Host, Link
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class _Wish:
    """`uplink` as a port of `bridge`, as the rules see it; the bridge is None while it is not made."""

    host: Host
    uplink: Link
    bridge: Link | None


def check_uplink(host: Host, uplink: str, bridge: str, *, moving: bool = False) -> list[Finding]:
    """Everything that speaks against making `uplink` a port of `bridge`, which need not exist yet.

    Args:
        host: The observation.
        uplink: Name of the link.
        bridge: Name of the bridge.
        moving: Whether what the link carries for the host moves to the bridge, so that it may carry something.
    """
    link = host.link(uplink)
    if link is None:
        return [unknown_link("H201", host, uplink)]
    return judged(_Wish(host, link, host.link(bridge)), _RULES if moving else _RULES + _CARRIES_NOTHING)


def _is_loopback(wish: _Wish) -> Iterator[Finding]:
    if wish.uplink.loopback:
        yield error(
            "H202",
            what=f"{wish.uplink.name} is the loopback and leads to no network",
            remedy="Name the NIC that leads to the LAN",
        )


def _carries_addresses(wish: _Wish) -> Iterator[Finding]:
    if wish.uplink.loopback:
        return
    if mine := [a.address for a in wish.host.addresses_on(wish.uplink) if not a.link_local]:
        yield error(
            "H203",
            what=f"{wish.uplink.name} carries the host's address {listed(mine)}",
            why="A port hands every frame to its bridge: the host would no longer be reached there",
            remedy=_MOVE.format(wish.uplink.name),
        )


def _carries_routes(wish: _Wish) -> Iterator[Finding]:
    if lost := [r.destination for r in wish.host.routes_through(wish.uplink) if not r.kernel_made]:
        yield error(
            "H204",
            what=f"routes of the host leave by {wish.uplink.name}: {listed(lost)}",
            why="A port hands every frame to its bridge: these routes would go dead",
            remedy=_MOVE.format(wish.uplink.name),
        )


def _carries_macvtaps(wish: _Wish) -> Iterator[Finding]:
    if holders := [n for n in wish.host.uppers(wish.uplink) if n.kind in STACKED_ON_MAC]:
        yield error(
            "H205",
            what=f"{wish.uplink.name} is in use by {named(holders)}",
            why="The kernel lets a link be either a port or the lower link of macvtaps (EBUSY)",
            remedy=f"vmnet hostlink remove {ours[0].name}: guests on the bridge reach the host without it"
            if (ours := [n for n in holders if n.is_hostlink and n.is_ours])
            else f"Detach what uses {wish.uplink.name} first, or name another NIC as uplink",
        )


def _is_wireless(wish: _Wish) -> Iterator[Finding]:
    if wish.uplink.wireless:
        why = "Access points take frames of the station's own MAC only, and the kernel refuses (EOPNOTSUPP)"
        yield is_wireless("H206", wish.uplink, why)


def _has_another_master(wish: _Wish) -> Iterator[Finding]:
    own = wish.bridge.index if wish.bridge else None
    if wish.uplink.master not in (None, own):
        yield is_a_port("H207", wish.host, wish.uplink, "A link has one master (EBUSY)")


def _is_bridge(wish: _Wish) -> Iterator[Finding]:
    if wish.uplink.is_bridge:
        yield error(
            "H208",
            what=f"{wish.uplink.name} is a bridge itself",
            why="The kernel makes no bridge a port of a bridge (ELOOP)",
            remedy=f"Attach to it: --bridge {wish.uplink.name}",
        )


def _cannot_be_a_port(wish: _Wish) -> Iterator[Finding]:
    if wish.uplink.loopback or wish.uplink.is_bridge:
        return
    why = _NO_UPLINKS.get(wish.uplink.kind or "") or (None if wish.uplink.ethernet else "It carries no Ethernet frames")
    if why:
        yield error(
            "H209",
            what=f"{wish.uplink.name} ({wish.uplink.kind or 'not Ethernet'}) cannot be the uplink of a bridge",
            why=why,
            remedy="Name the NIC that leads to the LAN",
        )


def _carries_vlans(wish: _Wish) -> Iterator[Finding]:
    if vlans := [n for n in wish.host.uppers(wish.uplink) if n.kind == "vlan"]:
        yield warning(
            "H210",
            what=f"{wish.uplink.name} carries VLAN links: {named(vlans)}",
            why="Frames of these VLANs go to those links and never reach the bridge's guests",
            remedy="For guests in one of these VLANs, bridge its link instead",
        )


def _may_loop(wish: _Wish) -> Iterator[Finding]:
    wanted = wish.bridge
    if wanted is None or (wanted.bridge and wanted.bridge.stp):
        return
    if others := [n for n in wish.host.ports(wanted) if _may_lead_out(n)]:
        yield warning(
            "H211",
            what=f"bridge {wanted.name} already has a way out: {named(others)}",
            why=f"If {wish.uplink.name} leads to the same LAN, the two make a loop, and no STP breaks it",
            remedy=f"Make sure that {wish.uplink.name} leads to another LAN, or attach without --uplink",
        )


def _may_lead_out(port: Link) -> bool:
    """Whether a port may lead to a LAN: not a guest's, not a container's."""
    return port.kind not in GUEST_PORTS and port.lower_netns is None


_MOVE = "Name another NIC as uplink; or have a bridge take them over: vmnet bridge prepare NAME --uplink {}"
_GUESTS_END = "It is the host's end of a guest's NIC, or of another process"
_NO_UPLINKS = {
    "tun": _GUESTS_END,
    "macvtap": _GUESTS_END,
    "ipvtap": _GUESTS_END,
    "macvlan": "It receives the frames of its own MAC only, not its guests'",
    "ipvlan": "It receives the frames of its own IP addresses only",
    "openvswitch": "It is a port of an Open vSwitch, which Linux bridges do not share",
    "vrf": "It is a routing domain, not a way out",
}
"""Kinds that cannot be an uplink, and why."""

_RULES: tuple[Rule[_Wish], ...] = (
    _is_loopback,
    _is_bridge,
    _cannot_be_a_port,
    _is_wireless,
    _has_another_master,
    _carries_macvtaps,
    _carries_vlans,
    _may_loop,
)

_CARRIES_NOTHING: tuple[Rule[_Wish], ...] = (_carries_addresses, _carries_routes)
"""What would be cut off if it stayed on a port."""
