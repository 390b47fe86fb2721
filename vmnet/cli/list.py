"""`vmnet list`: every NIC there is."""

from __future__ import annotations

from typing import Annotated

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import SYSTEM, Connect, Json
from vmnet.guest.connection import Connection
from vmnet.operations.listing import listing
from vmnet.render.listing import listing as as_text

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet list
  vmnet list web db --json
"""


@app.command("list", epilog=_EXAMPLES)
def list_nics(
    domains: Annotated[list[str] | None, typer.Argument(metavar="DOMAIN", help="Names, UUIDs or ids.")] = None,
    connect: Connect = SYSTEM,
    json: Json = False,
) -> None:
    """Show the NICs of all domains, or of some: as libvirt has them, as the kernel has them, and their addresses."""
    with facing(json) as face, Connection.to_look(connect) as connection:
        rows = listing(connection, domains or ())
        document = {"nics": [row.document() for row in rows]} if json else None
        face.result(document, "" if json else as_text(rows))
