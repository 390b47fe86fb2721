"""What the host needs before a NIC can be attached: pure, from an observation to findings and steps.

For a guest the host is changed only where an uplink is named: without one, a bridge is used as it is found.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from vmnet.change.plan import Plan, Step
from vmnet.findings import Finding
from vmnet.host.carried import Carried
from vmnet.host.direct import check_direct
from vmnet.host.findings import error, listed, named, note, unknown_link, warning
from vmnet.host.handover import handed_over, told
from vmnet.host.managers import Owner
from vmnet.host.model import GUEST_PORTS, MARK, BridgeOptions, Host, Link
from vmnet.host.movable import cargo, check_cargo, check_options, check_owners, check_room, check_users
from vmnet.host.reached import check_bound
from vmnet.host.steps import CarryToBridge, CarryToUplink, CreateBridge, DeleteBridge, Enslave, KeepUp, SetUp
from vmnet.host.uplink import check_uplink
from vmnet.nic.attachment import Attachment, Bridge, Direct, MacvtapMode
from vmnet.values import dataclass

__all__ = [
    "Before",
    "check_direct",
    "plan_attachment",
    "plan_bridge",
    "plan_dismantle",
    "plan_prepare",
    "plan_release",
    "real_name",
    "unfit_name",
    "unless_refused",
]


@dataclass(frozen=True, slots=True)
class Before:
    """What a link was before it became a port, and is to be again once it is none.

    Args:
        owners: Who looked after it, and was told to leave it alone.
        lro: Whether it joined frames that it received.
    """

    owners: tuple[Owner, ...] = ()
    lro: bool = False


def real_name(host: Host, name: str) -> str:
    """The name that the kernel, libvirt and people will meet, where `name` may be a further name of the link."""
    link = host.link(name)
    return link.name if link else name


def plan_attachment(
    host: Host,
    attachment: Direct | Bridge,
    mac: str | None,
    uplink: str | None,
    *,
    target: str | None = None,
    own: Collection[str] = (),
) -> Plan:
    """What must be so on the host for a NIC with this attachment.

    Args:
        host: The observation.
        attachment: Where the NIC is to be attached.
        mac: The NIC's MAC, when it is decided.
        uplink: The link that is to connect a bridge to the LAN; without it the host is not changed.
        target: The name that is wished for the host's end of the NIC.
        own: Names of the links that this very NIC has already.

    Returns:
        Findings, and the steps; no step if a finding is an error.
    """
    parts: list[Step | Finding] = list(_target_is_taken(host, target, own))
    match attachment:
        case Direct():
            parts += check_direct(host, attachment, mac, own)
        case Bridge(name):
            parts += _bridge_parts(host, name, uplink)
    return unless_refused(Plan.of(parts))


def plan_release(host: Host, attachment: Attachment, mac: str | None) -> Plan:
    """What is to be done on the host once a guest has let go of a NIC with this attachment and MAC."""
    match attachment:
        case Direct(dev, MacvtapMode.PASSTHROUGH) if (lower := host.link(dev)) and lower.up:
            own = lower.permanent if lower.permanent != mac else None
            return Plan((KeepUp(lower.name, lower.index, mac, own),))
    return Plan()


def plan_bridge(host: Host, name: str, uplink: str | None) -> Plan:
    """The plan to have bridge `name`, with `uplink` as a port if one is named."""
    return unless_refused(Plan.of(_bridge_parts(host, name, uplink)))


def plan_prepare(
    host: Host,
    carried: Mapping[str, Carried],
    name: str,
    uplink: str,
    options: BridgeOptions = BridgeOptions(),  # noqa: B008 - a frozen value
    managers: Collection[Owner] = (),
    *,
    take_over: bool = False,
) -> Plan:
    """The plan to have bridge `name` over `uplink`, carrying all that the uplink carries for the host.

    Args:
        host: The observation.
        carried: What the uplink carries, by `carried.observe_carried`.
        name: The bridge's name.
        uplink: The uplink's name.
        options: How the bridge is wished.
        managers: Who else looks after the links, by `managers.observe_owners`.
        take_over: Whether they are told, where they can be, or refused.
    """
    take_over = take_over and not options.without_address
    plan = Plan.of(_prepare_parts(host, carried, name, uplink, options, managers, take_over))
    return unless_refused(handed_over(plan, told(managers) if take_over else ()))


def plan_dismantle(
    host: Host,
    carried: Mapping[str, Carried],
    name: str,
    uplink: str | None = None,
    owners: Mapping[str, str] = MappingProxyType({}),
    managers: Collection[Owner] = (),
    *,
    take_over: bool = False,
    before: Mapping[str, Before] = MappingProxyType({}),
) -> Plan:
    """The plan to have bridge `name` gone, and its uplink carry what it carried.

    Args:
        host: The observation.
        carried: What the bridge carries, by `carried.observe_carried`.
        name: The bridge's name.
        uplink: Its uplink's name, where it has several ports that may be it.
        owners: Names of links, and the guests whose they are.
        managers: Who else looks after the links, by `managers.observe_owners`.
        take_over: Whether they are told, where they can be, or refused.
        before: What its ports were before they became that, by their names.
    """
    plan = Plan.of(_dismantle_parts(host, carried, name, uplink, owners, managers, take_over, before))
    returning = [owner for port in before.values() for owner in port.owners]
    return unless_refused(handed_over(plan, told(managers) if take_over else (), returning))


def unless_refused(plan: Plan) -> Plan:
    """The plan, without its steps if a finding is an error."""
    return Plan(findings=plan.findings) if any(f.is_error for f in plan.findings) else plan


def _target_is_taken(host: Host, target: str | None, own: Collection[str]) -> Iterator[Finding]:
    link = host.link(target) if target else None
    if link and link.name not in own:
        yield error(
            "H314",
            what=f"the name {target} is that of a link on this host already: {named([link])}",
            why="libvirt would fail to make the guest's link, in mode passthrough after it changed the uplink's MAC",
            remedy="Choose another --target, or leave it out",
        )


def _bridge_parts(host: Host, name: str, uplink: str | None) -> Iterator[Step | Finding]:
    bridge = host.link(name)
    if bridge is None:
        yield from _missing(host, name, uplink)
    elif not bridge.is_bridge:
        yield error(
            "H102",
            what=f"{named([bridge])} is not a bridge",
            why="libvirt would fail with: Unable to add bridge port",
            remedy=f"Use --direct {bridge.name}, or name a bridge",
        )
    else:
        yield from _existing(host, bridge, uplink)


def _missing(host: Host, name: str, uplink: str | None) -> Iterator[Step | Finding]:
    """A bridge that is to be made: with the uplink's MAC and MTU, so that the LAN sees no new station."""
    if why := unfit_name(name):
        yield _is_unfit_name(name, why)
    elif uplink is None:
        yield error(
            "H103",
            what=f"there is no bridge {name} on this host",
            remedy=f"Name the NIC to make it over: vmnet attach --uplink DEV{_bridges(host)}",
        )
    else:
        yield from check_uplink(host, uplink, name)
        if link := host.link(uplink):
            yield CreateBridge(name, link.mac, link.mtu)
            yield from _connect(link, name)


