"""A NIC as somebody wants it, the NIC that comes of it, and what speaks against that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from vmnet.findings import Finding
from vmnet.nic import rules, schema, templates
from vmnet.nic.generator import generate
from vmnet.nic.model import Nic
from vmnet.nic.places import SOURCES
from vmnet.nic.version import Version
from vmnet.resources import shipped
from vmnet.values import dataclass


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
    return generate(templates.load(_template(wish)), {**wish.fields, "mac": mac})


def check(wish: NicWish, nic: Nic, libvirt: Version | None = None) -> list[Finding]:
    """What the schema and the rules have to say of the NIC of a wish.

    libvirt's schema is asked where somebody's own template is part of it. What comes of a shipped one is valid as it
    is, for the fields' types take nothing that the schema refuses; reading the schema would only cost time.

    Args:
        wish: The wish.
        nic: The NIC of it.
        libvirt: The daemon's version; None for the newest known.
    """
    own = [] if _is_shipped(_template(wish)) else schema.check(nic)
    return [*own, *rules.check(nic, libvirt)]


def _template(wish: NicWish) -> str:
    if wish.template is not None:
        return wish.template
    return next((kind for kind in SOURCES if wish.fields.get(kind) is not None), "direct")


def _is_shipped(template: str) -> bool:
    """Whether a template is vmnet's own, and nobody's of the same name comes before it."""
    found = templates.find(template)
    return found is not None and found.parent == shipped()
