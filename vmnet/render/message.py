"""Errors, findings, plans and documents as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vmnet.change.plan import Plan, Step
from vmnet.errors import Refused, VmnetError
from vmnet.findings import Finding
from vmnet.render.text import safe


def error(failure: VmnetError) -> str:
    """What failed, why, and what to do."""
    if isinstance(failure, Refused):
        return "\n".join(finding(f) for f in failure.findings)
    return _block("error", failure.what, failure.code, failure.why, failure.remedy)


def finding(found: Finding) -> str:
    """A finding: what, why, and what to do instead."""
    of = f"{found.domain}: " if found.domain not in found.what else ""
    return _block(found.severity.value, of + found.what, found.code, found.why, found.remedy)


def step(doing: Step) -> str:
    """A step that is about to be done."""
    return f"- {safe(doing.summary())}"


def plan(planned: Plan) -> str:
    """The steps of a plan, numbered."""
    lines = [f"{number}. {safe(s.summary())}" for number, s in enumerate(planned.steps, 1)]
    return "\n".join(lines) or "Nothing to do."


def offer(bridge: str, taps: Sequence[str]) -> str:
    """How taps come back to their bridge."""
    return safe(
        f"Not on bridge {bridge}, where their guests have them: {', '.join(taps)}. To put them back: vmnet bridge "
        f"repair {bridge}"
    )


def json_text(document: Any) -> str:
    """A document as JSON, in ASCII: nothing in it can act on a terminal."""
    import json  # most commands are not asked for it

    return json.dumps(document, indent=2)


def json_line(document: Any) -> str:
    """A document as JSON on one line, in ASCII."""
    import json

    return json.dumps(document, separators=(",", ":"))


def _block(kind: str, what: str, code: str, why: str, remedy: str) -> str:
    return "\n".join(_lines(kind, what, code, why, remedy))


def _lines(kind: str, what: str, code: str, why: str, remedy: str) -> Iterator[str]:
    yield f"{kind}: {safe(what)} [{code}]"
    if why:
        yield f"  why: {safe(why)}"
    if remedy:
        yield f"  do:  {safe(remedy)}"
