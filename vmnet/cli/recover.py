"""`vmnet recover`: what a dead vmnet left in the middle goes back."""

from __future__ import annotations

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import Json, Quiet
from vmnet.cli.rights import refuse_others
from vmnet.operations.transactions import recover as recover_all
from vmnet.render.transactions import recovered

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet recover
"""


@app.command(epilog=_EXAMPLES)
def recover(*, json: Json = False, quiet: Quiet = False) -> None:
    """Put back every change of the host that died on its way, was not confirmed in time, or could not be put back.

    It can be said at any time, and again: what is as it was stays so.
    """
    with facing(json, quiet, to_its_end=True) as face:
        refuse_others()
        seen = recover_all()
        face.result({"transactions": [one.document() for one in seen]}, recovered(seen), done=True)
