"""What labs keep from one to the next, in a directory that all of this user's labs share."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_KEPT = 30 * 24 * 3600
"""Seconds for which a directory that nobody uses is kept: another version of vmnet may still run labs from it."""


def kept(name: str, fill: Callable[[Path], None]) -> Path:
    """A directory of the cache, made whole or not at all; those that no lab has used for 30 days are removed.

    Args:
        name: The directory's name.
        fill: Called with an empty directory if there is none of that name yet.
    """
    with _locked() as cache:
        wanted = cache / name
        if not wanted.exists():
            with tempfile.TemporaryDirectory(dir=cache) as made:
                fill(Path(made))
                Path(made).rename(wanted)
        os.utime(wanted)
        for unused in cache.iterdir():
            if unused.is_dir() and unused.stat().st_mtime < time.time() - _KEPT:
                shutil.rmtree(unused, ignore_errors=True)
    return wanted


def remembered(topic: str, key: str, find: Callable[[], str]) -> str:
    """An answer that is found out once for each key, even when several labs ask at the same time.

    Args:
        topic: What the question is about.
        key: For what the answer holds; an answer for another key is forgotten.
        find: Finds the answer, which is not empty.
    """
    with _locked() as cache:
        known = cache / f"{topic}-{key}"
        if known.exists() and (answer := known.read_text()):
            return answer
        for stale in cache.glob(f"{topic}-*"):
            stale.unlink(missing_ok=True)
        answer = find()
        fresh = cache / f"new-{topic}"
        fresh.write_text(answer)
        fresh.rename(known)
        return answer


@contextmanager
def _locked() -> Iterator[Path]:
    """The cache, for one lab at a time: under $XDG_CACHE_HOME, else /var/cache for root, else ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or ("/var/cache" if os.geteuid() == 0 else "~/.cache")
    cache = Path(home).expanduser() / "vmnet" / "lab"
    cache.mkdir(parents=True, exist_ok=True)
    with Path(cache, "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield cache
