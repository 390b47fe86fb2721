"""Which of a domain's documents a command is asked to change."""

from __future__ import annotations

from enum import Flag, auto


class Scope(Flag):
    """The documents that a command is asked to change."""

    LIVE = auto()
    CONFIG = auto()
