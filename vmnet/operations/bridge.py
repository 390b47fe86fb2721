"""The host's bridges: make one over the host's own NIC, take it away again, and see what there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vmnet.change.plan import Plan
from vmnet.errors import VmnetError
from vmnet.host.carried import observe_carried
from vmnet.host.hostlink_steps import CarryFromHostlink, CarryToHostlink
from vmnet.host.managers import observe_owners
from vmnet.host.model import GUEST_PORTS, BridgeOptions, Host, Identity, Link
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare, real_name
from vmnet.host.reached import check_firewall, check_peers, check_unasked
from vmnet.host.steps import CarryToBridge, CarryToUplink, VerifyPeers
from vmnet.host.wire import Line
from vmnet.operations.before import before
from vmnet.operations.change import Run
from vmnet.rights import may_change_links
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a change of the host's own line stands.

    Args:
        confirm_seconds: Within what time somebody must confirm it from another connection; None if nobody is asked.
        probe: Whether who answered on the LAN before must answer after.
        take_over: Whether who else looks after the links is told to leave them alone; else that refuses it.
        waiting: Told the transaction's id and the seconds left, while somebody is to confirm it.
    """

    confirm_seconds: float | None = None
    probe: bool = True
    take_over: bool = False
    waiting: Callable[[str, float], None] = lambda *_: None


@dataclass(frozen=True, slots=True)
class BridgeOutcome:
    """What was planned for a bridge, and whether it was done.

    Args:
        plan: The plan; without steps there was nothing to do.
        applied: Whether it was carried out.
        bridge: The bridge's name.
        transaction: The id by which it can be undone; empty where it was not applied.
    """

    plan: Plan
    applied: bool
    bridge: str
    transaction: str = ""

    def document(self) -> dict[str, Any]:
        """The outcome as a JSON-able mapping with stable keys."""
        about = {"applied": self.applied, "bridge": self.bridge, "transaction": self.transaction or None}
        return {**about, **self.plan.document()}


@dataclass(frozen=True, slots=True)
class BridgeSeen:
    """A bridge of this host.

    Args:
        link: The bridge.
        uplinks: Names of the ports that may lead to a LAN.
        guests: Names of the ports that are guests' taps.
        addresses: The host's addresses on it.
        stacked: Names of links that are stacked on it.
    """

    link: Link
    uplinks: tuple[str, ...]
    guests: tuple[str, ...]
    addresses: tuple[str, ...]
    stacked: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The bridge as a JSON-able mapping with stable keys."""
        settings = self.link.bridge
        assert settings is not None, "it is a bridge"
        return {
            "name": self.link.name,
            "made_by_vmnet": self.link.is_ours,
            "up": self.link.up,
            "carrier": self.link.carrier,
            "mac": self.link.mac,
            "mtu": self.link.mtu,
            "stp": settings.stp,
            "forward_delay": settings.forward_delay,
            "ageing": settings.ageing,
            "vlan_filtering": settings.vlan_filtering,
            "multicast_snooping": settings.multicast_snooping,
            "uplinks": list(self.uplinks),
            "guests": list(self.guests),
            "stacked": list(self.stacked),
            "addresses": list(self.addresses),
        }


def prepare(name: str, uplink: str, options: BridgeOptions, *, terms: Terms, run: Run) -> BridgeOutcome:
    """Have a bridge over an uplink, which carries from then on all that the uplink carried for the host.

    Args:
        name: The bridge's name.
        uplink: The uplink's name.
        options: How the bridge is wished.
        terms: On what terms the change stands.
        run: How to carry it out.

    Raises:
        Refused: Something speaks against it; nothing was touched.
        RolledBack: It failed, nobody answered or nobody confirmed it; the host is as it was.
        VmnetError: As `execute`, or of the journal or the watchdog.
    """
    with run.alone_with(links=(name, uplink)):
        host = observe()
        name, uplink = real_name(host, name), real_name(host, uplink)
        with Line() as line:
            carried = observe_carried(line, [uplink])
        managers = observe_owners(link for link in map(host.link, (uplink, name)) if link)
        plan = plan_prepare(host, carried, name, uplink, options, managers, take_over=terms.take_over)
        return _carry_out(plan, host, (name, uplink), terms, run)


def dismantle(
    name: str, uplink: str | None, owners: Callable[[], Mapping[str, str]], *, terms: Terms, run: Run
) -> BridgeOutcome:
    """Have a bridge gone, and its uplink carry again what the bridge carries for the host.

    Args:
        name: The bridge's name.
        uplink: Its uplink's name, where it has several ports that may be it.
        owners: Tells the guests whose links are on it, by the links' names; asked only where there are some.
        terms: On what terms the change stands.
        run: How to carry it out.

    Raises:
        As `prepare`.
    """
    with run.alone_with(links=(name, uplink)):
        host = observe()
        name = real_name(host, name)
        bridge = host.link(name)
        on_it = (*host.ports(bridge), *host.uppers(bridge)) if bridge else ()
        holders = owners() if any(link.kind in GUEST_PORTS for link in on_it) else {}
        with Line() as line:
            carried = observe_carried(line, [name])
        managers = observe_owners((bridge, *on_it) if bridge else ())
        plan = plan_dismantle(
            host,
            carried,
            name,
            uplink and real_name(host, uplink),
            holders,
            managers,
            take_over=terms.take_over,
            before={link.name: before(link.name) for link in on_it},
        )
        if bridge and plan.steps:
            from vmnet.host.persist.formats import made_at_boot, observe_texts

            plan += Plan((), tuple(made_at_boot(name, observe_texts())))
        return _carry_out(plan, host, (name, *(link.name for link in on_it)), terms, run)


def bridges() -> tuple[BridgeSeen, ...]:
    """The bridges of this host, by name."""
    host = observe()
    return tuple(_seen(host, link) for link in sorted(host.links, key=lambda link: link.name) if link.is_bridge)


def has_stray_taps() -> bool:
    """Whether a guest's tap is a port of nothing, as far as its MAC tells: libvirt has it begin with fe."""
    return any(n.kind == "tun" and n.master is None and (n.mac or "").startswith("fe:") for n in observe().links)


