"""Put back what a transaction changed: by the process that changed it, its watchdog, or by hand at any later time."""

from __future__ import annotations

import struct
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
        """The image of a document. Raises `VmnetError`, `ValueError` or `struct.error` for one that makes no sense."""

    def refuse_restore(self, image: Any) -> None:
        """Say what speaks against putting an image back now; changes nothing. Raises `VmnetError`."""

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
        except (LookupError, ValueError, TypeError, AttributeError, struct.error) as error:
            raise VmnetError(
                "transaction-unreadable",
                f"the images of transaction {record.id} make no sense",
                why=f"{type(error).__name__}: {error}",
                remedy=f"Another version of vmnet may have written them; they are in {record.folder}",
            ) from error
        return cls(record, wings, images)

    def undo(
        self, reason: str, when: Callable[[Standing], bool], patience: float = PATIENCE, *, regardless: bool = False
    ) -> Restored:
        """Put it back, alone, if it is to be; else do nothing.

        Args:
            reason: Why, for people.
            when: Whether it is to be put back, as it stands once nobody else is at it.
            patience: Seconds to wait for others to let go of it.
            regardless: Whether to go on where how far it is cannot be read, as if it had failed.

        Raises:
            VmnetError: ``locked``, or ``transaction-unreadable``.
        """
        if not self.record.is_there:  # it was put back on a full disk, and forgotten
            return Restored()
        with self.record.alone(patience):
            standing = self._standing(regardless)
            if not when(standing):
                return Restored()
            return self.put_back(_first_reason(standing) or reason)

    def refuse(self) -> None:
        """Refuse to put back what others have come to rely on. Raises `VmnetError`."""
        for name, image in self.images.items():
            self.wings[name].refuse_restore(image)

    def _standing(self, regardless: bool) -> Standing:
        try:
            return self.record.standing()
        except VmnetError:
            if not regardless:
                raise
            return Standing(State.FAILED)

    def put_back(self, reason: str) -> Restored:
        """Put it back and say so in the journal; for whoever holds the record alone.

        That it is being put back is said before anything is, so that whoever is killed on the way leaves it open.
        """
        with suppress(VmnetError):  # a full disk: to put it back is worth more than to say so
            self.record.set(Standing(State.FAILED, f"{reason}; it is being put back, or that died on its way"))
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


def _first_reason(standing: Standing) -> str:
    """Why it was to be put back when that was tried before; empty where it was not."""
    return standing.reason.partition("; ")[0] if standing.state is State.FAILED else ""
