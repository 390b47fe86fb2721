"""One family of errors: what failed, why, what to do, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from vmnet.findings import Finding


class ExitCode(IntEnum):
    """The exit codes of every vmnet command."""

    DONE = 0
    REFUSED = 1
    """Refused or failed; the world is as it was."""
    USAGE = 2
    ROLLED_BACK = 3
    """Failed on the way; what had been done was undone."""
    NOT_ROLLED_BACK = 4
    """Failed, and something remains; the message says what, and how to go on."""


class VmnetError(Exception):
    """An expected failure, told to a person.

    Args:
        code: Stable name of the failure, for programs (``domain-unknown``).
        what: What failed, one sentence without its full stop.
        why: The cause, as far as it is known.
        remedy: What the reader can do now.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED

    def __init__(self, code: str, what: str, *, why: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.why = why
        self.remedy = remedy

    def document(self) -> dict[str, Any]:
        """The error as a JSON-able mapping with stable keys."""
        return {"code": self.code, "what": self.what, "why": self.why, "remedy": self.remedy}


def as_one(errors: Sequence[VmnetError], what: str) -> VmnetError:
    """The error that there is, or all of them as one of the first's code.

    Args:
        errors: At least one.
        what: What several of them are together, as of `VmnetError`.
    """
    if len(errors) == 1:
        return errors[0]
    return VmnetError(
        errors[0].code,
        what,
        why="; ".join(map(in_one, errors)),
        remedy=". ".join(dict.fromkeys(e.remedy for e in errors if e.remedy)),
    )


def in_one(error: VmnetError) -> str:
    """What failed and why, as a part of a sentence."""
    return f"{error.what} ({error.why})" if error.why else error.what


class UsageError(VmnetError):
    """The command line or an argument makes no sense; nothing was looked at."""

    exit_code = ExitCode.USAGE


class Refused(VmnetError):
    """A plan with error findings: nothing was changed.

    Args:
        findings: All findings of the plan, errors and lesser ones.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        errors = [f for f in findings if f.is_error]
        first = errors[0]
        super().__init__("refused", first.what, why=first.why, remedy=first.remedy)
        self.findings = tuple(findings)

    def document(self) -> dict[str, Any]:
        """The error with every finding of the plan."""
        return super().document() | {"findings": [f.document() for f in self.findings]}


class RolledBack(VmnetError):
    """A step failed and everything done before it was undone."""

    exit_code = ExitCode.ROLLED_BACK


class NotRolledBack(VmnetError):
    """Something failed and something remains that vmnet could not, or must not, put back."""

    exit_code = ExitCode.NOT_ROLLED_BACK
