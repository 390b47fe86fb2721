"""Transactions as a table, and what became of one in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmnet.operations.transactions import Seen
from vmnet.render.table import table
from vmnet.render.text import safe

_TO_THE_MINUTE = len("2026-01-31T23:59")  # in 80 columns there is no room for more
_HEAD = ("TRANSACTION", "STATE", "LINKS", "BEGAN", "COMMAND")


def transactions(seen: Sequence[Seen]) -> str:
    """A line for each transaction, then what is to be done about those that are open."""
    if not seen:
        return "There is no transaction."
    rows = [(one.id, one.state, ",".join(one.names), one.began[:_TO_THE_MINUTE], one.command) for one in seen]
    notes = [safe(note) for one in seen for note in _notes(one)]
    return "\n".join([table(_HEAD, rows), *(["", *notes] if notes else [])])


def outcome(seen: Seen) -> str:
    """What became of a transaction, and what was put back for it."""
    return safe("; ".join([f"Transaction {seen.id} is {seen.state}", *seen.done]))


def recovered(seen: Sequence[Seen]) -> str:
    """What became of those that were open."""
    return "\n".join(map(outcome, seen)) or "Nothing is to be put back."


def _notes(seen: Seen) -> Iterator[str]:
    if seen.differences:
        yield f"{seen.id}: now {'; '.join(seen.differences)}"
    match seen.state:
        case "applied" if seen.seconds_left:
            yield f"{seen.id}: put back in {seen.seconds_left:g} s unless it is confirmed: vmnet confirm {seen.id}"
        case "armed":
            yield f"{seen.id}: on its way, or died on it. If nobody is at it any more: vmnet recover"
        case "applied" | "failed":
            yield f"{seen.id}: {seen.reason or 'its time is over'}. Put it back: vmnet recover"
        case "unreadable" | "void":
            yield f"{seen.id}: {seen.reason}"
