"""Open and past transactions: see them, keep one, put one back, or all that a dead vmnet left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from vmnet.change import journal
from vmnet.change.executor import Restored
from vmnet.change.interrupts import held_back, unheard
from vmnet.change.journal import OPEN, Broken, Record, Standing, State, now
from vmnet.change.undo import Ready, WingOf
from vmnet.errors import NotRolledBack, VmnetError
from vmnet.operations.undoing import wing_of as _wing_of
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """A transaction as it is now.

    Args:
        id: What to call it.
        state: A `State`, ``void`` for one that says nothing about what is here, or ``unreadable``.
        reason: Why it is so.
        seconds_left: Within what time it is to be confirmed; None where it is not.
        command: What was asked for.
        who: Who asked.
        began: When, ISO 8601.
        names: The links that it is about.
        steps: What it does, a sentence each.
        done: What was put back just now.
        differences: What is not as it was before it, a sentence each, while it is open.
    """

    id: str
    state: str
    reason: str = ""
    seconds_left: float | None = None
    command: str = ""
    who: str = ""
    began: str = ""
    names: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it is not at its end."""
        return self.state in OPEN

    def document(self) -> dict[str, Any]:
        """The transaction as a JSON-able mapping with stable keys."""
        return {
            "id": self.id,
            "state": self.state,
            "reason": self.reason,
            "seconds_left": self.seconds_left,
            "command": self.command,
            "who": self.who,
            "began": self.began,
            "names": list(self.names),
            "steps": list(self.steps),
            "done": list(self.done),
            "differences": list(self.differences),
        }


def status(wing_of: WingOf = _wing_of) -> tuple[Seen, ...]:
    """All transactions, the newest first; also those that are void, or cannot be read.

    Args:
        wing_of: The wings, by name.
    """
    return tuple(_compared(record, _seen(record), wing_of) for record in journal.records())


def confirm(name: str) -> Seen:
    """Keep what a transaction did; one that is confirmed already stays so.

    Raises:
        VmnetError: ``transaction-unknown``, ``transaction-void``, ``transaction-unreadable``; it is still on its way
            (``transaction-armed``); or it was put back, or is to be (``transaction-undone``); or ``locked``.
    """
    record = _found(name)
    with record.alone():
        standing = record.standing()
        match standing:
            case Standing(state=State.CONFIRMED):
                pass
            case Standing(state=State.APPLIED, deadline=deadline) if deadline is None or now() < deadline:
                record.set(Standing(State.CONFIRMED, "It was confirmed"))
            case Standing(state=State.ARMED):
                raise VmnetError(
                    "transaction-armed",
                    f"transaction {name} cannot be confirmed: it was not done to its end",
                    why="Its vmnet died on the way",
                    remedy="Put it back: vmnet recover",
                )
            case _:
                raise VmnetError(
                    "transaction-undone",
                    f"transaction {name} cannot be confirmed: it is {_word(standing)}",
                    why=standing.reason,
                    remedy="Do it again" if standing.state is State.UNDONE else "Put it back: vmnet recover",
                )
    return _seen(record)


def undo(name: str, wing_of: WingOf = _wing_of) -> Seen:
    """Put back what a transaction did, confirmed or not; one that was put back already stays so.

    Args:
        name: Its id.
        wing_of: The wings, by name.

    Raises:
        VmnetError: ``transaction-unknown``, ``transaction-void``, ``transaction-unreadable``; a later one about the
            same links stands on it (``transaction-overtaken``); others rely on what it made by now
            (``host-bridge-in-use``, ``file-edited``); or ``locked``. It stays as it is.
        NotRolledBack: Not everything could be put back (``not-rolled-back``).
    """
    record = _found(name)

    def is_to_go(standing: Standing) -> bool:
        if standing.state is State.UNDONE:
            return False
        _refuse_if_overtaken(record)
        if standing.state is State.CONFIRMED:
            Ready.of(record, wing_of).refuse()
        return True

    return _put_back(record, "somebody undid it", is_to_go, wing_of, regardless=True)


def recover(wing_of: WingOf = _wing_of) -> tuple[Seen, ...]:
    """Put back what no living vmnet will come back to.

    That is what died on the way, was not confirmed in time, or could not be put back before. What waits for a
    confirmation still, or is void, is left as it is.

    Returns:
        The transactions that were open, as they are now.

    Raises:
        NotRolledBack: Not everything could be put back (``not-rolled-back``).
        VmnetError: A living vmnet is at one of them (``locked``), or one cannot be read (``transaction-unreadable``).
            All others were put back.
    """
    seen: list[Seen] = []
    failed: list[VmnetError] = []
    for record in journal.records():  # the newest first: what stands on another goes before it
        try:
            match record:
                case Broken(error=error):
                    raise error
                case Record(entry=entry) if not entry.void and _is_left(record.standing()):
                    seen.append(_put_back(record, "its vmnet had died", _is_left, wing_of))
        except VmnetError as error:
            failed.append(error)
    if failed:
        raise _together(failed)
    return tuple(seen)


