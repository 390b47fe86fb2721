"""Make one NIC out of nothing but a wish: no libvirt, no host."""

from __future__ import annotations

from typing import Any

from vmnet.change.plan import Plan
from vmnet.nic import mac
from vmnet.nic.model import Nic
from vmnet.operations.wish import NicWish, check, shaped
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Generated:
    """A NIC, and what the rules have to say of it."""

    nic: Nic
    plan: Plan

    def document(self) -> dict[str, Any]:
        """The NIC as a JSON-able mapping with stable keys."""
        return {
            "nic": self.nic.values(),
            "xml": self.nic.xml(),
            "findings": [f.document() for f in self.plan.findings],
        }


def generate(wish: NicWish) -> Generated:
    """The NIC of a wish, checked against schema and rules.

    Args:
        wish: The NIC as somebody wants it; without a MAC address it gets none.

    Raises:
        UsageError: A value is bad, or the attachment is missing.
        Refused: Schema or rules speak against it.
    """
    asked = wish.fields.get("mac")
    nic = shaped(wish, mac.choose(asked, {}) if asked else None)
    plan = Plan(findings=tuple(check(wish, nic)))
    plan.refuse()
    return Generated(nic, plan)
