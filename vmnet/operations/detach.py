"""Detach a NIC: from the running guest first, which may refuse, then from the definition."""

from __future__ import annotations

from vmnet.change.plan import Plan, Step
from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Scope, Target
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.observe import observe
from vmnet.guest.planner import Detach, plan_detach
from vmnet.guest.selector import select
from vmnet.host.model import Host
from vmnet.host.observe import observe as observe_host
from vmnet.host.planner import plan_release
from vmnet.operations.change import Outcome, Run, carry_out


def detach(connection: Connection, domain_name: str, nic: str, *, scope: Scope | None = None, run: Run) -> Outcome:
    """Detach one NIC of a domain.

    Args:
        connection: A connection that may write.
        domain_name: Name, UUID or id.
        nic: MAC address, alias, target device, PCI address or number.
        scope: The documents; None for all that have it.
        run: How to carry it out.

    Raises:
        VmnetError: ``nic-unknown``, ``nic-ambiguous``; ``unplug-refused``; or what libvirt says.
        NotRolledBack: ``unplug-pending``: the guest has not let go, and may still.
    """
    domain = observe(connection.domain(domain_name))
    pair = select(domain, nic)
    plan = _plan(domain, pair, observe_host() if connection.is_local else None, scope)
    left = carry_out(plan, connection, run, [domain])
    return Outcome(plan, left is not None, ({"domain": domain.name, **pair.nic.values()},))


def _plan(domain: Domain, pair: GuestNic, host: Host | None, scope: Scope | None) -> Plan:
    """The guest's steps, and after the running guest's what the host needs then."""
    guest = plan_detach(domain, pair, scope)
    steps: list[Step] = []
    for step in guest.steps:
        steps.append(step)
        if host and isinstance(step, Detach) and step.target is Target.LIVE:
            steps += plan_release(host, step.nic.attachment).steps
    return Plan(tuple(steps), guest.findings)
