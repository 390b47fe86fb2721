"""How a command meets a person or a program: results on stdout, everything else on stderr, an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer

from vmnet.errors import VmnetError
from vmnet.findings import Finding
from vmnet.operations.change import Run
from vmnet.render import message
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Face:
    """One command's outlet.

    Args:
        json: Whether stdout gets one JSON document, and nothing else.
        quiet: Whether stderr gets errors only.
    """

    json: bool
    quiet: bool = False

    def say(self, text: str) -> None:
        """A line on stderr for whoever waits; that nobody reads it changes nothing of what is done."""
        if not self.quiet:
            with suppress(OSError):
                print(text, file=sys.stderr)  # noqa: T201 - unlike write(), it bears a closed stderr

    def run(self, dry: bool) -> Run:
        """How a changing command is carried out: its findings are told first, then each step as it is done."""
        return Run(
            dry, planned=lambda plan: self.tell(plan.findings), progress=lambda step: self.say(message.step(step))
        )

    def tell(self, findings: Iterable[Finding]) -> None:
        """What was found and does not refuse."""
        for finding in findings:
            self.say(message.finding(finding))

    def fail(self, error: VmnetError) -> typer.Exit:
        """Tell a failure; the exit that goes with it."""
        if error.code == "unexpected":
            traceback.print_exception(error)
        if self.json:
            sys.stdout.write(message.json_text({"error": error.document()}) + "\n")
        else:
            with suppress(OSError):
                print(message.error(error), file=sys.stderr)  # noqa: T201 - as above
        return typer.Exit(int(error.exit_code))

    def result(self, document: Any, text: str, *, done: bool = False) -> None:
        """The command's result: the document or the text; quiet is about the text only.

        Args:
            document: What --json prints.
            text: What is printed without it.
            done: Whether the result tells of a change: that stands, whether its telling is read or not.

        Raises:
            VmnetError: ``output-lost``: stdout takes nothing, and the result is all there is.
        """
        if self.quiet and not self.json:
            return
        try:
            print(message.json_text(document) if self.json else text, flush=True)  # noqa: T201 - it bears a closed stdout
        except BrokenPipeError:
            # Whoever read us has seen enough; Python would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            lost = _lost(error)
            if not done:
                raise lost from error
            self.say(f"It is done; the result could not be written: {error.strerror}")

    def show(self, text: str) -> None:
        """One of many results, as it is.

        Raises:
            BrokenPipeError: Whoever read us has seen enough.
            VmnetError: ``output-lost``: stdout takes nothing.
        """
        try:
            print(text, end="", flush=True)  # noqa: T201 - it bears a closed stdout
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _lost(error) from error


def _lost(error: OSError) -> VmnetError:
    """A result that stdout does not take; Python would complain once more when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return VmnetError("output-lost", "the result could not be written", why=str(error))


@contextmanager
def facing(json: bool, quiet: bool = False) -> Iterator[Face]:
    """Run a command; tell its failure and exit with its code."""
    face = Face(json, quiet)
    try:
        yield face
    except (KeyboardInterrupt, SystemError) as error:
        # An interrupt inside a callback of libvirt's comes out of its call as a SystemError (libvirt-python 12.8).
        if not isinstance(error, KeyboardInterrupt) and not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        raise face.fail(VmnetError("interrupted", "interrupted; nothing was changed")) from None
    except VmnetError as error:
        raise face.fail(error) from error
