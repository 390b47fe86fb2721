"""`vmnet set`: change fields of a NIC."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from vmnet.cli import completion
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
    nic_options,
    scope_of,
)
from vmnet.guest.connection import Connection
from vmnet.nic.assignment import changes
from vmnet.operations.edit import edit
from vmnet.render.diff import xml_diff
from vmnet.render.outcome import outcome, verdicts

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet set web 1 --link down
  vmnet set web macvtap0 --mode private --dry-run
  vmnet set web 52:54:00:12:34:56 --set inbound=1000,2000 --unset outbound
  vmnet set --all 1 --filter clean-traffic
"""


@app.command("set", epilog=_EXAMPLES)
@nic_options
def set_nic(
    *,
    domains: DomainsOfNic = None,
    nic: NicName,
    match: Match = None,
    every: All = False,
    fields: dict[str, Any],
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="FIELD", help="Remove a field.", autocompletion=completion.fields),
    ] = None,
    replug: Annotated[
        bool, typer.Option("--replug", help="Unplug the NIC and plug it in again where nothing less will do.")
    ] = False,
    live: Live = False,
    config: Config = False,
    connect: Connect = SYSTEM,
    dry_run: DryRun = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what changes in the XML; --json has it as diff.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Change fields of a NIC: the running guest now, where it can take it, and its definition; all else stays.

    Of several domains each has its NIC of that name changed, all of them or none.
    """
    with facing(json, quiet) as face:
        wished = changes(fields, unset=[name.replace("-", "_") for name in unset or ()])
        run = face.run(dry_run)
        if dry_run or diff:
            run = replace(run, weighed=lambda weighed: face.say(verdicts(weighed)))
        choice = choice_of(domains, match, every)
        with Connection(connect) as connection:
            done = edit(connection, choice, nic, wished, scope=scope_of(live, config), replug=replug, run=run)
        asked = {"diff": xml_diff(done.plan)} if diff else {}
        face.result(done.document() | asked, outcome(done, "Changed"), asked=asked.get("diff", ""), done=done.applied)
