"""``--set FIELD=VALUE`` and ``--unset FIELD`` as changes for `rewrite`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vmnet.errors import UsageError
from vmnet.nic import xml
from vmnet.nic.model import Nic


def changes(given: Mapping[str, Any], texts: Iterable[str] = (), unset: Iterable[str] = ()) -> dict[str, Any]:
    """All changes that a command line asks for, by field name; None for a field to remove.

    Args:
        given: Values of fields that have an option of their own.
        texts: ``FIELD=VALUE``, each.
        unset: Names of fields.

    Raises:
        UsageError: ``set-malformed``, ``field-unknown``, ``field-twice`` or ``bad-value``.
    """
    found = dict(given)
    for name, value in [*map(_split, texts), *((name, None) for name in unset)]:
        field = Nic.field(name)
        if name in found:
            raise UsageError(
                "field-twice",
                f"{name} is given twice",
                remedy=f"Say it once, with {field.option}, --set or --unset",
            )
        found[name] = None if value is None else str(field.parse(value))
    return found


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(
            "set-malformed", f"{xml.quoted(text)} sets nothing", why="it has no '='", remedy="Say --set FIELD=VALUE"
        )
    return name, value
