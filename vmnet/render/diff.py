"""What a plan changes in the XML of guests, as a diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from vmnet.change.plan import Plan, Step
from vmnet.guest.editing import Update
from vmnet.guest.planner import Attach, Detach, GuestStep
from vmnet.render.text import safe


def xml_diff(plan: Plan) -> str:
    """A unified diff of each NIC that the plan changes, adds or takes away, in each document: what all its steps do."""
    changed: dict[tuple[str, str, str], tuple[str, str]] = {}
    for step in plan.steps:
        if isinstance(step, GuestStep):
            before, after = _around(step)
            key = (step.domain, step.target.name.lower(), step.nic.mac or "")
            changed[key] = (changed[key][0] if key in changed else before, after)
    return "\n".join(safe(line) for key, texts in changed.items() for line in _diff(f"{key[0]} ({key[1]})", *texts))


def _around(step: Step) -> tuple[str, str]:
    """The NIC's XML before a step and after it."""
    match step:
        case Update():
            return step.before.xml(), step.nic.xml()
        case Attach():
            return "", step.nic.xml()
        case Detach():
            return step.nic.xml(), ""
    raise AssertionError(f"no step of the guest wing: {step}")


def _diff(document: str, before: str, after: str) -> Iterator[str]:
    yield from difflib.unified_diff(before.splitlines(), after.splitlines(), document, document, lineterm="")
