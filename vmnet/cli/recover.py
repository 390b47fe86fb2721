"""`vmnet recover`: what a dead vmnet left in the middle goes back."""

from __future__ import annotations

from typing import Annotated

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import Json, Quiet
from vmnet.cli.rights import refuse_others
from vmnet.operations.transactions import boot_unit
from vmnet.operations.transactions import recover as recover_all
from vmnet.render.transactions import recovered

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet recover
  vmnet recover --unit > /etc/systemd/system/vmnet-recover.service
  systemctl enable vmnet-recover
"""


@app.command(epilog=_EXAMPLES)
def recover(
    *,
    unit: Annotated[bool, typer.Option("--unit", help="Print the unit that has systemd do it at boot.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put back every change of the host that died on its way, was not confirmed in time, or could not be put back.

    It can be said at any time, and again: what is as it was stays so.
    """
    with facing(json, quiet, to_its_end=True) as face:
        if unit:
            text = boot_unit()
            face.result({"name": "vmnet-recover.service", "text": text}, "", asked=text.rstrip("\n"))
            return
        refuse_others()
        seen = recover_all()
        face.result({"transactions": [one.document() for one in seen]}, recovered(seen), done=True)
