"""Make a NIC from another, a template or the guest's own: named fields change, everything else is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmnet.errors import UsageError
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode
from vmnet.nic.model import Nic
from vmnet.nic.places import AttachedTo


def rewrite(nic: Nic, changes: Mapping[str, Any]) -> Nic:
    """The same NIC with some fields changed; all else stays, comments and unknown elements too.

    Args:
        nic: The NIC to start from; it stays as it is.
        changes: New values, or their texts, by field name; None removes a field.

    Raises:
        UsageError: A field is unknown, a value is bad, or the changes contradict each other.
        VmnetError: ``attachment-unknown``: the NIC is of a kind that cannot be turned into another.
    """
    fields = [Nic.field(name) for name in changes]
    attached = [f for f in fields if isinstance(f.place, AttachedTo) and changes[f.name] is not None]
    if len(attached) > 1:
        raise UsageError(
            "attachment-ambiguous",
            f"a NIC has one attachment, and {' and '.join(f.option for f in attached)} were given",
            remedy="Give one of them",
        )
    element = nic.element
    for name, field in Nic.FIELDS.items():
        if name in changes:
            field.patch(element, changes[name])
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
        case Direct(dev="") | Bridge(name=""):
            raise UsageError(
                "attachment-missing",
                "nothing says what to attach the NIC to",
                remedy="Say --direct DEV or --bridge NAME",
            )
        case Direct() if nic.text("source/@mode") is None:
            return rewrite(nic, {"mode": MacvtapMode.BRIDGE})
    return nic