def _existing(host: Host, bridge: Link, uplink: str | None) -> Iterator[Step | Finding]:
    """A bridge that is there: someone else's to shape, so it is only set up, and only given the uplink."""
    if bridge.bridge and bridge.bridge.stp:
        yield warning(
            "H105",
            what=f"bridge {bridge.name} speaks STP",
            why=f"A guest hears nothing for the first {2 * bridge.bridge.forward_delay / 100:g} s on it",
            remedy=f"Give it time, or switch STP off: ip link set {bridge.name} type bridge stp_state 0",
        )
    if uplink is None:
        if not bridge.up:
            yield warning(
                "H104",
                what=f"bridge {bridge.name} is down",
                why="A guest on it reaches nobody, and libvirt does not set it up",
                remedy=f"ip link set {bridge.name} up",
            )
        return
    if not bridge.up:
        yield SetUp(bridge.identity)
    link = host.link(uplink)
    if link is None or link.master != bridge.index:
        yield from check_uplink(host, uplink, bridge.name)
    if link:
        yield from _connect(link, bridge.name, already=link.master == bridge.index)


def _prepare_parts(
    host: Host,
    carried: Mapping[str, Carried],
    name: str,
    uplink: str,
    options: BridgeOptions,
    managers: Collection[Owner],
    take_over: bool,
) -> Iterator[Step | Finding]:
    bridge, link = host.link(name), host.link(uplink)
    if link is None:
        yield unknown_link("H201", host, uplink)
    elif bridge is None:
        if why := unfit_name(name):
            yield _is_unfit_name(name, why)
            return
        has_ipv6 = not options.without_address and any(a.family == 6 for a in host.addresses_on(link))
        yield from check_options(name, link, options, has_ipv6=has_ipv6)
        mac = options.mac.lower() if options.mac else link.mac
        yield CreateBridge(name, mac, options.mtu or link.mtu, options.settings)
        yield from _carry(host, carried, name, link, options, managers, take_over)
    elif not bridge.is_bridge:
        yield error(
            "H416",
            what=f"the name {name} is that of a link on this host already: {named([bridge])}",
            remedy="Choose another, such as br0",
        )
    elif link.master == bridge.index and (options.without_address or not _is_stranded(host, link)):
        yield from _as_it_is(bridge, options)
        yield from (SetUp(n.identity) for n in (bridge, link) if not n.up)
    elif not bridge.is_ours:
        yield error(
            "H417",
            what=f"there is a bridge {name} already, and vmnet did not make it",
            why="Moving the host to a bridge that belongs to somebody else could cut it off when they change it",
            remedy=f"Choose another name; or, if it is to be vmnet's: ip link set {name} alias {MARK}adopted",
        )
    elif others := [n for n in host.ports(bridge) if n.kind not in GUEST_PORTS and n is not link]:
        yield error(
            "H418",
            what=f"bridge {name} has a way out already: {named(others)}",
            why="A bridge that vmnet prepares has one uplink",
            remedy=f"vmnet bridge dismantle {name}, or choose another name",
        )
    else:
        yield from _as_it_is(bridge, options)
        if not bridge.up:
            yield SetUp(bridge.identity)
        yield from _carry(host, carried, name, link, options, managers, take_over)


