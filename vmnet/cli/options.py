"""Options that commands share, and those that follow from the vocabulary."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from vmnet.cli import completion
from vmnet.cli.face import facing
from vmnet.nic.assignment import changes
from vmnet.nic.field import Field
from vmnet.nic.model import Nic
from vmnet.nic.types import YESNO

if TYPE_CHECKING:
    from vmnet.guest.kinds import Scope
    from vmnet.operations.choice import Choice

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
    typer.Option(
        "--template",
        metavar="NAME|FILE",
        help="Start from this <interface>; a file has a / in it.",
        autocompletion=completion.templates,
    ),
]


DomainName: TypeAlias = Annotated[
    str, typer.Argument(metavar="DOMAIN", help="Name, UUID or id.", autocompletion=completion.domains)
]
DomainNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="DOMAIN...", help="Names, UUIDs or ids.", autocompletion=completion.domains),
]
DomainsOfNic: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="DOMAIN...", help="Names, UUIDs or ids.", autocompletion=completion.domains_and_nics),
]
Match: TypeAlias = Annotated[
    list[str] | None, typer.Option("--match", metavar="PATTERN", help="Domains whose name is like this: 'ci-*'.")
]
All: TypeAlias = Annotated[bool, typer.Option("--all", help="All domains.")]
NicName: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="NIC", help="MAC address, alias, target device, PCI address or number.", autocompletion=completion.nics
    ),
]

TransactionName: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="As vmnet status shows it.", autocompletion=completion.transactions)
]


def scope_of(live: bool, config: bool) -> Scope | None:
    """What --live and --config ask for; None if neither, for the default."""
    from vmnet.guest.kinds import Scope

    wanted = (Scope.LIVE if live else Scope(0)) | (Scope.CONFIG if config else Scope(0))
    return wanted or None


def choice_of(names: list[str] | None, match: list[str] | None, every: bool) -> Choice:
    """The domains that a command line names, matches, or all."""
    from vmnet.operations.choice import Choice

    return Choice(names or (), match or (), every)


def nic_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each daily field of the vocabulary, and --set for all.

    The command takes them as one mapping, `fields`: the values given, by field name. That is where they are listed.
    """
    signature = inspect.signature(command, eval_str=True)
    fields = [field for field in Nic.FIELDS.values() if field.daily]
    parameters = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(f))
        for f in fields
    ]
    parameters.append(inspect.Parameter("set", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_SET))
    own = list(signature.parameters.values())
    place = [p.name for p in own].index("fields")

    @functools.wraps(command)
    def wrapper(**given: Any) -> Any:
        values = {f.name: given.pop(f.name) for f in fields}
        said = {name: _SWITCH.get(v, v) for name, v in values.items() if v is not None}
        texts = given.pop("set") or ()
        with facing(bool(given.get("json"))):
            said = changes(said, texts)
        return command(fields=said, **given)

    wrapper.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own[:place], *parameters, *own[place + 1 :])
        ]
    )
    wrapper.__annotations__ = {}
    del wrapper.__wrapped__  # typer would read the annotations of what is wrapped
    return wrapper


_SWITCH: dict[Any, str] = {True: "yes", False: "no"}

_COMPLETED = {"direct": completion.links, "bridge": completion.bridges}
"""Fields whose values are names of what is there now."""

_SET = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Any field of docs/reference/nic.md; may be repeated.",
        autocompletion=completion.fields,
    ),
]


def _annotation(field: Field[Any]) -> Any:
    help = field.help[0].upper() + field.help[1:] + "."
    if field.type is YESNO:
        return Annotated[bool | None, typer.Option(f"{field.option}/--no-{field.option[2:]}", help=help)]
    return Annotated[
        str | None,
        typer.Option(
            field.option,
            metavar=field.type.metavar,
            help=help,
            autocompletion=_COMPLETED.get(field.name, completion.among(field.type.choices)),
        ),
    ]
