"""Edit a NIC: one field or several, live where the guest can take it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vmnet.change.plan import Plan, Step
from vmnet.findings import Finding
from vmnet.guest.connection import Connection
from vmnet.guest.editing import Update, kernel_mode, plan_edit
from vmnet.guest.kinds import Scope, Target
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.observe import macs_in_use, observe, observe_each
from vmnet.guest.planner import Attach
from vmnet.guest.selector import select
from vmnet.host.model import Host
from vmnet.host.observe import observe as observe_host
from vmnet.host.planner import plan_attachment
from vmnet.host.steps import SetMode
from vmnet.nic import mac, rules
from vmnet.nic.attachment import Bridge
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.nic.version import Version
from vmnet.operations.change import Outcome, Run, carry_out
from vmnet.operations.company import among_the_others, as_in_kernel, with_host


def edit(
    connection: Connection,
    domain_name: str,
    nic: str,
    wished: Mapping[str, Any],
    *,
    scope: Scope | None = None,
    replug: bool = False,
    run: Run,
) -> Outcome:
    """Change fields of one NIC of a domain.

    Args:
        connection: A connection that may write.
        domain_name: Name, UUID or id.
        nic: What `select` takes.
        wished: New values, or their texts, by field name; None unsets.
        scope: The documents; None for all that have the NIC.
        replug: Whether the NIC may be unplugged and plugged in again where nothing less will do.
        run: How to carry it out.

    Raises:
        Refused: A field cannot be changed so, or a rule speaks against what comes of it.
        VmnetError: It failed; what had been done was undone.
    """
    handle = connection.domain(domain_name)
    with run.alone_with(domains=[handle.uuid]):
        domain = observe(handle)
        host = observe_host() if connection.is_local else None
        pair = as_in_kernel(select(domain, nic), host)
        if wished.get("mac"):
            wished = {**wished, "mac": _free_mac(connection, host, pair, str(wished["mac"]))}
        plan = _plan(domain, pair, wished, host, scope, replug, connection.libvirt())
        left = carry_out(plan, connection, run, [domain])
    shown = left[-1] if left else rewrite(pair.nic, wished)
    return Outcome(plan, left is not None, ({"domain": domain.name, **shown.values()},))


def _free_mac(connection: Connection, host: Host | None, pair: GuestNic, wish: str) -> str:
    """The MAC address of a wish; one that this NIC has, or nobody."""
    taken = {**(host.macs() if host else {}), **macs_in_use(observe_each(connection))}
    return mac.choose(wish, {m: holder for m, holder in taken.items() if m != pair.mac})


def _plan(
    domain: Domain,
    pair: GuestNic,
    wished: Mapping[str, Any],
    host: Host | None,
    scope: Scope | None,
    replug: bool,
    libvirt: Version,
) -> Plan:
    guest = plan_edit(domain, pair, wished, scope, replug=replug, libvirt=libvirt)
    changed = [step.nic for step in guest.steps if isinstance(step, Update | Attach)]
    findings = [f for nic in changed for f in _new_findings(pair, nic, libvirt)]
    findings += among_the_others(domain, guest.steps, libvirt)
    if host is None:
        return Plan(guest.steps, (*guest.findings, *findings))
    prepared = _bridges(host, guest.steps)
    mode = kernel_mode(pair, wished, scope) if not replug else None
    first = (SetMode(pair.live.target or "", mode),) if mode and pair.live else ()
    steps = tuple(with_host((*first, *guest.steps), domain, host))
    return Plan(steps, (*dict.fromkeys((*findings, *prepared)), *guest.findings))


def _new_findings(pair: GuestNic, changed: Nic, libvirt: Version) -> Iterator[Finding]:
    """What the rules say of the NIC as it will be, and did not say of it as it is."""
    before = set(rules.check(pair.nic, libvirt))
    yield from (f for f in rules.check(changed, libvirt) if f not in before)


def _bridges(host: Host, steps: tuple[Step, ...]) -> list[Finding]:
    """What the host has to say of the bridges that the NIC is to move to."""
    wanted = {
        step.nic.attachment
        for step in steps
        if isinstance(step, Update) and step.target is Target.LIVE and any(c.field == "bridge" for c in step.changes)
    }
    return [f for to in wanted if isinstance(to, Bridge) for f in plan_attachment(host, to, None, None).findings]
