"""`vmnet undo`: a change of the host is not to stay."""

from __future__ import annotations

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import Json, Quiet, TransactionName
from vmnet.cli.rights import refuse_others
from vmnet.operations.transactions import undo as undo_transaction
from vmnet.render.transactions import outcome

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet undo bokiru
"""


@app.command(epilog=_EXAMPLES)
def undo(name: TransactionName, *, json: Json = False, quiet: Quiet = False) -> None:
    """Put the host back as it was before a change, confirmed or not."""
    with facing(json, quiet, to_its_end=True) as face:
        refuse_others()
        seen = undo_transaction(name)
        face.result(seen.document(), outcome(seen), done=True)
