"""What keeps a macvtap from working on a lower link: each rule names the culprit and what to do instead."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from vmnet.findings import Finding
from vmnet.host.findings import Rule, error, is_a_port, is_wireless, judged, listed, named, note, unknown_link, warning
from vmnet.host.model import STACKED_ON_MAC, Host, Link
from vmnet.nic.attachment import Direct, MacvtapMode
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class _Wish:
    """A macvtap on `lower`, as the rules see it."""

    host: Host
    lower: Link
    mode: MacvtapMode
    mac: str | None
    siblings: tuple[Link, ...]


def check_direct(host: Host, direct: Direct, mac: str | None, own: Collection[str] = ()) -> list[Finding]:
    """Everything that speaks against a macvtap as `direct` says, or must be known of it.

    Args:
        host: The observation.
        direct: The attachment.
        mac: The guest's MAC, when it is decided.
        own: Names of the links that this very NIC has already, which are no rivals of it.
    """
    lower = host.link(direct.dev)
    if lower is None:
        return [unknown_link("H301", host, direct.dev)]
    siblings = tuple(n for n in host.siblings(lower) if n.name not in own)
    return judged(_Wish(host, lower, direct.mode, mac.lower() if mac else None, siblings), _RULES)


def check_lower(host: Host, lower: Link, mac: str | None) -> list[Finding]:
    """Everything that speaks against a macvlan of the host's own on `lower`, in mode bridge.

    Args:
        host: The observation.
        lower: The link below it.
        mac: Its MAC, when it is decided.
    """
    return judged(_Wish(host, lower, MacvtapMode.BRIDGE, mac, host.siblings(lower)), _OF_LOWER)


def _carries_no_ethernet(wish: _Wish) -> Iterator[Finding]:
    if wish.lower.loopback or not wish.lower.ethernet:
        yield error(
            "H302",
            what=f"{wish.lower.name} {'is the loopback' if wish.lower.loopback else 'is no Ethernet link'}",
            why="The kernel makes macvlans and macvtaps on Ethernet links only (EINVAL)",
            remedy="Name the NIC that leads to the LAN",
        )


def _lower_is_a_port(wish: _Wish) -> Iterator[Finding]:
    master = wish.host.by_index(wish.lower.master)
    if wish.lower.master is None or (master and master.kind == "vrf"):  # a VRF takes no receive handler
        return
    why = "The kernel lets a link be either a port or the lower link of macvtaps (EBUSY)"
    yield is_a_port("H303", wish.host, wish.lower, why)


def _lower_is_wireless(wish: _Wish) -> Iterator[Finding]:
    if wish.lower.wireless:
        why = "An access point takes frames from the station's own MAC only: another hears nothing"
        yield is_wireless("H304", wish.lower, why)


def _lower_is_taken_whole(wish: _Wish) -> Iterator[Finding]:
    if takers := [s for s in wish.siblings if s.mode == MacvtapMode.PASSTHROUGH]:
        yield error(
            "H305",
            what=f"{wish.lower.name} is taken whole by {named(takers)}",
            why=_NOTHING_BESIDE + (_MAC_LOST if wish.mode == MacvtapMode.PASSTHROUGH else ""),
            remedy="Use another NIC, or detach the guest that has it in passthrough mode",
        )


def _lower_is_shared(wish: _Wish) -> Iterator[Finding]:
    sharers = [s for s in wish.siblings if s.mode != MacvtapMode.PASSTHROUGH]
    if wish.mode == MacvtapMode.PASSTHROUGH and sharers:
        yield error(
            "H306",
            what=f"{wish.lower.name} cannot be taken whole: {named(sharers)} shares it",
            why=_NOTHING_BESIDE,
            remedy="Use --mode bridge, or another NIC",
        )


def _mac_is_taken(wish: _Wish) -> Iterator[Finding]:
    if wish.mac is None or wish.mode == MacvtapMode.PASSTHROUGH:  # passthrough gives the lower the guest's MAC
        return
    if holders := [n.name for n in (wish.lower, *wish.siblings) if n.mac == wish.mac]:
        yield error(
            "H307",
            what=f"MAC {wish.mac} is already that of {listed(holders)}",
            why=f"On one lower link every MAC is used once (EADDRINUSE when set up, on {wish.lower.name})",
            remedy="Choose another MAC; if no running guest has that macvtap, it is an orphan: delete it",
        )


def _lower_holds_ipvlans(wish: _Wish) -> Iterator[Finding]:
    kinds = STACKED_ON_MAC - {"macvlan", "macvtap"}
    if holders := [n for n in wish.host.uppers(wish.lower) if n.kind in kinds]:
        yield error(
            "H308",
            what=f"{wish.lower.name} is in use by {named(holders)}",
            why="The kernel has either macvtaps or ipvlans on a link (EBUSY)",
            remedy="Use another NIC, or remove the ipvlans first",
        )


def _lower_is_a_macvlan(wish: _Wish) -> Iterator[Finding]:
    if wish.lower.kind in ("macvlan", "macvtap"):
        real = wish.host.by_index(wish.lower.lower) if wish.lower.lower_netns is None else None
        yield error(
            "H309",
            what=f"{wish.lower.name} is a {wish.lower.kind} itself",
            why="The kernel would go to the link below it, not to it (Linux 6.18)",
            remedy=f"Name {real.name}, which is below it" if real else "Name the NIC that leads to the LAN",
        )


def _lower_is_down(wish: _Wish) -> Iterator[Finding]:
    if not wish.lower.up:
        yield warning(
            "H310",
            what=f"{wish.lower.name} is down",
            why="libvirt sets it up when the guest's NIC is made, and leaves it up",
        )


def _host_is_apart(wish: _Wish) -> Iterator[Finding]:
    """A macvtap's frames never turn round at the lower link to the host's own stack: facts of the driver."""
    if wish.mode == MacvtapMode.BRIDGE and any(
        s.is_hostlink and s.mode == "bridge" and wish.host.addresses_on(s) for s in wish.siblings
    ):
        return
    mine = [a.address for a in wish.host.addresses_on(wish.lower) if not a.link_local]
    if mine and wish.mode == MacvtapMode.PASSTHROUGH:
        yield error(
            "H313",
            what=f"{wish.lower.name} carries the host's address {listed(mine)}, and passthrough takes it whole",
            why="The guest would get every frame and the link its MAC: the host would be cut off",
            remedy="Use --mode bridge, or another NIC",
        )
    elif mine:
        yield warning(
            "H311",
            what=f"the host cannot talk to this guest over macvtap: {wish.lower.name} carries its {listed(mine)}",
            why=_APART,
            remedy=f"If they must talk: vmnet hostlink add --uplink {wish.lower.name} --move-ip, or give the guest "
            "another NIC on a bridge",
        )
    else:
        yield note(
            "H312",
            what=f"the host itself cannot talk to this guest through {wish.lower.name}",
            why=_APART,
            remedy=f"If they must talk: vmnet hostlink add --uplink {wish.lower.name} --address CIDR, or give the "
            "guest another NIC on a bridge",
        )


_APART = "Frames between the host and a macvtap never turn round at the link below them"
_NOTHING_BESIDE = "The kernel lets nothing stand beside a passthrough link (EINVAL)"
_MAC_LOST = ", and libvirt's failed attempt would change the link's MAC under the guest that runs there"
"""libvirt 9.0 to 11.3: the lower gets the second guest's MAC, and keeps it after both are gone."""

_OF_LOWER: tuple[Rule[_Wish], ...] = (
    _carries_no_ethernet,
    _lower_is_a_port,
    _lower_is_wireless,
    _lower_is_taken_whole,
    _mac_is_taken,
    _lower_holds_ipvlans,
    _lower_is_a_macvlan,
)
"""What the lower link has to say of any macvlan or macvtap."""

_RULES: tuple[Rule[_Wish], ...] = (*_OF_LOWER, _lower_is_shared, _lower_is_down, _host_is_apart)