def boot_unit() -> str:
    """The unit by which systemd has `recover` run at boot, before any network manager reads its files.

    Raises:
        VmnetError: This Python is in a place that a unit cannot name (``value-unsafe``).
    """
    import sys

    from vmnet.filling import fill

    return fill("systemd/vmnet-recover.service", {"python": sys.executable})


def _is_left(standing: Standing) -> bool:
    """Whether it is open, and its time is over where it has one."""
    waits = standing.state is State.APPLIED and standing.deadline is not None and now() < standing.deadline
    return standing.state in OPEN and not waits


def _put_back(
    record: Record, reason: str, when: Callable[[Standing], bool], wing_of: WingOf, *, regardless: bool = False
) -> Seen:
    with held_back(), unheard():  # to its end: half of it is worse than none
        restored = Ready.of(record, wing_of).undo(reason, when, regardless=regardless)
    if restored.failed:
        raise _not_put_back(record, restored)
    return _seen(record, tuple(restored.done))


def _not_put_back(record: Record, restored: Restored) -> NotRolledBack:
    return NotRolledBack(
        "not-rolled-back",
        f"not everything of transaction {record.id} could be put back",
        why="; ".join(f"{e.what} ({e.why})" if e.why else e.what for e in restored.failed),
        remedy=". ".join([*(e.remedy for e in restored.failed if e.remedy), "Once that is so: vmnet recover"]),
    )


def _together(failed: Sequence[VmnetError]) -> VmnetError:
    """One error of several: the gravest, and what the others say."""
    first = max(failed, key=lambda error: error.exit_code)
    others = [error.what for error in failed if error is not first]
    first.why = "; ".join(filter(None, [first.why, *others]))
    return first


def _found(name: str) -> Record:
    """The transaction of that name, if it is of this host as it runs."""
    known = journal.records()
    for record in known:
        if record.id == name:
            match record:
                case Broken(error=error):
                    raise error
                case Record(entry=entry) if entry.void:
                    raise VmnetError(
                        "transaction-void",
                        f"transaction {name} says nothing about what is here",
                        why=entry.void,
                        remedy="Nothing is to be put back" if entry.is_past else "Run this in the namespace it is of",
                    )
                case Record():
                    return record
    from difflib import get_close_matches

    near = get_close_matches(name, [record.id for record in known], cutoff=0.5)
    listed = ", ".join(record.id for record in known[:8])
    raise VmnetError(
        "transaction-unknown",
        f"there is no transaction {name}",
        remedy=f"Did you mean {' or '.join(near)}?"
        if near
        else f"There are: {listed}"
        if listed
        else "vmnet status shows none",
    )


def _refuse_if_overtaken(record: Record) -> None:
    for later in journal.records():
        match later:
            case Record(entry=entry) if not entry.void and entry.shares(record.entry) and entry.is_after(record.entry):
                shared = set(entry.names) & set(record.entry.names)
                if later.standing().state is not State.UNDONE:
                    raise VmnetError(
                        "transaction-overtaken",
                        f"transaction {later.id} came after {record.id}, and is about {', '.join(sorted(shared))} too",
                        why="Putting back what was before both would take its change away with it",
                        remedy=f"Undo that one first: vmnet undo {later.id}",
                    )


def _seen(record: Record | Broken, done: tuple[str, ...] = ()) -> Seen:
    match record:
        case Broken(error=error):
            return Seen(record.id, "unreadable", error.why)
        case Record(entry=entry):
            about = Seen(
                record.id,
                "void",
                entry.void,
                command=entry.command,
                who=entry.who,
                began=entry.clock,
                names=entry.names,
                steps=entry.steps,
                done=done,
            )
            if entry.void:
                return about
            try:
                standing = record.standing()
            except VmnetError as error:
                if not record.is_there:
                    return replace(about, state=State.UNDONE.value, reason="It was put back, and the disk is full")
                return replace(about, state="unreadable", reason=error.why)
            left = None
            if standing.state is State.APPLIED and standing.deadline is not None:
                left = max(round(standing.deadline - now(), 1), 0.0)
            return replace(about, state=standing.state.value, reason=standing.reason, seconds_left=left)


def _compared(record: Record | Broken, seen: Seen, wing_of: WingOf) -> Seen:
    """One that is open, with what it has changed up to now, as far as that can be told."""
    if not seen.is_open or isinstance(record, Broken):
        return seen
    try:
        ready = Ready.of(record, wing_of)
        return replace(
            seen, differences=tuple(d for n, i in ready.images.items() for d in ready.wings[n].differences(i))
        )
    except VmnetError:
        return seen


def _word(standing: Standing) -> str:
    return "being put back: its time is over" if standing.state is State.APPLIED else standing.state.value