def bridge(name: str) -> BridgeSeen:
    """One bridge of this host.

    Raises:
        VmnetError: ``bridge-unknown``.
    """
    host = observe()
    link = host.link(name)
    if link is None or not link.is_bridge:
        there = ", ".join(n.name for n in host.links if n.is_bridge)
        raise VmnetError(
            "bridge-unknown",
            f"there is no bridge {name} on this host",
            remedy=f"There are: {there}" if there else "There is none: vmnet bridge prepare makes one",
        )
    return _seen(host, link)


def carry_out(plan: Plan, host: Host, names: tuple[str, ...], terms: Terms, run: Run) -> tuple[Plan, str]:
    """Refuse, show or apply a plan that may cut the host off.

    Args:
        plan: The plan.
        host: The observation that it was made from.
        names: Names of links: what the change is about.
        terms: On what terms the change stands.
        run: How to carry it out.

    Returns:
        The plan, with who is to answer after it, and the transaction's id; empty where it was not applied.

    Raises:
        As `prepare`.
    """
    plan.refuse()
    way = _way(host, plan)
    if way:
        from vmnet.host.firewall import observe_firewall, unasked

        confirmed = terms.confirm_seconds is not None
        plan += Plan.of(check_firewall(observe_firewall(), *way, confirmed=confirmed))
        plan += Plan.of(check_unasked(unasked(), confirmed=confirmed))
        plan.refuse()
    if plan.steps and terms.probe:
        plan += _probes(host, way, confirmed=terms.confirm_seconds is not None)
        plan.refuse()
    run.planned(plan)
    if run.dry or not plan.steps:
        return plan, ""
    from vmnet.change.executor import execute
    from vmnet.change.transaction import Transaction
    from vmnet.host.applier import HostWing
    from vmnet.operations.undoing import WATCHDOG

    transaction = Transaction(names, WATCHDOG, terms.confirm_seconds, terms.waiting)
    execute(plan, {"host": HostWing()}, run.progress, transaction)
    return plan, transaction.id


def _carry_out(plan: Plan, host: Host, names: tuple[str, ...], terms: Terms, run: Run) -> BridgeOutcome:
    plan, transaction = carry_out(plan, host, names, terms, run)
    return BridgeOutcome(plan, bool(transaction), names[0], transaction)


def _way(host: Host, plan: Plan) -> tuple[str, str] | None:
    """From which link to which addresses of the host's move; None where none does."""
    for step in plan.steps:
        match step:
            case CarryToBridge(uplink, bridge) if _has_addresses(host, uplink):
                return uplink.name, bridge
            case CarryToUplink(bridge, uplink) if _has_addresses(host, bridge):
                return bridge.name, uplink.name
            case CarryToHostlink(uplink, hostlink) if _has_addresses(host, uplink):
                return uplink.name, hostlink
            case CarryFromHostlink(hostlink, uplink) if _has_addresses(host, hostlink):
                return hostlink.name, uplink.name
    return None


def _has_addresses(host: Host, source: Identity) -> bool:
    return any(a.index == source.index and not a.link_local for a in host.addresses)


def _probes(host: Host, way: tuple[str, str] | None, *, confirmed: bool) -> Plan:
    """Who answers now must answer then, on the link that the host's addresses come to."""
    from vmnet.host.probes import Role, answering, peers, ssh_session

    asked = peers(host, ssh_session()) if may_change_links() else ()
    known = answering(asked)
    if way is None:
        return Plan((VerifyPeers(known),)) if known else Plan()
    source, target = way
    link = host.link(source)
    is_stranded = link is not None and link.master is not None  # a port: nobody behind it can answer the host
    moving = [] if is_stranded else [peer for peer in asked if peer.link in (source, "")]
    gateways = [peer.address for peer in moving if peer.role is Role.GATEWAY]
    answered = any(peer in known for peer in moving)
    found = check_peers(source, gateways, asked=bool(moving), answered=answered, confirmed=confirmed)
    then = tuple(replace(peer, link=target) if peer.link == source else peer for peer in known)
    return Plan((VerifyPeers(then),) if then else (), tuple(found))


def _seen(host: Host, link: Link) -> BridgeSeen:
    ports = host.ports(link)
    return BridgeSeen(
        link,
        uplinks=tuple(n.name for n in ports if n.kind not in GUEST_PORTS),
        guests=tuple(n.name for n in ports if n.kind in GUEST_PORTS),
        addresses=tuple(a.address for a in host.addresses_on(link) if not a.link_local),
        stacked=tuple(n.name for n in host.uppers(link)),
    )
