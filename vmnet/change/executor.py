"""Apply a plan; when a part fails, put everything back from the images taken before the first change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from vmnet.change.interrupts import check, held_back, unheard
from vmnet.change.plan import Plan, Step
from vmnet.errors import ExitCode, NotRolledBack, RolledBack, VmnetError


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


def execute(plan: Plan, wings: Mapping[str, Wing], progress: Callable[[Step], None]) -> None:
    """Apply every step of `plan`, or leave the world as it was.

    Args:
        plan: The plan; its error findings refuse it.
        wings: The wings that its steps name.
        progress: Called with each step before it is applied.

    Raises:
        Refused: The plan has error findings; nothing was touched.
        RolledBack: A step failed and what had been done was put back.
        NotRolledBack: A step failed and putting back failed too.
        VmnetError: A step failed before it changed anything.
    """
    plan.refuse()
    touched = [name for name in wings if any(step.wing == name for step in plan.steps)]
    images = {name: wings[name].image([s for s in plan.steps if s.wing == name]) for name in touched}
    with held_back():
        for step in plan.steps:
            try:
                check()
                progress(step)
                wings[step.wing].apply(step)
            except BaseException as cause:  # noqa: BLE001 - whatever stopped the step, the world goes back
                _put_back(step, _told(step.summary(), cause), images, wings)


def _put_back(step: Step, cause: VmnetError, images: dict[str, Any], wings: Mapping[str, Wing]) -> NoReturn:
    """Restore every image, the last wing first, and raise what is to be told."""
    done: list[str] = []
    failed: list[VmnetError] = []
    with unheard():
        for name in reversed(images):
            try:
                done += wings[name].restore(images[name])
            except Exception as error:  # noqa: BLE001 - the other wing is to be put back all the same
                failed.append(_told("putting it back", error))
    if failed:
        raise NotRolledBack(
            "not-rolled-back",
            f"{step.summary()} failed: {cause.what}; and not everything could be put back",
            why="; ".join(f"{e.what} ({e.why})" if e.why else e.what for e in failed),
            remedy=" ".join(e.remedy for e in [*failed, cause] if e.remedy),
        ) from cause
    if not done or cause.exit_code is ExitCode.NOT_ROLLED_BACK:
        raise cause
    raise RolledBack(
        cause.code,
        cause.what,
        why=cause.why,
        remedy=". ".join(p for p in (f"Everything was put back: {', '.join(done)}", cause.remedy) if p),
    ) from cause


def _told(doing: str, cause: BaseException) -> VmnetError:
    """The failure as an error for a person; what nobody expected keeps its traceback as the cause."""
    match cause:
        case VmnetError():
            return cause
        case KeyboardInterrupt():
            return VmnetError("interrupted", f"interrupted before: {doing}")
    told = VmnetError(
        "unexpected",
        f"{doing} failed",
        why=f"{type(cause).__name__}: {cause}",
        remedy="This is a fault of vmnet's: please report it, with the traceback",
    )
    told.__cause__ = cause
    return told
