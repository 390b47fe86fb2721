"""What a plan changes in the XML of guests, as a diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from vmnet.change.plan import Plan, Step
from vmnet.guest.editing import Update
from vmnet.guest.planner import Attach, Detach
from vmnet.render.text import safe


def xml_diff(plan: Plan) -> str:
    """A unified diff of each NIC that the plan's steps change, add or take away, one after another."""
    return "\n".join(safe(line) for step in plan.steps for line in _of_step(step))


def _of_step(step: Step) -> Iterator[str]:
    match step:
        case Update():
            before, after = step.before.xml(), step.nic.xml()
        case Attach():
            before, after = "", step.nic.xml()
        case Detach():
            before, after = step.nic.xml(), ""
        case _:
            return
    document = f"{step.domain} ({step.target.name.lower()})"
    yield from difflib.unified_diff(before.splitlines(), after.splitlines(), document, document, lineterm="")
