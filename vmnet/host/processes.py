"""What /proc tells of processes: proc(5), read under any root, so that a test can make one up."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

_ENOUGH = 1 << 16
"""Bytes of a file that are read; no real one is as long."""
_DELETED = " (deleted)"
_SHARED = ("exe", "ns/net", "ns/user")
"""What the parts of one program have in common."""


def text(path: Path) -> str:
    """What a file says; nothing where it is not there, or not for us."""
    return _read(path).decode(errors="replace")


def arguments(process: Path) -> tuple[str, ...]:
    """The arguments of a process, byte for byte (`os.fsdecode`), empty ones too."""
    told = os.fsdecode(_read(process / "cmdline"))
    return tuple(told.removesuffix("\0").split("\0")) if told else ()


def listed(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder, in order."""
    return sorted(folder.glob(pattern)) if folder.is_dir() and os.access(folder, os.R_OK) else []


def target(path: Path) -> str:
    """Where a link of /proc's leads; empty where it does not say."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


def program(process: Path) -> str:
    """The file that a process runs; where that was replaced since, as an upgrade does, the one in its place."""
    return target(process / "exe").removesuffix(_DELETED)


def told(process: Path, field: int) -> int:
    """A field of a process's stat (proc(5)) behind its name; 0 if it is gone."""
    behind = text(process / "stat").rpartition(")")[2].split()
    return int(behind[field - 3]) if len(behind) > field - 3 else 0


def started(process: int, root: Path = Path("/")) -> int:
    """When a process was started, as the kernel counts; 0 if it is gone."""
    return told(root / f"proc/{process}", 22)


def parts(process: int, root: Path = Path("/")) -> list[int]:
    """A process, and its parent, its children and its parent's children that are the same program in the same place.

    A program that gives up its rights, such as dhcpcd, has others of its own do what takes some.
    """
    own = root / f"proc/{process}"
    alike = [folder for folder in listed(root / "proc", "[0-9]*") if _likeness(folder) == _likeness(own)]
    parents = {int(folder.name): told(folder, 4) for folder in alike}
    heads = {process} | ({parents[process]} & set(parents) if process in parents else set())
    return [process, *(pid for pid, parent in parents.items() if pid != process and {pid, parent} & heads)]


def is_roots_own(process: Path) -> bool:
    """Whether a process has no other user than root: real, effective, saved and for files."""
    return _status(process).get("Uid", "").split() == ["0"] * 4


def is_fit_for_root(file: Path) -> bool:
    """Whether nobody but root could have put anything else in a file, or in its place."""
    try:
        own = file.stat()
        folders = [folder.stat() for folder in file.parents]
    except OSError:
        return False
    return own.st_uid == 0 and not own.st_mode & 0o022 and all(map(_keeps_its_files, folders))


def _keeps_its_files(folder: os.stat_result) -> bool:
    return folder.st_uid == 0 and (not folder.st_mode & stat.S_IWOTH or bool(folder.st_mode & stat.S_ISVTX))


def _likeness(process: Path) -> tuple[str, ...]:
    return (text(process / "comm"), *(target(process / each) for each in _SHARED))


def _status(process: Path) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text(process / "status").splitlines())
    return {key: value for key, _, value in pairs}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_ENOUGH)
    except OSError:
        return b""
