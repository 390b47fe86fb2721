"""Detach a NIC: from the running guest first, which may refuse, then from the definition."""

from __future__ import annotations

from vmnet.change.plan import Plan
from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Scope
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.observe import observe
from vmnet.guest.planner import plan_detach
from vmnet.guest.selector import select
from vmnet.host.model import Host
from vmnet.host.observe import observe as observe_host
from vmnet.operations.change import Outcome, Run, carry_out
from vmnet.operations.company import with_host


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
    handle = connection.domain(domain_name)
    with run.alone_with(domains=[handle.uuid]):
        domain = observe(handle)
        pair = select(domain, nic)
        with run.alone_with(links=[pair.nic.direct]):
            plan = _plan(domain, pair, observe_host() if connection.is_local else None, scope)
            left = carry_out(plan, connection, run, [domain])
    return Outcome(plan, left is not None, ({"domain": domain.name, **pair.nic.values()},))


def _plan(domain: Domain, pair: GuestNic, host: Host | None, scope: Scope | None) -> Plan:
    """The guest's steps, and after the running guest's what the host needs then."""
    guest = plan_detach(domain, pair, scope)
    return Plan(tuple(with_host(guest.steps, domain, host)), guest.findings)
