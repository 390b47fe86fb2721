"""Put back what a transaction changed: by the process that changed it, its watchdog, or by hand at any later time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from vmnet.change.executor import Restored, Wing, restore
from vmnet.change.journal import Record, Standing, State
from vmnet.change.locks import PATIENCE
from vmnet.errors import VmnetError
from vmnet.values import dataclass


class Journalled(Wing, Protocol):
    """A wing whose images go to disk."""

    def to_json(self, image: Any) -> Any:
        """An image as a JSON-able document."""

    def from_json(self, document: Any) -> Any:
        """The image of a document. Raises `VmnetError` or `ValueError` for one that makes no sense."""

    def differences(self, image: Any) -> list[str]:
        """What is not as it was in an image, a sentence each; changes nothing. Raises `VmnetError`."""


WingOf: TypeAlias = Callable[[str], Journalled]
"""A wing by its name. Raises `KeyError`."""


def in_state(*states: State) -> Callable[[Standing], bool]:
    """Whether a transaction is in one of these states."""
    return lambda standing: standing.state in states


@dataclass(frozen=True, slots=True)
class Ready:
    """A transaction with all in memory that it takes to put it back: no disk and no import is needed for it later."""

    record: Record
    wings: dict[str, Journalled]
    images: dict[str, Any]

    @classmethod
    def of(cls, record: Record, wing_of: WingOf) -> Ready:
        """Load the wings of a transaction and read its images. Raises `VmnetError` (``transaction-unreadable``)."""
        try:
            wings = {name: wing_of(name) for name in record.entry.images}
            images = {name: wings[name].from_json(document) for name, document in record.entry.images.items()}
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise VmnetError(
                "transaction-unreadable",
                f"the images of transaction {record.id} make no sense",
                why=f"{type(error).__name__}: {error}",
                remedy=f"Another version of vmnet may have written them; they are in {record.folder}",
            ) from error
        return cls(record, wings, images)

    def undo(self, reason: str, when: Callable[[Standing], bool], patience: float = PATIENCE) -> Restored:
        """Put it back, alone, if it is to be; else do nothing.

        Args:
            reason: Why, for people.
            when: Whether it is to be put back, as it stands once nobody else is at it.
            patience: Seconds to wait for others to let go of it.

        Raises:
            VmnetError: ``locked``, or ``transaction-unreadable``.
        """
        with self.record.alone(patience):
            if not when(self.record.standing()):
                return Restored()
            return self.put_back(reason)

    def put_back(self, reason: str) -> Restored:
        """Put it back and say so in the journal; for whoever holds the record alone."""
        restored = restore(self.images, self.wings.__getitem__)
        if restored.failed:
            left = "; ".join(error.what for error in restored.failed)
            with suppress(VmnetError):  # it is still open, then, which is as true
                self.record.set(Standing(State.FAILED, f"{reason}; and putting it back failed: {left}"))
            return restored
        try:
            self.record.set(Standing(State.UNDONE, reason))
        except VmnetError:
            self.record.forget()  # a full disk: what cannot be said to be undone must not be undone again
        return restored
