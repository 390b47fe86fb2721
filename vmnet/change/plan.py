"""A plan is a value: what was found, and what would be done, in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from vmnet.errors import Refused
from vmnet.findings import Finding
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One action of a plan: a value that a wing knows how to apply."""

    wing: ClassVar[str]
    """Name of the wing that applies it: ``host`` or ``guest``."""

    @abstractmethod
    def summary(self) -> str:
        """What the step does, as an imperative sentence without a full stop."""

    def document(self) -> dict[str, Any]:
        """The step as a JSON-able mapping."""
        return {"wing": self.wing, "action": type(self).__name__, "summary": self.summary()}


@dataclass(frozen=True, slots=True)
class Plan:
    """Findings and ordered steps; plans add up."""

    steps: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, parts: Iterable[Step | Finding]) -> Plan:
        """The plan that a planner yields piece by piece."""
        parts = tuple(parts)
        return cls(
            tuple(p for p in parts if isinstance(p, Step)),
            tuple(p for p in parts if isinstance(p, Finding)),
        )

    def __add__(self, other: Plan) -> Plan:
        return Plan(self.steps + other.steps, self.findings + other.findings)

    def refuse(self) -> None:
        """Raise `Refused` if any finding is an error."""
        if any(f.is_error for f in self.findings):
            raise Refused(self.findings)

    def document(self) -> dict[str, Any]:
        """The plan as a JSON-able mapping with stable keys."""
        return {
            "steps": [s.document() for s in self.steps],
            "findings": [f.document() for f in self.findings],
        }
