"""Streams that were closed before vmnet began: Python has None there, and ``print(file=None)`` would take the other."""

from __future__ import annotations

import errno
import io
import os
import sys


class Closed(io.TextIOBase):
    """A stream that takes nothing, and says so like any other that is broken.

    Args:
        number: Its descriptor.
    """

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """Its descriptor."""
        return self._number

    def write(self, _: str) -> int:
        """Refuse.

        Raises:
            OSError: Always.
        """
        raise OSError(errno.EBADF, "it was closed before vmnet began")


def stand_in() -> None:
    """Put streams that fail where there is none, and see that no file or socket gets their numbers."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            if name != "stdin":
                setattr(sys, name, Closed(number))
