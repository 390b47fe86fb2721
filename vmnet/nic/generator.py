"""Make a NIC from another, a template or the guest's own: named fields change, everything else is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmnet.errors import UsageError
from vmnet.nic import xml
from vmnet.nic.attachment import MacvtapMode
from vmnet.nic.model import Nic
from vmnet.nic.places import SOURCES

_PLACES = {name: place for place, name in enumerate(Nic.FIELDS)}
"""In the table, which is the order of writing."""

_NEEDS = {name: field.needs for name, field in Nic.FIELDS.items() if field.needs}


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
    if None in changes.values():
        changes = {**_orphans(changes), **changes}
    element = nic.element
    for name in sorted(changes, key=_PLACES.__getitem__):
        Nic.FIELDS[name].patch(element, changes[name])
    _refuse_orphans(element, changes)
    return Nic.taking(element)


def generate(template: Nic, changes: Mapping[str, Any]) -> Nic:
    """A new NIC from a template: attached to something, and a direct one with its mode spelt out.

    Args:
        template: What to start from.
        changes: As for `rewrite`.

    Raises:
        UsageError: As `rewrite`; or ``attachment-missing``: nothing says what to attach to.
    """
    nic = rewrite(template, changes)
    kind = nic.text("@type")
    if kind in SOURCES and nic.get(kind) is None:
        raise UsageError(
            "attachment-missing",
            "nothing says what to attach the NIC to",
            remedy="Say --direct DEV, --bridge NAME or --network NAME",
        )
    if kind == "direct" and nic.text("source/@mode") is None:
        return rewrite(nic, {"mode": MacvtapMode.BRIDGE})
    return nic


def _refuse_rivals(changes: Mapping[str, Any]) -> None:
    """Of what a NIC has one of only, one may be said."""
    taken: dict[str, str] = {}
    for name, value in changes.items():
        slot = Nic.field(name).place.slot
        if not slot or value is None:
            continue
        if slot in taken:
            raise UsageError(
                f"{slot}-ambiguous",
                f"a NIC has one of {Nic.field(taken[slot]).option} and {Nic.field(name).option}, and both were given",
                remedy="Give one of them",
            )
        taken[slot] = name


def _orphans(changes: Mapping[str, Any]) -> dict[str, None]:
    """What goes with the fields that are removed."""
    gone = {name for name, value in changes.items() if value is None}
    return {name: None for name, need in _NEEDS.items() if need in gone}


def _refuse_orphans(element: xml.Element, changes: Mapping[str, Any]) -> None:
    """A field that was set has what it needs."""
    for name in filter(_NEEDS.__contains__, changes):
        need = _NEEDS[name]
        if changes[name] is not None and Nic.field(need).read(element) is None:
            raise UsageError(
                "field-needs",
                f"{name} means nothing without {need}",
                remedy=f"Say {Nic.field(need).option} too",
            )
