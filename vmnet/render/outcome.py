"""What a changing command did, or would do, in a few lines."""

from __future__ import annotations

from vmnet.guest.kinds import Target
from vmnet.guest.planner import GuestStep
from vmnet.operations.change import Outcome
from vmnet.render.message import plan
from vmnet.render.text import safe


def outcome(done: Outcome, verb: str) -> str:
    """The plan where it was not applied, else a line for each NIC.

    Args:
        done: What was planned and done.
        verb: What was done to the NICs, such as ``Attached``.
    """
    if not done.applied:
        return plan(done.plan)
    targets = {step.target for step in done.plan.steps if isinstance(step, GuestStep)}
    only = ", in its definition" if targets == {Target.CONFIG} else ""
    return "\n".join(f"{verb} {_nic(nic, live=not only)}{only}" for nic in done.nics)


def _nic(nic: dict[str, object], *, live: bool) -> str:
    name = f"{nic['target']}, " if live and "target" in nic else ""
    return safe(f"NIC {nic.get('mac')} of {nic['domain']}: {name}{_where(nic)}")


def _where(nic: dict[str, object]) -> str:
    if "direct" in nic:
        return f"macvtap on {nic['direct']}, mode {nic['mode']}"
    if "bridge" in nic:
        return f"port of {nic['bridge']}"
    return f"on network {nic['network']}" if "network" in nic else "of another kind"
