"""Kill a process, by SIGKILL and for real, right before any one of what it does to the world."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vmnet.host.wire import Line

ACTS: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("mkdir", "mkfifo", "open", "write", "fsync", "replace", "unlink", "posix_spawn")),
    (Path, "mkdir"),
    (Path, "write_text"),
    (Path, "unlink"),
    (Line, "send"),
)
"""All that a transaction and the host's wing do to files, processes and the kernel's tables."""


UNDOING: tuple[tuple[Any, str], ...] = ((os, "replace"), (Line, "send"))
"""What of that changes anything while something is put back."""


def kill_before(number: int, acting: tuple[tuple[Any, str], ...] = ACTS) -> Callable[[], int]:
    """Have this process killed right before it acts for the nth time.

    Args:
        number: How often it may act, and one more.
        acting: What counts as an act.

    Returns:
        How often it has acted by now.
    """
    acts = 0

    def counted(act: Callable[..., Any]) -> Callable[..., Any]:
        def do(*arguments: Any, **options: Any) -> Any:
            nonlocal acts
            acts += 1
            if acts == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*arguments, **options)

        return do

    for place, name in acting:
        setattr(place, name, counted(getattr(place, name)))
    return lambda: acts
