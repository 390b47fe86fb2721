"""How a command meets a person or a program: results on stdout, everything else on stderr, an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import typer

from vmnet.errors import VmnetError
from vmnet.findings import Finding
from vmnet.operations.change import Run
from vmnet.render import message
from vmnet.render.text import safe
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Face:
    """One command's outlet.

    Args:
        json: Whether stdout gets one JSON document, and nothing else.
        quiet: Whether stderr gets errors only.
        lines: Whether stdout gets many documents, one a line.
    """

    json: bool
    quiet: bool = False
    lines: bool = False

    def say(self, text: str) -> None:
        """A line on stderr for whoever waits, if there is one to say."""
        if text and not self.quiet:
            tell(text)

    def run(self, dry: bool) -> Run:
        """How a changing command is carried out: its findings are told first, then each step as it is done."""
        return Run(
            dry,
            planned=lambda plan: self.tell(plan.findings),
            progress=lambda step: self.say(message.step(step)),
            waiting=lambda text: self.say(safe(text)),
        )

    def tell(self, findings: Iterable[Finding]) -> None:
        """What was found and does not refuse."""
        for finding in findings:
            self.say(message.finding(finding))

    def fail(self, error: VmnetError) -> typer.Exit:
        """Tell a failure, on stderr where stdout does not take its document; the exit that goes with it."""
        if error.code == "unexpected":
            with suppress(OSError):
                traceback.print_exception(error)
        if not (self.json and _took(self._document({"error": error.document()}) + "\n")):
            tell(message.error(error))
        return typer.Exit(int(error.exit_code))

    def result(self, document: Any, text: str, *, asked: str = "", done: bool = False) -> None:
        """The command's result: the document or the texts; quiet is about the one that was not asked for.

        Args:
            document: What --json prints.
            text: What is printed without it.
            asked: What is printed before that, quiet or not: an option of its own asks for it.
            done: Whether the result tells of a change: that stands, whether its telling is read or not.

        Raises:
            VmnetError: ``output-lost``: stdout takes nothing, and the result is all there is.
        """
        told = self._document(document) if self.json else "\n".join(filter(None, [asked, "" if self.quiet else text]))
        if not told:
            return
        try:
            _write(told + "\n")
        except BrokenPipeError:
            pass  # whoever read us has seen enough
        except OSError as error:
            if not done:
                raise _lost(error) from error
            self.say(f"It is done; the result could not be written: {error.strerror}")

    def show(self, text: str) -> None:
        """One of many results, as it is.

        Raises:
            BrokenPipeError: Whoever read us has seen enough.
            VmnetError: ``output-lost``: stdout takes nothing.
        """
        try:
            _write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _lost(error) from error

    def _document(self, document: Any) -> str:
        return message.json_line(document) if self.lines else message.json_text(document)


def tell(text: str) -> None:
    """A line on stderr; that nobody reads it changes nothing of what is done."""
    with suppress(OSError):
        sys.stderr.write(text + "\n")


def lost(error: OSError) -> int:
    """What comes of a text of nobody's face that stdout does not take: it is told, and an exit code."""
    if isinstance(error, BrokenPipeError):
        return 0
    return Face(json=False).fail(_lost(error)).exit_code


def _write(text: str) -> None:
    """Write to stdout, now.

    Raises:
        BrokenPipeError: Whoever read us has seen enough.
        OSError: It takes nothing.
    """
    sys.stdout.write(text)
    sys.stdout.flush()


def _took(text: str) -> bool:
    """Whether stdout took a text."""
    try:
        _write(text)
    except OSError:
        return False
    return True


def _lost(error: OSError) -> VmnetError:
    return VmnetError("output-lost", "the result could not be written", why=error.strerror or str(error))


@contextmanager
def facing(json: bool, quiet: bool = False, *, lines: bool = False, to_its_end: bool = False) -> Iterator[Face]:
    """Run a command; tell its failure and exit with its code.

    Args:
        json: As of `Face`.
        quiet: As of `Face`.
        lines: As of `Face`.
        to_its_end: Whether a wish to stop is granted only where the command looks for one: what was done is told then.
    """
    face = Face(json, quiet, lines)
    try:
        with _held_back() if to_its_end else nullcontext():
            yield face
    except KeyboardInterrupt:
        raise face.fail(VmnetError("interrupted", "interrupted; nothing was changed")) from None
    except VmnetError as error:
        raise face.fail(error) from error


def _held_back() -> AbstractContextManager[None]:
    from vmnet.change.interrupts import held_back

    return held_back()
