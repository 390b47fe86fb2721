"""What a changing command did, or would do, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vmnet.guest.editing import FieldChange
from vmnet.nic.attachment import Bridge, Direct, Network
from vmnet.operations.change import Changed, Outcome
from vmnet.render.message import plan
from vmnet.render.table import table
from vmnet.render.text import safe


def outcome(done: Outcome, verb: str) -> str:
    """The plan where it was not applied, else a line for each NIC; and what several come to.

    Args:
        done: What was planned and done.
        verb: What was done to the NICs, such as ``Attached``.
    """
    told = [_changed(changed, verb) for changed in done.nics] if done.applied else [plan(done.plan)]
    return "\n".join([*told, *_sum(done)])


def verdicts(weighed: Mapping[str, Sequence[FieldChange]]) -> str:
    """A line for each field that changes, with what it takes for the guest to get it; empty for none."""
    rows = [
        (domain, change.field, _value(change.before), _value(change.after), change.verdict.value)
        for domain, changes in weighed.items()
        for change in changes
    ]
    return table(("DOMAIN", "FIELD", "FROM", "TO", "TAKES EFFECT"), rows) if rows else ""


def _changed(changed: Changed, verb: str) -> str:
    if not changed.documents:
        return safe(f"NIC {changed.nic.mac} of {changed.domain} is so already")
    is_live = "live" in changed.documents
    name = f"{changed.nic.target}, " if is_live and changed.nic.target else ""
    only = "" if is_live else ", in its definition"
    return safe(f"{verb} NIC {changed.nic.mac} of {changed.domain}: {name}{_where(changed)}{only}")


def _sum(done: Outcome) -> Iterator[str]:
    if len(done.nics) > 1 or done.passed_over:
        changed = sum(bool(nic.documents) for nic in done.nics)
        parts = [f"{changed} of {len(done.nics)} NICs {'changed' if done.applied else 'to change'}"]
        parts += [f"{len(done.passed_over)} domains passed over"] if done.passed_over else []
        yield "; ".join(parts)


def _where(changed: Changed) -> str:
    match changed.nic.attachment:
        case Direct(dev, mode):
            return f"macvtap on {dev}, mode {mode.value}"
        case Bridge(name):
            return f"port of {name}"
        case Network(name):
            return f"on network {name}"
    return "of another kind"


def _value(value: object) -> str:
    return "" if value is None else str(value)
