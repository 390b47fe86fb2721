"""The first lines of a file that vmnet wrote: who wrote it, and a seal that is broken when somebody edits it."""

from __future__ import annotations

import re
from enum import Enum
from hashlib import sha256

_SEAL = re.compile(
    r"\A# Written by vmnet: (?:vmnet bridge persist (?P<bridge>\S+) --format (?P<format>\S+) )?[^\n]*\n"
    r"# [^\n]*\(seal (?P<seal>[0-9a-f]{16})\)\n\n?"
)


class Hand(Enum):
    """Whose a file is."""

    VMNET = "vmnet's"
    EDITED = "vmnet's, edited since"
    SOMEBODY = "somebody else's"


def sealed(body: str, bridge: str, format_name: str) -> str:
    """A file with its first lines."""
    return (
        f"# Written by vmnet: vmnet bridge persist {bridge} --format {format_name} --write\n"
        f"# vmnet writes it anew as long as nobody else has edited it (seal {_seal(body)})\n\n{body}"
    )


def hand(text: str) -> Hand:
    """Whose a file is, by its first lines."""
    found = _SEAL.match(text)
    if found is None:
        return Hand.SOMEBODY
    return Hand.VMNET if _seal(text[found.end() :]) == found["seal"] else Hand.EDITED


def subject(text: str) -> tuple[str, str] | None:
    """The bridge that a file of vmnet's is for, and the format it is in; None for a file of somebody else's."""
    found = _SEAL.match(text)
    return (found["bridge"] or "", found["format"] or "") if found else None


def _seal(body: str) -> str:
    return sha256(body.encode(errors="surrogateescape")).hexdigest()[:16]
