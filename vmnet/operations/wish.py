"""A NIC as somebody wants it, and the NIC that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vmnet.nic import templates
from vmnet.nic.generator import generate
from vmnet.nic.model import Nic
from vmnet.nic.places import SOURCES


@dataclass(frozen=True, slots=True)
class NicWish:
    """A NIC as somebody wants it.

    Args:
        fields: Values, or their texts, by field name; ``mac`` can be ``seed:TEXT``.
        template: Name or file of what to start from; None for the one of the attachment's kind.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    template: str | None = None


def shaped(wish: NicWish, mac: str | None) -> Nic:
    """The NIC of a wish.

    Args:
        wish: The wish; its own ``mac`` does not count.
        mac: The MAC address that was chosen, None for none.

    Raises:
        UsageError: A value is bad, or the attachment is missing.
        VmnetError: There is no such template.
    """
    kind = next((kind for kind in SOURCES if wish.fields.get(kind) is not None), "direct")
    return generate(templates.load(wish.template or kind), {**wish.fields, "mac": mac})
