"""What a changing command did, or would do, in a few lines."""

from __future__ import annotations

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
    return "\n".join(f"{verb} {_nic(nic)}" for nic in done.nics)


def _nic(nic: dict[str, object]) -> str:
    where = f"macvtap on {nic['direct']}, mode {nic['mode']}" if "direct" in nic else f"port of {nic.get('bridge')}"
    name = f"{nic['target']}, " if "target" in nic else ""
    return safe(f"NIC {nic['mac']} of {nic['domain']}: {name}{where}")
