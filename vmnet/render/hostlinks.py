"""The host's own ends beside macvtaps as text."""

from __future__ import annotations

from collections.abc import Sequence

from vmnet.operations.hostlink import HostlinkOutcome, HostlinkSeen
from vmnet.render.message import plan
from vmnet.render.table import table
from vmnet.render.text import safe

_HEAD = ("HOSTLINK", "UPLINK", "MADE BY", "STATE", "MAC", "ADDRESS")


def outcome(done: HostlinkOutcome, verb: str) -> str:
    """The plan where it was not applied, else what was done and how it can be undone."""
    if not done.applied:
        return plan(done.plan)
    return safe(f"{verb} hostlink {done.hostlink}; vmnet undo {done.transaction} puts everything back")


def listing(found: Sequence[HostlinkSeen]) -> str:
    """A line for each hostlink."""
    return table(_HEAD, [_cells(one) for one in found]) if found else "There is no hostlink."


def _cells(one: HostlinkSeen) -> tuple[str, ...]:
    link = one.link
    state = "down" if not link.up else "up" if link.carrier else "no carrier"
    maker = "vmnet" if link.is_ours else ""
    return link.name, one.uplink or "?", maker, state, link.mac or "", ", ".join(one.addresses)
