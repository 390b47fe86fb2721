"""The host's bridges as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmnet.operations.bridge import BridgeOutcome, BridgeSeen
from vmnet.render.message import plan
from vmnet.render.table import table
from vmnet.render.text import safe

if TYPE_CHECKING:
    from vmnet.operations.persist import Persisted
    from vmnet.operations.repair import Repaired

_HEAD = ("BRIDGE", "MADE BY", "STATE", "UPLINK", "GUESTS", "ADDRESS")


def outcome(done: BridgeOutcome, verb: str) -> str:
    """The plan where it was not applied, else what was done and how it can be undone."""
    if not done.applied:
        return plan(done.plan)
    return safe(f"{verb} bridge {done.bridge}; vmnet undo {done.transaction} puts everything back")


def repaired(done: Repaired) -> str:
    """The plan where it was not applied, else which taps are back."""
    if not done.applied:
        return plan(done.plan)
    back = ", ".join(f"{step.tap.name} of {step.port.domain}" for step in done.steps)
    return safe(f"Put back on bridge {done.bridge}: {back}")


def files(done: Persisted) -> str:
    """The files as they are to be, each below its path, which is a comment."""
    return "\n".join(f"## {file.path}\n{file.text}" for file in done.files).rstrip("\n")


def written(done: Persisted) -> str:
    """What was written or removed, how it can be taken back, and when it comes to work."""
    if not done.applied:
        return safe(f"Nothing to do: {done.format} has it so already")
    from vmnet.change.files import WriteFile

    wrote = sum(isinstance(step, WriteFile) for step in done.plan.steps)
    counts = {"wrote": wrote, "removed": len(done.plan.steps) - wrote}
    did = " and ".join(f"{verb} {_files(number)}" for verb, number in counts.items() if number)
    told = f"{did.capitalize()}; vmnet undo {done.transaction} takes that back"
    return "\n".join(map(safe, (told, done.effect)))


def _files(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"


def waiting(name: str, left: float) -> str:
    """What somebody has to do while there is time."""
    return safe(f"{left:.0f} s: run 'vmnet confirm {name}' from a new connection, or it is undone")


def listing(found: Sequence[BridgeSeen]) -> str:
    """A line for each bridge."""
    return table(_HEAD, [_cells(one) for one in found]) if found else "There is no bridge."


def status(one: BridgeSeen) -> str:
    """All there is to say of a bridge, a line each."""
    told = one.document()
    width = max(map(len, told))
    return "\n".join(safe(f"{key.replace('_', ' '):{width}}  {_value(key, value)}") for key, value in told.items())


def _cells(one: BridgeSeen) -> tuple[str, ...]:
    link = one.link
    state = "down" if not link.up else "up" if link.carrier else "no carrier"
    maker = "vmnet" if link.is_ours else ""
    return link.name, maker, state, ", ".join(one.uplinks), ", ".join(one.guests), ", ".join(one.addresses)


def _value(key: str, value: object) -> str:
    match value:
        case list():
            return ", ".join(map(str, value)) or "-"
        case bool():
            return "yes" if value else "no"
        case int() if key in ("forward_delay", "ageing"):
            return f"{value / 100:g} s"
    return str(value)
