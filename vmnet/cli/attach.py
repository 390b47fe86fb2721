"""`vmnet attach`: a NIC for a domain."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import (
    SYSTEM,
    All,
    Config,
    Connect,
    DomainNames,
    DryRun,
    Json,
    Live,
    Match,
    Quiet,
    Template,
    choice_of,
    nic_options,
    scope_of,
)
from vmnet.guest.connection import Connection
from vmnet.operations.attach import attach as attach_nic
from vmnet.operations.wish import NicWish
from vmnet.render.outcome import outcome

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet attach web --direct eth0
  vmnet attach web --direct eth0 --mode private --mac seed:web-2
  vmnet attach web --bridge br0 --uplink eth1 --dry-run
  vmnet attach web db --match 'ci-*' --direct eth0
"""


@app.command(epilog=_EXAMPLES)
@nic_options
def attach(
    *,
    domains: DomainNames = None,
    match: Match = None,
    every: All = False,
    fields: dict[str, Any],
    uplink: Annotated[
        str | None, typer.Option("--uplink", metavar="DEV", help="Make a missing bridge, with this link as its port.")
    ] = None,
    template: Template = None,
    live: Live = False,
    config: Config = False,
    connect: Connect = SYSTEM,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Attach a NIC to a domain: to the running guest, to its definition, or by default to whatever it has of these.

    Several domains get one each, all of them or none.
    """
    with facing(json, quiet) as face:
        choice = choice_of(domains, match, every)
        wish = NicWish(fields, template)
        with Connection(connect) as connection:
            done = attach_nic(
                connection, choice, wish, uplink=uplink, scope=scope_of(live, config), run=face.run(dry_run)
            )
        face.result(done.document(), outcome(done, "Attached"), done=done.applied)
