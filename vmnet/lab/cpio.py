"""The kernel's initramfs format, cpio "newc", written by hand: so no root is needed for device nodes."""

from __future__ import annotations

import stat
from collections.abc import Iterable

from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in the archive."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(name: str) -> Entry:
    """An empty directory."""
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, data: bytes) -> Entry:
    """An executable file."""
    return Entry(name, stat.S_IFREG | 0o755, data)


def link(name: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


_CONSOLE = Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive of `entries`, which name a directory before what is in it; /dev/console comes along."""
    out = bytearray()
    for inode, entry in enumerate([*entries, _CONSOLE, Entry("TRAILER!!!", 0)], start=1):
        name = entry.name.encode() + b"\0"
        numbers = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % n for n in numbers) + name
        out += bytes(-len(out) % 4)
        out += entry.data
        out += bytes(-len(out) % 4)
    return bytes(out)
