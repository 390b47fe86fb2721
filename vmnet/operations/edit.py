"""Edit a NIC: one field or several, live where the guest can take it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vmnet.change.plan import Plan
from vmnet.errors import UsageError
from vmnet.findings import Finding, Severity
from vmnet.guest.connection import Connection
from vmnet.guest.editing import Update, kernel_mode, meant, plan_edit, weigh
from vmnet.guest.kinds import Scope, Target
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.networks import bridge_of
from vmnet.guest.observe import macs_in_use, observe_each
from vmnet.guest.planner import Attach
from vmnet.host.model import Host
from vmnet.host.observe import observe as observe_host
from vmnet.host.planner import real_name
from vmnet.host.steps import SetMode
from vmnet.nic import mac, rules
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.nic.version import Version
from vmnet.operations.change import Changed, Outcome, Run, carry_out
from vmnet.operations.choice import Choice
from vmnet.operations.company import (
    all_kept,
    among_the_others,
    as_in_kernel,
    beside_each_other,
    by_real_names,
    libvirt_has,
    on_host,
    together,
    touched,
    with_host,
)


def edit(
    connection: Connection,
    choice: Choice,
    nic: str,
    wished: Mapping[str, Any],
    *,
    scope: Scope | None = None,
    replug: bool = False,
    run: Run,
) -> Outcome:
    """Change fields of one NIC of each domain.

    Args:
        connection: A connection that may write.
        choice: The domains.
        nic: What `select` takes.
        wished: New values, or their texts, by field name; None unsets.
        scope: The documents; None for all that have the NIC.
        replug: Whether the NIC may be unplugged and plugged in again where nothing less will do.
        run: How to carry it out.

    Raises:
        UsageError: ``no-field-said``: nothing is wished.
        Refused: A field cannot be changed so, or a rule speaks against what comes of it.
        VmnetError: It failed; what had been done was undone.
    """
    if not wished:
        raise UsageError(
            "no-field-said", "no field is named that is to change",
            remedy="Say one, such as --link down, --set FIELD=VALUE or --unset FIELD",
        )  # fmt: skip
    chosen = choice.of(connection)
    chosen.can_have(wished)
    with run.alone_with(domains=chosen.uuids):
        found = chosen.nics(chosen.observed(scope), nic, scope)
        links = (*(pair.nic.direct for _, pair in found), wished.get("direct"), wished.get("bridge"))
        with run.alone_with(links=by_real_names(connection, links)):
            host = observe_host() if connection.is_local else None
            wished = _settled(connection, host, found, wished)
            libvirt, onto = connection.libvirt(), _bridge_of(connection, wished.get("network"))
            weighed = [
                weigh(domain, pair, wished, scope, running=as_in_kernel(pair.live, host), libvirt=libvirt, onto=onto)
                for domain, pair in found
            ]
            run.weighed({domain.name: fields for (domain, _), fields in zip(found, weighed, strict=True)})
            plans = [_plan(domain, pair, wished, host, scope, replug, libvirt, onto) for domain, pair in found]
            plan = together({domain.name: part for (domain, _), part in zip(found, plans, strict=True)})
            plan += Plan(findings=(*beside_each_other(plan.steps), *libvirt_has(connection, plan.steps)))
            left = carry_out(plan, connection, run, [domain for domain, _ in found])
    nics = (
        Changed(domain.name, _shown(left, domain, rewrite(meant(pair.nic, wished), wished)), _documents(part), fields)
        for (domain, pair), part, fields in zip(found, plans, weighed, strict=True)
    )
    return Outcome(plan, left is not None, tuple(nics), chosen.without(domain for domain, _ in found))


def _shown(left: Mapping[str, Sequence[Nic]] | None, domain: Domain, wished: Nic) -> Nic:
    """The NIC as libvirt has it last, if it was told of a change."""
    return left[domain.uuid][-1] if left and domain.uuid in left else wished


def _documents(plan: Plan) -> tuple[str, ...]:
    """Which documents change; a mode set by netlink is the running guest's, though libvirt does not hear of it."""
    by_kernel = any(isinstance(step, SetMode) for step in plan.steps)
    return tuple(dict.fromkeys((*(["live"] if by_kernel else []), *touched(plan.steps))))


def _bridge_of(connection: Connection, network: str | None) -> str | None:
    return bridge_of(network, connection.network_xml(network)) if network else None


def _settled(
    connection: Connection, host: Host | None, found: Sequence[tuple[Domain, GuestNic]], wished: Mapping[str, Any]
) -> dict[str, Any]:
    """The wish with links by their own names, and with a MAC address that this NIC has, or nobody."""
    settled = dict(wished)
    for name in ("direct", "bridge"):
        if host and wished.get(name):
            settled[name] = real_name(host, str(wished[name]))
    if wished.get("mac"):
        own = {pair.mac for _, pair in found}
        taken = {**(host.macs() if host else {}), **macs_in_use(observe_each(connection))}
        settled["mac"] = mac.choose(str(wished["mac"]), {m: h for m, h in taken.items() if m not in own})
    return settled


def _plan(
    domain: Domain,
    pair: GuestNic,
    wished: Mapping[str, Any],
    host: Host | None,
    scope: Scope | None,
    replug: bool,
    libvirt: Version,
    onto: str | None,
) -> Plan:
    running = as_in_kernel(pair.live, host)
    guest = plan_edit(domain, pair, wished, scope, running=running, replug=replug, libvirt=libvirt, onto=onto)
    coming = [step for step in guest.steps if isinstance(step, Update | Attach)]
    ruled = (f for step in coming for f in _new_findings(pair, step.nic, libvirt))
    findings = [*all_kept(ruled, unsettable=Nic.FIELDS.keys() - wished.keys())]
    findings += among_the_others(domain, guest.steps, libvirt)
    plugged = any(isinstance(step, Attach) and step.target is Target.LIVE for step in coming)
    mode = None if plugged else kernel_mode(running, wished, scope)
    if host is None:
        findings += [_of_another_host(domain)] if mode else []
        return Plan(guest.steps, (*guest.findings, *dict.fromkeys(findings)))
    own = [pair.live.target] if pair.live and pair.live.target else []
    live = any(step.target is Target.LIVE for step in coming)
    moving = [step.nic for step in coming if _moves(step, pair)]
    findings += (f for nic in moving for f in on_host(host, nic, None, own=own, live=live).findings)
    first = (SetMode(pair.live.target or "", mode),) if mode and pair.live else ()
    steps = tuple(with_host((*first, *guest.steps), domain, host))
    return Plan(steps, (*guest.findings, *dict.fromkeys(findings)))


def _of_another_host(domain: Domain) -> Finding:
    return Finding(
        "G314",
        Severity.ERROR,
        f"the running {domain.name} cannot get another macvtap mode from here",
        "Only its host's kernel changes it, and that is another host",
        "Run vmnet there; or say --config and it has it at the next start",
        "mode",
    )


def _new_findings(pair: GuestNic, changed: Nic, libvirt: Version) -> Iterator[Finding]:
    """What the rules say of the NIC as it will be, and did not say of it as it is."""
    before = set(rules.check(pair.nic, libvirt))
    yield from (f for f in rules.check(changed, libvirt) if f not in before)


def _moves(step: Update | Attach, pair: GuestNic) -> bool:
    """Whether the NIC is to get a link of the host that it has not now: a replug makes one anew in any case."""
    was = pair.on(step.target)
    plugged = isinstance(step, Attach) and step.target is Target.LIVE
    return plugged or was is None or was.attachment != step.nic.attachment
