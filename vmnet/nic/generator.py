"""Make a NIC from another, a template or the guest's own: named fields change, everything else is kept."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from vmnet.errors import UsageError
from vmnet.nic import xml
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode, Network
from vmnet.nic.model import Nic


def rewrite(nic: Nic, changes: Mapping[str, Any]) -> Nic:
    """The same NIC with some fields changed; all else stays, comments and unknown elements too.

    A field that means nothing without another goes when that one goes.

    Args:
        nic: The NIC to start from; it stays as it is.
        changes: New values, or their texts, by field name; None removes a field.

    Raises:
        UsageError: A field is unknown, a value is bad, or the changes contradict each other.
        VmnetError: ``attachment-unknown``: the NIC is of a kind that cannot be turned into another.
    """
    _refuse_rivals(changes)
    changes = {**_orphans(changes), **changes}
    element = nic.element
    for name, field in Nic.FIELDS.items():
        if name in changes:
            field.patch(element, changes[name])
    _refuse_orphans(element, changes)
    return Nic(element)


def generate(template: Nic, changes: Mapping[str, Any]) -> Nic:
    """A new NIC from a template: attached to something, and a direct one with its mode spelt out.

    Args:
        template: What to start from.
        changes: As for `rewrite`.

    Raises:
        UsageError: As `rewrite`; or ``attachment-missing``: nothing says what to attach to.
    """
    nic = rewrite(template, changes)
    match nic.attachment:
        case Direct(dev="") | Bridge(name="") | Network(name=""):
            raise UsageError(
                "attachment-missing",
                "nothing says what to attach the NIC to",
                remedy="Say --direct DEV, --bridge NAME or --network NAME",
            )
        case Direct() if nic.text("source/@mode") is None:
            return rewrite(nic, {"mode": MacvtapMode.BRIDGE})
    return nic


def _refuse_rivals(changes: Mapping[str, Any]) -> None:
    """Of what a NIC has one of only, one may be said."""
    fields = [Nic.field(name) for name, value in changes.items() if value is not None]
    for one, other in combinations(fields, 2):
        if one.place.slot and one.place.slot == other.place.slot:
            raise UsageError(
                f"{one.place.slot}-ambiguous",
                f"a NIC has one of {one.option} and {other.option}, and both were given",
                remedy="Give one of them",
            )
    for name in changes:
        Nic.field(name)


def _orphans(changes: Mapping[str, Any]) -> dict[str, None]:
    """What goes with the fields that are removed."""
    gone = {name for name, value in changes.items() if value is None}
    return {name: None for name, field in Nic.FIELDS.items() if field.needs in gone}


def _refuse_orphans(element: xml.Element, changes: Mapping[str, Any]) -> None:
    """A field that was set has what it needs."""
    for name, value in changes.items():
        need = Nic.field(name).needs
        if value is not None and need and Nic.field(need).read(element) is None:
            raise UsageError(
                "field-needs",
                f"{name} means nothing without {need}",
                remedy=f"Say {Nic.field(need).option} too",
            )
