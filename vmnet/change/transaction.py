"""A change whose images are on disk and guarded by a watchdog: it stands once it is confirmed, or it is undone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field  # noqa: TID251 - these change while they last
from typing import Any, cast

from vmnet.change import journal
from vmnet.change.executor import Restored, Wings
from vmnet.change.interrupts import check
from vmnet.change.journal import Entry, Record, Standing, State, now
from vmnet.change.plan import Plan
from vmnet.change.undo import Journalled, Ready, in_state
from vmnet.change.watchdog import guarded
from vmnet.errors import NotRolledBack, RolledBack, VmnetError

TICK_SECONDS = 0.1
"""How often to look for a confirmation."""


def _silent(_name: str, _left: float) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Transaction:
    """A ledger for `execute` on disk, for one change.

    Args:
        names: What the change is about: names of links. No other open transaction is about the same.
        watchdog: What runs `watchdog.watch`: arguments of Python's, to which the transaction's folder is added; empty
            for a change of files, which can wait for `recover`.
        confirm_seconds: Within what time somebody must confirm it once it is done; None if nobody is asked.
        waiting: Told its id and the seconds left, about once a second, while somebody is to confirm it.
        id: Its name, once it has begun.
    """

    names: tuple[str, ...]
    watchdog: Sequence[str]
    confirm_seconds: float | None = None
    waiting: Callable[[str, float], None] = _silent
    id: str = field(default="", init=False)

    @contextmanager
    def opened(self, plan: Plan, images: Mapping[str, Any], wings: Wings) -> Iterator[_Account]:
        """Write the images to disk and have the watchdog ready before anything is changed.

        Raises:
            VmnetError: ``transaction-open``, ``journal-unwritable``, ``watchdog-not-ready``: nothing was changed.
        """
        journalled = {name: cast(Journalled, wings[name]) for name in images}
        documents = {name: journalled[name].to_json(image) for name, image in images.items()}
        steps = tuple(step.summary() for step in plan.steps)
        with ExitStack() as held:
            record = held.enter_context(
                journal.begun(Entry.here(_command(), self.names, steps, documents, lasting=not self.watchdog))
            )
            self.id = record.id
            with guarded(record, self.watchdog) if self.watchdog else nullcontext():
                yield _Account(self, record, Ready.of(record, journalled.__getitem__), held)


@dataclass(slots=True)
class _Account:
    """The transaction while it is carried out: its process holds it alone until it is applied.

    Args:
        terms: What was asked for.
        record: The transaction on disk.
        ready: What putting it back takes.
        held: Its lock, while that is ours.
        is_ours: Whether nobody else can have changed its state.
    """

    terms: Transaction
    record: Record
    ready: Ready
    held: ExitStack
    is_ours: bool = True

    def settle(self) -> None:
        """Come to its end: confirmed.

        Raises:
            RolledBack: It was undone: by somebody, or as nobody confirmed it in time (``not-confirmed``), or as
                somebody wants us to stop or the terminal hung up (``interrupted``).
            KeyboardInterrupt: Somebody wanted us to stop during the last step; it is not undone yet.
            VmnetError: ``journal-unwritable``; it is not undone yet.
        """
        check()
        seconds = self.terms.confirm_seconds
        if seconds is None:
            self.record.set(Standing(State.CONFIRMED, "Nobody was to be asked"))
            return
        deadline = now() + seconds
        self.record.set(Standing(State.APPLIED, deadline=deadline))
        self.is_ours = False
        self.held.close()  # from here on others may confirm it, or undo it
        self._wait(deadline)

    def put_back(self) -> Restored:
        """Put it back, unless another process has done so."""
        reason = "it failed, or was interrupted"
        return self.ready.put_back(reason) if self.is_ours else self.ready.undo(reason, _IS_TO_GO)

    def _wait(self, deadline: float) -> None:
        told, interrupted = None, False
        while (standing := self._standing()).state is State.APPLIED:
            left = deadline - now()
            if left <= 0:  # the watchdog is at it as well: whoever comes first
                self.ready.undo("nobody confirmed it in time", in_state(State.APPLIED))
                continue
            try:
                check()
            except KeyboardInterrupt:
                interrupted = True
                self.ready.undo("it was interrupted before it was confirmed", in_state(State.APPLIED))
                continue
            if told != (told := int(left)):
                self.terms.waiting(self.record.id, left)
            time.sleep(min(left, TICK_SECONDS))
        if standing.state is State.FAILED:  # somebody is at it, died on it or could not: once they let go, it is tried
            self.ready.undo("", in_state(State.FAILED), _LONG_PATIENCE)
            standing = self._standing()
        if standing.state is State.CONFIRMED:
            return
        in_time = " in time" if now() >= deadline else ""
        ended = "was interrupted before it was confirmed" if interrupted else f"was not confirmed{in_time}"
        what, why = f"transaction {self.record.id} {ended}", f"It was put back: {standing.reason}"
        if standing.state is State.FAILED:
            raise NotRolledBack(
                "not-rolled-back",
                f"{what}, and not everything could be put back",
                why=standing.reason,
                remedy="Once the cause is gone: vmnet recover",
            )
        if interrupted:
            raise RolledBack("interrupted", what, why=why, remedy="Run it again")
        raise RolledBack(
            "not-confirmed",
            what,
            why=why,
            remedy="Run it again, and while it waits confirm it from a new connection: vmnet confirm ID",
        )

    def _standing(self) -> Standing:
        """How far it is; one that is gone was put back by somebody whose disk was full."""
        try:
            return self.record.standing()
        except VmnetError:
            if self.record.is_there:
                raise
            return Standing(State.UNDONE, "somebody undid it, and could not say so: the disk is full")


_LONG_PATIENCE = 600.0  # seconds: whoever puts back 100,000 routes is at it for minutes
_IS_TO_GO = in_state(State.APPLIED, State.FAILED)


def _command() -> str:
    return " ".join(["vmnet", *sys.argv[1:]])
