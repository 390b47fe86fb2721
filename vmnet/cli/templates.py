"""`vmnet templates`: what a NIC can start from."""

from __future__ import annotations

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import Json
from vmnet.nic.templates import described
from vmnet.render.table import table

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example:  vmnet xml --template bridge-isolated --bridge br0")
def templates(json: Json = False) -> None:
    """Show the templates for --template: yours in ~/.config/vmnet/templates, the site's in /etc/vmnet/templates, ours.

    One of yours takes the place of one of ours with its name.
    """
    with facing(json) as face:
        found = list(described())
        rows = [(one.name, one.purpose, str(one.path)) for one in found]
        document = {"templates": [one.document() for one in found]}
        face.result(document, table(("NAME", "PURPOSE", "FILE"), rows))
