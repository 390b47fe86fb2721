"""`vmnet status`: open and past transactions."""

from __future__ import annotations

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import Json
from vmnet.cli.rights import are_roots
from vmnet.operations.transactions import status as all_transactions
from vmnet.render.transactions import transactions

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet status
  vmnet status --json
"""


@app.command(epilog=_EXAMPLES)
def status(*, json: Json = False) -> None:
    """Show the changes of the host that are open, and the last ones that came to their end."""
    with facing(json) as face:
        seen = all_transactions()
        if not are_roots():
            face.say("Those of root are not shown: sudo vmnet status")
        face.result({"transactions": [one.document() for one in seen]}, transactions(seen))
