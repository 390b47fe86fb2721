"""What a check found, a line of the document each, as compilers tell it."""

from __future__ import annotations

from collections import Counter

from vmnet.findings import Severity
from vmnet.operations.check import Checked
from vmnet.render.message import finding
from vmnet.render.text import safe


def checked(file: str, result: Checked) -> str:
    """A block for each finding, then what it comes to.

    Args:
        file: The document's name.
        result: What was found.
    """
    blocks = [f"{safe(file)}:{one.line or 0}: NIC {one.nic}: {finding(one.finding)}" for one in result.found]
    return "\n".join([*blocks, _sum(result)])


def _sum(result: Checked) -> str:
    counts = Counter(one.finding.severity for one in result.found)
    parts = [_many(counts[severity], severity.value) for severity in Severity if counts[severity]]
    return f"{_many(result.nics, 'NIC')}: {', '.join(parts) or 'nothing to say'}"


def _many(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
