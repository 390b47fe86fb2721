"""The vocabulary as JSON Schema: what a document may say of one NIC."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from vmnet.nic.attachment import Fits
from vmnet.nic.field import Field
from vmnet.nic.model import Nic


def schema() -> dict[str, Any]:
    """A JSON Schema (2020-12) of a NIC: a property for each field, rivals excluded, needs required."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "NIC",
        "type": "object",
        "properties": {name: _property(field) for name, field in Nic.FIELDS.items()},
        "additionalProperties": False,
        "dependentRequired": {name: [field.needs] for name, field in Nic.FIELDS.items() if field.needs},
        "allOf": [{"not": {"required": list(pair)}} for pair in _rivals()],
    }


def fits(field: Field[Any]) -> str:
    """The attachments on which libvirt takes a field, as words; empty for all of them."""
    return "" if field.fits is Fits.EVERY else " or ".join(str(f.name).lower() for f in field.fits)


def _property(field: Field[Any]) -> dict[str, Any]:
    where = fits(field)
    limits = f"on {where} NICs, libvirt {field.since}" if where else f"libvirt {field.since}"
    return {**field.type.json, "description": f"{field.help} ({limits}): {field.type.means}"}


def _rivals() -> list[tuple[str, str]]:
    """The fields of which a NIC has one at most, in pairs."""
    slots = {name: field.place.slot for name, field in Nic.FIELDS.items() if field.place.slot}
    return [(a, b) for a, b in combinations(slots, 2) if slots[a] == slots[b]]
