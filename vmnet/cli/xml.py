"""`vmnet xml`: print one `<interface>`, as `vmnet attach` would send it."""

from __future__ import annotations

from typing import Any

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import Json, Template, nic_options
from vmnet.operations.generate import generate
from vmnet.operations.wish import NicWish

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example:  vmnet xml --direct eth0 --mode vepa --queues 4 | virsh attach-device web /dev/stdin")
@nic_options
def xml(fields: dict[str, Any], template: Template = None, json: Json = False) -> None:
    """Print the XML of one NIC. Nothing is asked of libvirt or of the host; without --mac it has no address."""
    with facing(json) as face:
        made = generate(NicWish(fields, template))
        face.tell(made.plan.findings)
        face.result(made.document(), made.nic.xml().rstrip())