def _is_stranded(host: Host, port: Link) -> bool:
    """Whether a port carries for the host what only its bridge can."""
    addresses = any(not a.link_local for a in host.addresses_on(port))
    return addresses or any(not r.kernel_made for r in host.routes_through(port))


def _carry(
    host: Host,
    carried: Mapping[str, Carried],
    name: str,
    uplink: Link,
    options: BridgeOptions,
    managers: Collection[Owner],
    take_over: bool,
) -> Iterator[Step | Finding]:
    """What the uplink carries moves to the bridge; or it carries nothing, and becomes a port like any other."""
    moving = not options.without_address
    yield from check_uplink(host, uplink.name, name, moving=moving)
    yield from check_owners(managers, uplink.name, name, bridge=name, take_over=take_over)
    if not moving:
        yield from _connect(uplink, name)
    elif source := carried.get(uplink.name):
        yield from check_cargo(source, name)
        if there := host.link(name):
            yield from check_room(source, host, there)
        yield from check_bound(host, uplink)
        yield CarryToBridge(uplink.identity, name, cargo(source))
        if not uplink.up:
            yield SetUp(uplink.identity)


def _as_it_is(bridge: Link, options: BridgeOptions) -> Iterator[Finding]:
    """A bridge that is there stays as it is."""
    wrong = list(options.differing(bridge.bridge)) if bridge.bridge else []
    wrong += ["mac"] if options.mac and options.mac.lower() != bridge.mac else []
    wrong += ["mtu"] if options.mtu and options.mtu != bridge.mtu else []
    if wrong:
        yield error(
            "H419",
            what=f"bridge {bridge.name} is there already, and differs in {listed(w.replace('_', '-') for w in wrong)}",
            why="What runs over it might not take the change",
            remedy=f"Change it by hand (ip link set {bridge.name} type bridge ...), or dismantle and prepare it anew",
        )


