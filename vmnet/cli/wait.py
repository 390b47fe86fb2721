"""`vmnet wait`: until a guest has an address."""

from __future__ import annotations

from typing import Annotated

import typer

from vmnet.cli import completion
from vmnet.cli.face import facing
from vmnet.cli.options import SYSTEM, Connect, DomainName, Json
from vmnet.guest.connection import Connection
from vmnet.operations.wait import wait_for_address

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet wait web --ip
  ssh root@$(vmnet wait web macvtap0 --ip --timeout 120)
"""


@app.command(epilog=_EXAMPLES)
def wait(
    domain: DomainName,
    nic: Annotated[
        str | None,
        typer.Argument(
            metavar="NIC", help="As for detach; without it, any NIC of the domain.", autocompletion=completion.nics
        ),
    ] = None,
    ip: Annotated[  # noqa: ARG001 - all there is to wait for; scripts spell it out
        bool, typer.Option("--ip", help="Wait for an IP address that leads beyond the link.")
    ] = True,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0, help="How long.")] = 60.0,
    connect: Connect = SYSTEM,
    json: Json = False,
) -> None:
    """Wait until a guest has an IP address, and print it; on a timeout say why it has none."""
    with facing(json) as face, Connection(connect) as connection:
        reached = wait_for_address(connection, domain, nic, timeout)
        face.result(reached.document(), reached.addresses[0].address.partition("/")[0])
