"""Detach a NIC: from the running guest first, which may refuse, then from the definition."""

from __future__ import annotations

from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Scope
from vmnet.guest.observe import observe
from vmnet.guest.planner import plan_detach
from vmnet.guest.selector import select
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
    plan = plan_detach(domain, pair, scope)
    applied = carry_out(plan, connection, run)
    return Outcome(plan, applied, ({"domain": domain.name, **pair.nic.values()},))
