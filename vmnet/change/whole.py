"""A file that is replaced whole: a reader, or a crash at any instant, finds the old one or the new one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file anew, and have it on the disk for good. Raises `OSError`."""
    fresh = beside(path)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
        os.fchmod(file, mode)
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(fresh, path)  # noqa: PTH105 - beside the others of its kind
    settle(path.parent)


def remove_whole(path: Path) -> None:
    """Remove a file, if it is there, for good, and what a crash left beside it. Raises `OSError`."""
    for one in (beside(path), path):
        with suppress(FileNotFoundError):
            one.unlink()
    with suppress(FileNotFoundError):
        settle(path.parent)


def beside(path: Path) -> Path:
    """Where a file is written before it takes its place: hidden, so that nobody takes it for one."""
    return path.with_name(f".{path.name}.new")


def settle(folder: Path) -> None:
    """Have the names in a folder on the disk for good. Raises `OSError`."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
