"""`vmnet detach`: take a NIC from a domain."""

from __future__ import annotations

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import (
    SYSTEM,
    All,
    Config,
    Connect,
    DomainsOfNic,
    DryRun,
    Json,
    Live,
    Match,
    NicName,
    Quiet,
    choice_of,
    scope_of,
)
from vmnet.guest.connection import Connection
from vmnet.operations.detach import detach as detach_nic
from vmnet.render.outcome import outcome

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet detach web 52:54:00:12:34:56
  vmnet detach web macvtap0 --live
  vmnet detach --match 'ci-*' ua-test
"""


@app.command(epilog=_EXAMPLES)
def detach(
    *,
    domains: DomainsOfNic = None,
    nic: NicName,
    match: Match = None,
    every: All = False,
    live: Live = False,
    config: Config = False,
    connect: Connect = SYSTEM,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Detach a NIC from a domain: from the running guest, once it lets go, and then from its definition.

    Of several domains each loses its NIC of that name, all of them or none.
    """
    with facing(json, quiet) as face:
        choice = choice_of(domains, match, every)
        with Connection(connect) as connection:
            done = detach_nic(connection, choice, nic, scope=scope_of(live, config), run=face.run(dry_run))
        face.result(done.document(), outcome(done, "Detached"), done=done.applied)
