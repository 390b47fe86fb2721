"""`vmnet confirm`: a change of the host is to stay."""

from __future__ import annotations

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import Json, Quiet, TransactionName
from vmnet.cli.rights import refuse_others
from vmnet.operations.transactions import confirm as confirm_transaction
from vmnet.render.transactions import outcome

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet confirm bokiru
  ssh root@host vmnet confirm bokiru
"""


@app.command(epilog=_EXAMPLES)
def confirm(name: TransactionName, *, json: Json = False, quiet: Quiet = False) -> None:
    """Keep a change of the host that waits for it.

    Say it over a new connection: that one comes about is the proof that the host can be reached.
    """
    with facing(json, quiet, to_its_end=True) as face:
        refuse_others()
        seen = confirm_transaction(name)
        face.result(seen.document(), outcome(seen), done=True)
