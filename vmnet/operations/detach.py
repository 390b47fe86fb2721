"""Detach a NIC: from the running guest first, which may refuse, then from the definition."""

from __future__ import annotations

from vmnet.change.plan import Plan
from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Scope
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.planner import plan_detach
from vmnet.host.model import Host
from vmnet.host.observe import observe as observe_host
from vmnet.operations.change import Changed, Outcome, Run, carry_out
from vmnet.operations.choice import Choice
from vmnet.operations.company import by_real_names, together, touched, with_host


def detach(connection: Connection, choice: Choice, nic: str, *, scope: Scope | None = None, run: Run) -> Outcome:
    """Detach one NIC of each domain.

    Args:
        connection: A connection that may write.
        choice: The domains.
        nic: MAC address, alias, target device, PCI address or number.
        scope: The documents; None for all that have it.
        run: How to carry it out.

    Raises:
        VmnetError: ``nic-unknown``, ``nic-ambiguous``; ``unplug-refused``; or what libvirt says.
        NotRolledBack: ``unplug-pending``: the guest has not let go, and may still.
    """
    chosen = choice.of(connection)
    with run.alone_with(domains=chosen.uuids):
        found = chosen.nics(chosen.observed(scope), nic)
        with run.alone_with(links=by_real_names(connection, (pair.nic.direct for _, pair in found))):
            host = observe_host() if connection.is_local else None
            plans = [_plan(domain, pair, host, scope) for domain, pair in found]
            plan = together({domain.name: part for (domain, _), part in zip(found, plans, strict=True)})
            left = carry_out(plan, connection, run, [domain for domain, _ in found])
    nics = [Changed(domain.name, pair.nic, touched(p.steps)) for (domain, pair), p in zip(found, plans, strict=True)]
    return Outcome(plan, left is not None, tuple(nics), chosen.without(domain for domain, _ in found))


def _plan(domain: Domain, pair: GuestNic, host: Host | None, scope: Scope | None) -> Plan:
    """The guest's steps, and after the running guest's what the host needs then."""
    guest = plan_detach(domain, pair, scope)
    return Plan(tuple(with_host(guest.steps, domain, host)), guest.findings)
