"""Attach a NIC: decide it, prepare the host, plug it in, see that it is where it should be, and keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vmnet.change.plan import Finding, Plan, Severity, Step
from vmnet.errors import VmnetError
from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Scope, State, Target
from vmnet.guest.model import Domain
from vmnet.guest.observe import macs_in_use, observe, observe_all
from vmnet.guest.planner import Attach, plan_attach
from vmnet.host.model import Host
from vmnet.host.observe import observe as observe_host
from vmnet.host.planner import plan_attachment, real_name
from vmnet.host.steps import VerifyPort
from vmnet.nic import mac, rules, schema
from vmnet.nic.attachment import Attachment, Bridge, Direct
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.operations.change import Outcome, Run, carry_out
from vmnet.operations.wish import NicWish, shaped

_MOMENTARY = ("H305", "H306", "H307", "H314")
"""Findings on who uses an uplink or a name now: no matter to a guest that starts later."""


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
    handle = connection.domain(domain_name)
    domains = observe_all(connection)
    domain = next((d for d in domains if d.uuid == handle.uuid), None) or observe(handle)
    host = observe_host() if connection.is_local else None
    nic = decided(wish, domain, {**(host.macs() if host else {}), **macs_in_use(domains)})
    nic = _by_real_name(nic, host) if host else nic
    plan = _plan(domain, nic, host, connection, uplink, scope)
    left = carry_out(plan, connection, run, [domain])
    there = (pair.nic for pair in domain.nics if pair.mac == nic.mac)
    shown = left[0] if left else next(there, nic)
    return Outcome(plan, left is not None, ({"domain": domain.name, **shown.values()},))


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


def _plan(
    domain: Domain, nic: Nic, host: Host | None, connection: Connection, uplink: str | None, scope: Scope | None
) -> Plan:
    guest = plan_attach(domain, nic, scope)
    findings = Plan(findings=(*schema.check(nic), *rules.check(nic), *_of_connection(connection, uplink)))
    if host is None or not guest.steps:
        return findings + guest
    live = any(isinstance(step, Attach) and step.target is Target.LIVE for step in guest.steps)
    own = [pair.live.target for pair in domain.nics if pair.live and pair.live.target and pair.mac == nic.mac]
    prepared = plan_attachment(host, _on_host(nic.attachment), nic.mac, uplink, target=nic.target, own=own)
    if not live:
        prepared = Plan(prepared.steps, tuple(map(_for_later, prepared.findings)))
    return findings + prepared + Plan(tuple(_verified(guest.steps, domain, nic, host)), guest.findings)


def _by_real_name(nic: Nic, host: Host) -> Nic:
    """The NIC attached to its link by the link's own name: libvirt takes others, and keeps what it was given."""
    match nic.attachment:
        case Direct(dev) if dev != (name := real_name(host, dev)):
            return rewrite(nic, {"direct": name})
        case Bridge(bridge) if bridge != (name := real_name(host, bridge)):
            return rewrite(nic, {"bridge": name})
    return nic


def _verified(steps: tuple[Step, ...], domain: Domain, nic: Nic, host: Host) -> Iterator[Step]:
    """The guest's steps, and after the one that plugs the NIC in a look at what the kernel has."""
    for step in steps:
        yield step
        if isinstance(step, Attach) and step.target is Target.LIVE:
            mac, running = nic.mac or "", domain.state is State.RUNNING
            others = tuple(link.index for link in host.guest_ends(mac))
            yield VerifyPort(domain.name, mac, _on_host(nic.attachment), running, others)


def _on_host(attachment: Attachment) -> Direct | Bridge:
    match attachment:
        case Direct() | Bridge():
            return attachment
    raise VmnetError(
        "attachment-unknown",
        f"vmnet cannot attach a NIC of this kind: {type(attachment).__name__.lower()}",
        remedy="Say --direct DEV or --bridge NAME, or use a template of one of these kinds",
    )


def _for_later(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.WARNING) if finding.code in _MOMENTARY else finding


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
