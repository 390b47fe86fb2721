"""Versions of libvirt: fields come with one, rules hold from one or until one."""

from __future__ import annotations

import re
from typing import NamedTuple

from vmnet.errors import UsageError


class Version(NamedTuple):
    """A release of libvirt."""

    major: int
    minor: int
    micro: int = 0

    @classmethod
    def parse(cls, text: str) -> Version:
        """The version of ``9.0.0``, or of ``9.0``.

        Raises:
            UsageError: ``bad-value``.
        """
        match = re.fullmatch(r"(\d{1,3})[.](\d{1,3})(?:[.](\d{1,3}))?", text, re.ASCII)
        if not match:
            raise UsageError("bad-value", f"{text!r} is no version of libvirt", remedy="Give one like 9.0.0")
        return cls(*(int(part or 0) for part in match.groups()))

    @classmethod
    def of_number(cls, number: int) -> Version:
        """The version that libvirt's API tells as ``major * 1,000,000 + minor * 1,000 + micro``."""
        return cls(number // 1_000_000, number // 1_000 % 1_000, number % 1_000)

    def __str__(self) -> str:
        return ".".join(map(str, self))
