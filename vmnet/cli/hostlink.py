"""`vmnet hostlink`: the host's own ends beside macvtaps."""

from __future__ import annotations

from typing import Annotated

import typer

from vmnet.cli import completion
from vmnet.cli.bridge import Confirm, NoProbe, Yes, terms_of
from vmnet.cli.face import facing
from vmnet.cli.options import DryRun, Json, Quiet
from vmnet.cli.rights import refuse_others
from vmnet.host.hostlink import HostlinkOptions
from vmnet.nic.model import Nic
from vmnet.operations.hostlink import add as add_hostlink
from vmnet.operations.hostlink import remove as remove_hostlink
from vmnet.operations.hostlink import seen
from vmnet.render import hostlinks as render

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.callback()
def _hostlink() -> None:
    """Links of the host's own beside macvtaps, by which the host and the guests on one uplink talk.

    A macvtap and the host's address on its uplink never hear each other. A hostlink is a macvlan in bridge mode on
    that uplink, with an address of its own or all that the uplink carries for the host.
    """


_EXAMPLES = """\b
Examples:
  vmnet hostlink add --uplink eth0 --address 192.0.2.3/24
  vmnet hostlink add --uplink eth0 --move-ip --confirm 30
"""


@app.command(epilog=_EXAMPLES)
def add(
    uplink: Annotated[
        str, typer.Option("--uplink", metavar="DEV", help="Where the guests are.", autocompletion=completion.links)
    ],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Its name, instead of host0.")] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            metavar="CIDR",
            help="An address for it, with its network's prefix: that network is reached by it; may be repeated.",
        ),
    ] = None,
    move_ip: Annotated[
        bool, typer.Option("--move-ip", help="Move there all that the uplink carries for the host.")
    ] = False,
    mac: Annotated[str | None, typer.Option("--mac", metavar="MAC", help="Its MAC, not the uplink's.")] = None,
    confirm: Confirm = None,
    yes: Yes = False,
    no_probe: NoProbe = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Have a link of the host's own on an uplink, beside the macvtaps of guests."""
    with facing(json, quiet, to_its_end=True) as face:
        if not dry_run:
            refuse_others()
        options = HostlinkOptions(name, mac and Nic.mac.parse(mac), tuple(address or ()), move_ip)
        terms = terms_of(face, confirm, yes, no_probe)
        done = add_hostlink(uplink, options, terms=terms, run=face.run(dry_run))
        face.result(done.document(), render.outcome(done, "Added"), done=done.applied)


@app.command(epilog="Example:  vmnet hostlink remove host0")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The hostlink.", autocompletion=completion.hostlinks)],
    confirm: Confirm = None,
    yes: Yes = False,
    no_probe: NoProbe = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Have a hostlink gone, and what was moved to it back on its uplink."""
    with facing(json, quiet, to_its_end=True) as face:
        if not dry_run:
            refuse_others()
        terms = terms_of(face, confirm, yes, no_probe)
        done = remove_hostlink(name, terms=terms, run=face.run(dry_run))
        face.result(done.document(), render.outcome(done, "Removed"), done=done.applied)


@app.command("list", epilog="Example:  vmnet hostlink list --json")
def list_hostlinks(json: Json = False) -> None:
    """Show the hostlinks of this host, and the macvlans that others made: uplinks, MACs, addresses."""
    with facing(json) as face:
        found = seen()
        face.result({"hostlinks": [one.document() for one in found]}, render.listing(found))
