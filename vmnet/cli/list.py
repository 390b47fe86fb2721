"""`vmnet list`: every NIC there is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

import typer

from vmnet.cli.face import Face, facing
from vmnet.cli.options import SYSTEM, Connect, DomainNames, Json
from vmnet.guest.connection import Connection
from vmnet.operations.listing import Row, astray, listing
from vmnet.render.listing import listing as as_text
from vmnet.render.listing import redrawn
from vmnet.render.message import json_line, offer

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet list
  vmnet list web db --json
  vmnet list --watch
"""


@app.command("list", epilog=_EXAMPLES)
def list_nics(
    domains: DomainNames = None,
    connect: Connect = SYSTEM,
    follow: Annotated[
        bool, typer.Option("--watch", "-w", help="Show them again whenever something changes, until Ctrl-C.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the NICs of all domains, or of some: as libvirt has them, as the kernel has them, and their addresses.

    With --watch a terminal shows one table that changes; a pipe, or --json, gets one JSON document a line.
    """
    with facing(json, lines=follow) as face, Connection.to_look(connect) as connection:
        if follow:
            with suppress(KeyboardInterrupt, BrokenPipeError):
                _watch(face, connection, domains or ())
            return
        rows = listing(connection, domains or ())
        face.result(_document(rows) if json else None, "" if json else as_text(rows))
        for bridge, taps in astray(rows).items():
            face.say(offer(bridge, taps))


def _watch(face: Face, connection: Connection, domains: Sequence[str]) -> None:
    """Show every listing: in place of the last one on a terminal, else a line each."""
    from vmnet.operations.watching import watch

    in_place = sys.stdout.isatty() and not face.json
    for rows in watch(connection, domains, reader=sys.stdout.fileno()):
        face.show(redrawn(as_text(rows), datetime.now()) if in_place else json_line(_document(rows)) + "\n")


def _document(rows: Sequence[Row]) -> dict[str, Any]:
    return {"nics": [row.document() for row in rows]}
