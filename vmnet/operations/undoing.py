"""The wings whose changes are journalled, by name; run as a program on a transaction's folder, it is its watchdog.

The watchdog itself knows neither wing, and is in `change`; that it can be told one is this file's part.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from vmnet.change.undo import Journalled
from vmnet.change.watchdog import watch

WATCHDOG = ("-m", "vmnet.operations.undoing")
"""What runs a watchdog: arguments of Python's."""


def wing_of(name: str) -> Journalled:
    """The wing of that name, ready to put back. Raises `KeyError`."""
    return _WINGS[name]()


def _host() -> Journalled:
    from vmnet.host.applier import HostWing

    return HostWing()


def _files() -> Journalled:
    from vmnet.change.files import FileWing

    return FileWing()


_LASTING = frozenset({"host-bridge-in-use"})
"""What keeps a transaction from going back to its end while the host is back: a person has to see to it."""

_WINGS: dict[str, Callable[[], Journalled]] = {"host": _host, "files": _files}

if __name__ == "__main__":
    watch(Path(sys.argv[1]), wing_of, _LASTING)
