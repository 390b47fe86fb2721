"""Fill a template of a configuration: the shipped file reads like what comes of it.

``$name`` or ``${name}`` is a value; a line with one that is missing is left out. ``@each names`` to ``@end`` is
repeated for each of several, whose own values come first; ``@each`` of a single value asks whether it is there. Values
are names, addresses and numbers, and are checked to be: none can end its line or its word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vmnet.errors import VmnetError
from vmnet.resources import shipped

_VALUE = re.compile(r"\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))")
_ATOM = r"[A-Za-z0-9_.:/@+-]+"
_SAFE = re.compile(rf"{_ATOM}([;,= ]{_ATOM})*;?")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def fill(name: str, values: Mapping[str, Any]) -> str:
    """The text of a shipped template.

    Args:
        name: Its path among them: ``host/networkd/bridge.netdev``.
        values: Texts, numbers, None for what is missing, and sequences of mappings of those.

    Raises:
        VmnetError: A value is not one that can be written (``value-unsafe``).
    """
    lines = shipped(name).read_text().splitlines()
    return "\n".join(_filled(lines, values)) + "\n"


def is_name(value: str) -> bool:
    """Whether a link's name means itself in every format."""
    return bool(_NAME.fullmatch(value))


def _filled(lines: Sequence[str], values: Mapping[str, Any]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.lstrip().startswith("@each "):
            end = _end(lines, at)
            for one in _several(values.get(line.split()[1])):
                yield from _filled(lines[at + 1 : end], {**values, **one})
            at = end
        elif all(values.get(found[1] or found[2]) is not None for found in _VALUE.finditer(line)):
            yield _VALUE.sub(lambda found: _written(values[found[1] or found[2]]), line)
        at += 1


def _end(lines: Sequence[str], at: int) -> int:
    depth = 0
    for number in range(at, len(lines)):
        word = lines[number].strip().partition(" ")[0]
        depth += {"@each": 1, "@end": -1}.get(word, 0)
        if depth == 0:
            return number
    raise AssertionError("a template has an @end for each @each")


def _several(value: Any) -> Sequence[Mapping[str, Any]]:
    match value:
        case list() | tuple():
            return value
    return [{}] if value else []


def _written(value: Any) -> str:
    text = str(value)
    if not _SAFE.fullmatch(text):
        raise VmnetError(
            "value-unsafe",
            f"{text!r} cannot be written into a configuration",
            why="It is no plain name, address or number",
        )
    return text
