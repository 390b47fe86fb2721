"""Options that commands share, and those that follow from the vocabulary."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import typer

from vmnet.guest.kinds import Scope
from vmnet.nic.model import Field, Nic

Connect: TypeAlias = Annotated[
    str,
    typer.Option("--connect", "-c", metavar="URI", envvar="LIBVIRT_DEFAULT_URI", help="The libvirt daemon to talk to."),
]
SYSTEM = "qemu:///system"
Live: TypeAlias = Annotated[bool, typer.Option("--live", help="Change the running guest.")]
Config: TypeAlias = Annotated[bool, typer.Option("--config", help="Change the persistent definition.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Template: TypeAlias = Annotated[
    str | None,
    typer.Option("--template", metavar="NAME|FILE", help="Start from this <interface>; a file has a / in it."),
]


def scope_of(live: bool, config: bool) -> Scope | None:
    """What --live and --config ask for; None if neither, for the default."""
    wanted = (Scope.LIVE if live else Scope(0)) | (Scope.CONFIG if config else Scope(0))
    return wanted or None


def nic_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each daily field of the vocabulary.

    The command takes them as one mapping, `fields`: the values given, by field name.
    """
    signature = inspect.signature(command, eval_str=True)
    fields = [field for field in Nic.FIELDS.values() if field.daily]
    parameters = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(f))
        for f in fields
    ]
    own = [p for p in signature.parameters.values() if p.name != "fields"]

    @functools.wraps(command)
    def wrapper(**given: Any) -> Any:
        values = {f.name: given.pop(f.name) for f in fields}
        return command(fields={name: v for name, v in values.items() if v is not None}, **given)

    arguments = [p for p in own if p.default is inspect.Parameter.empty]
    options = [p for p in own if p.default is not inspect.Parameter.empty]
    wrapper.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in arguments] + parameters
        + [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in options]
    )  # fmt: skip
    wrapper.__annotations__ = {}
    del wrapper.__wrapped__  # typer would read the annotations of what is wrapped
    return wrapper


def _annotation(field: Field[Any]) -> Any:
    choices = list(field.type.choices)
    return Annotated[
        str | None,
        typer.Option(
            field.option,
            metavar=field.type.metavar,
            help=field.help[0].upper() + field.help[1:] + ".",
            autocompletion=(lambda incomplete: [c for c in choices if c.startswith(incomplete)]) if choices else None,
        ),
    ]
