"""Change a NIC in place by the narrowest call there is, and see that libvirt did what it said."""

from __future__ import annotations

from vmnet.errors import VmnetError
from vmnet.guest.connection import Handle
from vmnet.guest.editing import Update, field_changes
from vmnet.guest.kinds import Target
from vmnet.guest.observe import read_back
from vmnet.guest.planner import describe
from vmnet.nic.compound import RATES
from vmnet.nic.model import Nic


def update(handle: Handle, step: Update) -> Nic:
    """Do one update; the NIC as libvirt has it then.

    Raises:
        VmnetError: libvirt refused, or answered success and did something else (``nic-readback``).
    """
    if step.target is Target.LIVE and step.is_bandwidth_only:
        handle.limit(step.before.mac or "", _limits(step))
    else:
        handle.update(step.nic.xml(), step.target)
    document = read_back(handle, step.target)
    found = document.find(step.nic) if document else None
    wrong = field_changes(step.nic, found) if found else ()
    if found is None or wrong:
        raise VmnetError(
            "nic-readback",
            f"libvirt said that it changed {describe(step.before)} of {handle.name}, and it did not",
            why="; ".join(f"{c.field} is {c.after}, not {c.before}" for c in wrong) or "the NIC is gone",
            remedy="Say --replug to have it by unplugging and plugging in again, or --config for the next start",
        )
    return found


def _limits(step: Update) -> dict[str, int]:
    """The rates of each direction that changes; an average of 0 takes the limit away."""
    limits: dict[str, int] = {}
    for change in step.changes:
        rates = str(change.after or "0").split(",")
        limits |= {f"{change.field}.{name}": int(rate) for name, rate in zip(RATES, rates, strict=False) if rate}
    return limits
