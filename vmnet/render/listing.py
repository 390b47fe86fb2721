"""The list of NICs as a table, with what is not as it should be beneath it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmnet.operations.listing import Row
from vmnet.render.table import table
from vmnet.render.text import safe

if TYPE_CHECKING:
    from datetime import datetime

_HEAD = ("DOMAIN", "#", "LINK", "ATTACHED TO", "MAC", "ADDRESS")


def listing(rows: Sequence[Row]) -> str:
    """A line for each NIC, then a line for each note."""
    if not rows:
        return "There is no NIC."
    shown = table(_HEAD, [_cells(row) for row in rows])
    notes = [safe(f"{row.domain} {row.number}: {note}") for row in rows for note in row.notes]
    return "\n".join([shown, *(["", *notes] if notes else [])])


def redrawn(text: str, changed: datetime) -> str:
    """A text in place of all that a terminal shows, and when it last changed."""
    lines = [*text.splitlines(), "", f"Last change {changed:%H:%M:%S}. Ctrl-C ends it."]
    return "\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J"


def _cells(row: Row) -> tuple[str, ...]:
    nic = row.nic
    link = str(nic.get("target", "")) if "live" in row.documents else row.state if row.state == "shut off" else ""
    first = row.addresses[0].address.partition("/")[0] if row.addresses else ""
    return (row.domain, str(row.number), link, _attached(row), str(nic.get("mac", "")), first)


def _attached(row: Row) -> str:
    nic = row.nic
    if "direct" in nic:
        where = f"{nic['direct']} {nic['mode']}"
    elif "bridge" in nic:
        where = f"{nic['bridge']}"
    elif row.network:
        where = row.network.bridge or ",".join(row.network.uplinks) or "?"
    else:
        where = row.type
    return f"{row.network.name}: {where}" if row.network else where