def _dismantle_parts(
    host: Host,
    carried: Mapping[str, Carried],
    name: str,
    uplink: str | None,
    owners: Mapping[str, str],
    managers: Collection[Owner],
    take_over: bool,
    before: Mapping[str, Before],
) -> Iterator[Step | Finding]:
    bridge = host.link(name)
    if bridge is None:
        yield note("H423", what=f"there is no bridge {name} on this host", why="There is nothing to dismantle")
        return
    if not bridge.is_bridge:
        yield error("H424", what=f"{named([bridge])} is not a bridge", remedy="Name a bridge: vmnet bridge list")
        return
    if not bridge.is_ours:
        yield error(
            "H425",
            what=f"vmnet did not make bridge {name}",
            why="Whoever made it may need it",
            remedy=f"If it is to be vmnet's to delete: ip link set {name} alias {MARK}adopted",
        )
    out = _way_out(host, bridge, uplink)
    if uplink and not out:
        yield _is_no_port(host, bridge, uplink)
        return
    yield from check_users(host, bridge, out, owners)
    yield from check_owners(managers, name, out.name if out else "", bridge=name, take_over=take_over)
    cargo_of = carried.get(name)
    if out and cargo_of:
        yield from check_cargo(cargo_of, out.name)
        yield from check_room(cargo_of, host, out)
        yield CarryToUplink(bridge.identity, out.identity, cargo(cargo_of), before.get(out.name, Before()).lro)
    elif any(not a.link_local for a in host.addresses_on(bridge)):
        yield error(
            "H426",
            what=f"bridge {name} carries the host's addresses, and has no uplink to take them",
            why="They would be gone with it",
            remedy="Name the port that leads to the LAN with --uplink, or remove the addresses first",
        )
    yield DeleteBridge(bridge.identity)


def _way_out(host: Host, bridge: Link, named: str | None) -> Link | None:
    """The port that a bridge was made over: the one that is named, or has its MAC, or is no guest's."""
    ports = host.ports(bridge)
    if named is not None:
        return next((n for n in ports if n is host.link(named)), None)
    same = [n for n in ports if n.mac == bridge.mac]
    leading = [n for n in ports if n.kind not in GUEST_PORTS]
    return next((found[0] for found in (same, leading) if len(found) == 1), None)


def _is_no_port(host: Host, bridge: Link, uplink: str) -> Finding:
    link = host.link(uplink)
    if link is None:
        return unknown_link("H201", host, uplink)
    return error(
        "H438",
        what=f"{link.name} is no port of bridge {bridge.name}",
        why=f"Its ports: {named(host.ports(bridge)) or 'none'}",
        remedy="Name the port that leads to the LAN, or leave --uplink out",
    )


def _connect(uplink: Link, bridge: str, *, already: bool = False) -> Iterator[Step]:
    """The uplink becomes a port first and goes up then, so that it takes no address of its own meanwhile."""
    if not already:
        yield Enslave(uplink.identity, bridge)
    if not uplink.up:
        yield SetUp(uplink.identity)


def _bridges(host: Host) -> str:
    names = [link.name for link in host.links if link.is_bridge]
    return f"; there are: {', '.join(names)}" if names else ""


def _is_unfit_name(name: str, why: str) -> Finding:
    return error("H101", what=f"{name!r} cannot be the name of a bridge", why=why, remedy="Choose another, such as br0")


_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")
_RESERVED = {".", "..", "all", "default"}


def unfit_name(name: str) -> str:
    """Why the kernel, or libvirt's schema, does not take this name for a new link; empty when it does."""
    if len(name) > 15:
        return "The kernel takes at most 15 characters"
    if name in _RESERVED:  # the kernel's own words under /proc/sys/net (Linux 6.18)
        return "The kernel keeps that name for itself"
    if not _NAME.fullmatch(name):
        return "Letters, digits, '_', '.' and '-' make a name, and it does not begin with '-'"
    return ""
