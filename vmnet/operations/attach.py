"""Attach a NIC: decide it, prepare the host, plug it in, see that it is where it should be, and keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmnet.change.plan import Plan
from vmnet.errors import UsageError
from vmnet.findings import Finding, Severity
from vmnet.guest.connection import Connection, Handle
from vmnet.guest.kinds import Scope, Target
from vmnet.guest.model import Domain
from vmnet.guest.observe import macs_in_use, observe, observe_each
from vmnet.guest.planner import Attach, plan_attach
from vmnet.host.model import Host
from vmnet.host.observe import observe as observe_host
from vmnet.host.planner import real_name
from vmnet.nic import mac
from vmnet.nic.attachment import Bridge, Direct
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.operations.change import Outcome, Run, carry_out
from vmnet.operations.company import among_the_others, on_host, with_host
from vmnet.operations.wish import NicWish, check, shaped


def attach(
    connection: Connection,
    domain_name: str,
    wish: NicWish,
    *,
    uplink: str | None = None,
    scope: Scope | None = None,
    run: Run,
) -> Outcome:
    """Attach a NIC to a domain, making the bridge where an uplink is named and it is missing.

    Args:
        connection: A connection that may write.
        domain_name: Name, UUID or id.
        wish: The NIC.
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
    handle = connection.domain(domain_name)
    links = (uplink, *(wish.fields.get(name) for name in ("direct", "bridge")))
    with run.alone_with(domains=[handle.uuid], links=links):
        return _attach(connection, handle, wish, uplink, scope, run)


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
    connection: Connection, handle: Handle, wish: NicWish, uplink: str | None, scope: Scope | None, run: Run
) -> Outcome:
    domains = list(observe_each(connection))
    domain = next((d for d in domains if d.uuid == handle.uuid), None) or observe(handle)
    host = observe_host() if connection.is_local else None
    nic = decided(wish, domain, {**(host.macs() if host else {}), **macs_in_use(domains)})
    nic = _by_real_name(nic, host) if host else nic
    saved = domain.live is None and handle.is_saved()
    libvirt = connection.libvirt()
    ruled = check(wish, nic, libvirt)
    plan = Plan(findings=(*ruled, *_of_connection(connection, uplink), *_of_saved(domain, saved)))
    plan += _plan(domain, nic, host, uplink, scope)
    plan += Plan(findings=tuple(among_the_others(domain, plan.steps, libvirt)))
    left = carry_out(plan, connection, run, [domain])
    there = (pair.nic for pair in domain.nics if pair.mac == nic.mac)
    shown = left[0] if left else next(there, nic)
    return Outcome(plan, left is not None, ({"domain": domain.name, **shown.values()},))


def _plan(domain: Domain, nic: Nic, host: Host | None, uplink: str | None, scope: Scope | None) -> Plan:
    guest = plan_attach(domain, nic, scope)
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


def _of_saved(domain: Domain, saved: bool) -> Iterator[Finding]:
    if saved:
        yield Finding(
            "G308",
            Severity.WARNING,
            f"{domain.name} will be resumed from its managed save, without this NIC",
            why="the saved guest's own XML counts then, not the definition",
            remedy=f"Start it and attach again; or drop the saved state: virsh managedsave-remove {domain.name}",
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
