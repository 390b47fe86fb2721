"""Apply a plan; when a part fails, put everything back from the images taken before the first change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import field
from typing import Any, Protocol, TypeAlias

from vmnet.change.interrupts import check, held_back, unheard
from vmnet.change.plan import Plan, Step
from vmnet.errors import ExitCode, NotRolledBack, RolledBack, VmnetError, in_one
from vmnet.values import dataclass


class Wing(Protocol):
    """One half of the world, the host or the guest, as the executor sees it."""

    def image(self, steps: Sequence[Step]) -> Any:
        """Read what is needed to put back all that `steps` may touch."""

    def apply(self, step: Step) -> None:
        """Do one step and read it back. Raises `VmnetError`."""

    def restore(self, image: Any) -> list[str]:
        """Converge to `image` from any point in between; idempotent.

        Returns what had to be put back, a sentence each; empty when the world was still as before.
        """


Wings: TypeAlias = Mapping[str, Wing]


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of putting the world back.

    Args:
        done: What had to be put back, a sentence each.
        failed: What could not be.
    """

    done: list[str] = field(default_factory=list)
    failed: list[VmnetError] = field(default_factory=list)


class Ledger(Protocol):
    """Where the images are while a plan is carried out."""

    def opened(self, plan: Plan, images: Mapping[str, Any], wings: Wings) -> AbstractContextManager[Account]:
        """Keep the images from before the first change until the change is at its end."""


class Account(Protocol):
    """The images of one change."""

    def settle(self) -> None:
        """Every step is done: come to the end. Raises `VmnetError` if the change is not to stay."""

    def put_back(self) -> Restored:
        """Put the world back as it was."""


def execute(plan: Plan, wings: Wings, progress: Callable[[Step], None], ledger: Ledger | None = None) -> None:
    """Apply every step of `plan`, or leave the world as it was.

    Args:
        plan: The plan; its error findings refuse it.
        wings: The wings that its steps name.
        progress: Called with each step before it is applied.
        ledger: Where the images are meanwhile; None for memory, where they die with the process.

    Raises:
        Refused: The plan has error findings; nothing was touched.
        RolledBack: A step failed and what had been done was put back.
        NotRolledBack: A step failed and putting back failed too.
        VmnetError: A step failed before it changed anything.
    """
    plan.refuse()
    touched = [name for name in wings if any(step.wing == name for step in plan.steps)]
    images = {name: wings[name].image([s for s in plan.steps if s.wing == name]) for name in touched}
    with held_back(), (ledger or _Memory()).opened(plan, images, wings) as account:
        doing = "beginning"
        try:
            for step in plan.steps:
                doing = step.summary()
                check()
                progress(step)
                wings[step.wing].apply(step)
            doing = "confirming the change"
            account.settle()
        except BaseException as cause:  # noqa: BLE001 - whatever stopped the step, the world goes back
            error = told(doing, cause)
            with unheard():
                restored = account.put_back()
            raise _failure(doing, error, restored) from error


def restore(images: Mapping[str, Any], wings: Callable[[str], Wing]) -> Restored:
    """Restore every image, the last wing first; what fails does not keep the others from being put back."""
    restored = Restored()
    for name in reversed(list(images)):
        try:
            restored.done.extend(wings(name).restore(images[name]))
        except Exception as error:  # noqa: BLE001 - the other wing is to be put back all the same
            restored.failed.append(told("putting it back", error))
    return restored


def told(doing: str, cause: BaseException) -> VmnetError:
    """The failure as an error for a person; what nobody expected keeps its traceback as the cause."""
    match cause:
        case VmnetError():
            return cause
        case KeyboardInterrupt():
            return VmnetError("interrupted", f"interrupted before: {doing}")
    unexpected = VmnetError(
        "unexpected",
        f"{doing} failed",
        why=f"{type(cause).__name__}: {cause}",
        remedy="This is a fault of vmnet's: please report it, with the traceback",
    )
    unexpected.__cause__ = cause
    return unexpected


@dataclass(frozen=True, slots=True)
class _Memory:
    """Images in memory: nothing is left of them when the process dies."""

    images: Mapping[str, Any] = field(default_factory=dict)
    wings: Wings = field(default_factory=dict)

    @contextmanager
    def opened(self, plan: Plan, images: Mapping[str, Any], wings: Wings) -> Iterator[_Memory]:  # noqa: ARG002 - a ledger's
        yield _Memory(images, wings)

    def settle(self) -> None:
        """Nobody is asked whether it is to stay."""

    def put_back(self) -> Restored:
        return restore(self.images, self.wings.__getitem__)


def _failure(doing: str, cause: VmnetError, restored: Restored) -> VmnetError:
    """What is to be raised once the world was put back, or was not."""
    if restored.failed:
        return NotRolledBack(
            "not-rolled-back",
            f"{doing} failed: {cause.what}; and not everything could be put back",
            why="; ".join([*filter(None, [cause.why]), *map(in_one, restored.failed)]),
            remedy=". ".join(dict.fromkeys(e.remedy for e in [*restored.failed, cause] if e.remedy)),
        )
    if not restored.done or cause.exit_code is ExitCode.NOT_ROLLED_BACK:
        return cause
    return RolledBack(
        cause.code,
        cause.what,
        why=cause.why,
        remedy=". ".join(p for p in (f"Everything was put back: {', '.join(restored.done)}", cause.remedy) if p),
    )
