"""Attach a NIC: decide it, prepare the host, plug it in, see that it is where it should be, and keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vmnet.change.plan import Plan
from vmnet.errors import UsageError
from vmnet.findings import Finding, Severity
from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Scope, Target
from vmnet.guest.model import Domain
from vmnet.guest.observe import macs_in_use, observe_each
from vmnet.guest.planner import Attach, plan_attach
from vmnet.host.model import Host
from vmnet.host.observe import observe as observe_host
from vmnet.host.planner import real_name
from vmnet.nic import mac
from vmnet.nic.attachment import Bridge, Direct
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.nic.version import Version
from vmnet.operations.change import Changed, Outcome, Run, carry_out
from vmnet.operations.choice import Choice, Chosen
from vmnet.operations.company import (
    all_kept,
    among_the_others,
    beside_each_other,
    by_real_names,
    libvirt_has,
    on_host,
    together,
    touched,
    with_host,
)
from vmnet.operations.wish import NicWish, check, shaped


def attach(
    connection: Connection,
    choice: Choice,
    wish: NicWish,
    *,
    uplink: str | None = None,
    scope: Scope | None = None,
    run: Run,
) -> Outcome:
    """Attach a NIC to each domain, making the bridge where an uplink is named and it is missing.

    Args:
        connection: A connection that may write.
        choice: The domains.
        wish: The NIC of each.
        uplink: The link to make a missing bridge over.
        scope: The documents; None for live if it runs and config if it is persistent.
        run: How to carry it out.

    Raises:
        Refused: A rule or a preflight speaks against it.
        VmnetError: It failed; what had been done was undone.
    """
    if uplink is not None and wish.fields.get("bridge") is None:
        raise UsageError(
            "uplink-without-bridge", "--uplink names the link to make a bridge over, and no --bridge was given",
            remedy="Say --bridge NAME too, or for a macvtap on that link --direct DEV alone",
        )  # fmt: skip
    chosen = choice.of(connection)
    chosen.can_have(wish.fields)
    links = (uplink, *(wish.fields.get(name) for name in ("direct", "bridge")))
    with run.alone_with(domains=chosen.uuids, links=by_real_names(connection, links)):
        return _attach(connection, chosen, wish, uplink, scope, run)


def decided(wish: NicWish, domain: Domain, taken: Mapping[str, str]) -> Nic:
    """The NIC of a wish, with a MAC address that nobody else has.

    Args:
        wish: The NIC as somebody wants it.
        domain: The domain that is to get it; an address it has already may be asked for again.
        taken: MAC addresses in use, each with its holder.
    """
    asked = wish.fields.get("mac")
    own = {pair.mac for pair in domain.nics} if asked else set()
    return shaped(wish, mac.choose(asked, {m: holder for m, holder in taken.items() if m not in own}))


def _attach(
    connection: Connection, chosen: Chosen, wish: NicWish, uplink: str | None, scope: Scope | None, run: Run
) -> Outcome:
    everybody = list(observe_each(connection))
    domains = chosen.observed(scope, everybody)
    host = observe_host() if connection.is_local else None
    taken = {**(host.macs() if host else {}), **macs_in_use(everybody)}
    libvirt = connection.libvirt()
    nics: list[Nic] = []
    plans: list[Plan] = []
    for domain in domains:
        nic = decided(wish, domain, taken)
        nic = _by_real_name(nic, host) if host else nic
        taken[nic.mac or ""] = f"domain {domain.name}"
        nics.append(nic)
        plans.append(_plan(domain, nic, host, uplink, scope, libvirt))
    ruled = all_kept(check(wish, nics[0], libvirt))
    off = {domain.uuid for domain in domains if domain.live is None}
    saved = (handle.name for handle in chosen.handles if handle.uuid in off and handle.is_saved())
    before = Plan(findings=(*ruled, *_of_connection(connection, uplink), *map(_of_saved, saved)))
    plan = before + together({domain.name: part for domain, part in zip(domains, plans, strict=True)})
    plan += Plan(findings=(*beside_each_other(plan.steps), *libvirt_has(connection, plan.steps)))
    left = carry_out(plan, connection, run, domains)
    changed = (
        Changed(domain.name, _shown(domain, nic, (left or {}).get(domain.uuid, ())), touched(part.steps))
        for domain, nic, part in zip(domains, nics, plans, strict=True)
    )
    return Outcome(plan, left is not None, tuple(changed), chosen.without(domains))


def _shown(domain: Domain, nic: Nic, left: Sequence[Nic]) -> Nic:
    """The NIC as libvirt has it, if it has."""
    there = (pair.nic for pair in domain.nics if pair.mac == nic.mac)
    return left[0] if left else next(there, nic)


def _plan(
    domain: Domain, nic: Nic, host: Host | None, uplink: str | None, scope: Scope | None, libvirt: Version
) -> Plan:
    guest = plan_attach(domain, nic, scope)
    guest += Plan(findings=tuple(among_the_others(domain, guest.steps, libvirt)))
    if host is None or not guest.steps:
        return guest
    live = any(isinstance(step, Attach) and step.target is Target.LIVE for step in guest.steps)
    own = [pair.live.target for pair in domain.nics if pair.live and pair.live.target and pair.mac == nic.mac]
    prepared = on_host(host, nic, uplink, own=own, live=live)
    return prepared + Plan(tuple(with_host(guest.steps, domain, host)), guest.findings)


def _by_real_name(nic: Nic, host: Host) -> Nic:
    """The NIC attached to its link by the link's own name: libvirt takes others, and keeps what it was given."""
    match nic.attachment:
        case Direct(dev) if dev != (name := real_name(host, dev)):
            return rewrite(nic, {"direct": name})
        case Bridge(bridge) if bridge != (name := real_name(host, bridge)):
            return rewrite(nic, {"bridge": name})
    return nic


def _of_saved(domain: str) -> Finding:
    return Finding(
        "G308",
        Severity.WARNING,
        f"{domain} will be resumed from its managed save, without this NIC",
        why="the saved guest's own XML counts then, not the definition",
        remedy=f"Start it and attach again; or drop the saved state: virsh managedsave-remove {domain}",
    )


def _of_connection(connection: Connection, uplink: str | None) -> Iterator[Finding]:
    if connection.is_session:
        yield Finding(
            "G305",
            Severity.ERROR,
            f"{connection.uri} is a session daemon, which cannot make taps or macvtaps",
            why="It runs without the rights that links need",
            remedy="Use -c qemu:///system",
        )
    if not connection.is_local:
        yield Finding(
            "G306",
            Severity.ERROR if uplink else Severity.NOTE,
            f"{connection.uri} is another host: its links cannot be seen from here",
            why="vmnet prepares and checks the links of the host that it runs on",
            remedy="Run vmnet there" if uplink else "Run vmnet there to have them checked too",
        )
