"""What a rule or a preflight has to say before anything is touched."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Any

from vmnet.values import dataclass


class Severity(StrEnum):
    """How much a finding weighs: an error refuses the plan, the others only speak."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule or a preflight has to say, before anything is touched.

    Args:
        code: Stable code: N for the NIC's rules, H for the host, G for the guest.
        severity: Whether the plan may go on.
        what: The finding, one sentence without its full stop, naming the culprit.
        why: The reason, with its source where a kernel or libvirt rule forces it.
        remedy: What to do instead.
        field: The vocabulary field it speaks of, if one.
    """

    code: str
    severity: Severity
    what: str
    why: str = ""
    remedy: str = ""
    field: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether this finding refuses the plan."""
        return self.severity is Severity.ERROR

    def document(self) -> dict[str, Any]:
        """The finding as a JSON-able mapping with stable keys."""
        return asdict(self) | {"severity": self.severity.value}
