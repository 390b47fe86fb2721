"""The command table: each command's file is imported when it is called, not before."""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from vmnet import __version__
from vmnet.errors import ExitCode, UsageError, VmnetError

COMMANDS = {
    "list": "Show the NICs of all domains, or of some.",
    "attach": "Attach a NIC to a domain.",
    "set": "Change fields of a NIC.",
    "detach": "Detach a NIC from a domain.",
    "bridge": "Make a bridge over the host's own NIC, or take it away.",
    "hostlink": "Have the host and the macvtap guests of an uplink talk.",
    "status": "Show the changes of the host, open and past.",
    "confirm": "Keep a change of the host.",
    "undo": "Put the host back as it was before a change.",
    "recover": "Put back what a dead vmnet left in the middle.",
    "wait": "Wait until a guest has an IP address.",
    "xml": "Print the XML of one NIC.",
    "check": "Check the NICs of an XML file.",
    "templates": "Show what a NIC can start from.",
    "lab": "Run a command in a disposable KVM host.",
}
"""Every command and what it is for; the command's file has its name."""


class _Commands(TyperGroup):
    """The group of all commands."""

    def list_commands(self, _: Any) -> list[str]:
        """Their names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, _: Any, cmd_name: str) -> Any:
        """The command of that name, its file imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vmnet.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        gc.freeze()
        gc.enable()
        return command

    def format_commands(self, _: Any, formatter: Any) -> None:
        """Their help, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"vmnet {__version__}\n")
        raise typer.Exit


@app.callback(
    epilog="Exit codes: 0 done or nothing to do; 1 refused or failed, nothing changed; 2 usage; "
    "3 failed and rolled back; 4 failed, and something remains."
)
def _vmnet(
    version: bool = typer.Option(
        False, "--version", "-V", help="Print the version.", is_eager=True, callback=_print_version
    ),
) -> None:
    """The NICs of KVM guests and the host links beneath them, in one plan.

    Attach, list and detach macvtap and bridge NICs of running or shut-off guests; the host's bridge is made where it
    is missing, everything is read back, and what fails is undone.
    """


_OF_TYPER = frozenset({"--help", "-h", "--version", "-V", "--show-completion", "--install-completion"})
"""What is asked of typer, which writes for itself."""


def run() -> int:
    """Run the command line of this process; its exit code."""
    argv = sys.argv[1:] or ["--help"]
    try:
        return int(app(argv, standalone_mode=False) or ExitCode.DONE)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit as end:
        return int(end.code or ExitCode.DONE)
    except OSError as error:
        if _OF_TYPER.isdisjoint(argv):
            raise
        return _unwritten(error)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _usage(error)


def _usage(error: Any) -> int:
    """Tell what is wrong with the command line; what was typed may hold anything."""
    context = getattr(error, "ctx", None)
    what, remedy = (
        error.format_message(),
        f"{context.get_usage()}; see {context.command_path} --help" if context else "",
    )
    return _failed(UsageError("usage", what.rstrip("."), remedy=remedy))


def _unwritten(error: OSError) -> int:
    """Tell that typer could not write: to stdout, or the files of a completion."""
    from vmnet.cli.face import lost

    if error.filename is None:
        return lost(error)
    return _failed(
        VmnetError(
            "completion-not-installed",
            "the completion could not be installed",
            why=f"{error.filename}: {error.strerror}",
            remedy="vmnet --show-completion prints it",
        )
    )


def _failed(error: VmnetError) -> int:
    from vmnet.cli.face import Face

    lines = not {"--watch", "-w"}.isdisjoint(sys.argv)
    return Face("--json" in sys.argv, lines=lines).fail(error).exit_code
