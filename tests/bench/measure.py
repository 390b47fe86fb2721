"""The way of measuring: children in a clean environment, cases taken in turn, and what comes of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""For children: PYTHONDONTWRITEBYTECODE and its like would make one peer slower than another."""

_PEAK = """
import os, runpy, sys
os._exit = sys.exit
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    if end.code:
        raise
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
"""
"""Runs a script and tells its peak: what wait4 tells instead includes the parent that it was forked from."""


class Failed(Exception):
    """A command that was to be measured failed, or did not do what it was to do."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How a figure is written.

    Args:
        name: Its symbol.
        scale: How many of it make one second, or one of what was measured.
        digits: After the point.
    """

    name: str
    scale: float
    digits: int

    def text(self, value: float) -> str:
        """The value as text, without the symbol."""
        return f"{value * self.scale:,.{self.digits}f}"


SECONDS = Unit("s", 1, 2)
MILLISECONDS = Unit("ms", 1e3, 1)
MICROSECONDS = Unit("µs", 1e6, 1)
MEBIBYTES = Unit("MiB", 1, 1)
PACKETS = Unit("packets", 1, 0)
FILES = Unit("open files", 1, 0)


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that were taken in turn, and so can be compared.

    Args:
        title: What they are of.
        unit: How they are written.
        rows: The samples of each, by its name.
        reference: The row that the others are compared with, if any.
        note: What a reader must know of them.
    """

    title: str
    unit: Unit
    rows: Mapping[str, Sequence[float]]
    reference: str | None = None
    note: str = ""

    def median(self, name: str) -> float:
        """The median of one row."""
        return statistics.median(self.rows[name])


def in_turn(cases: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, list[T]]:
    """Take each case once, then each again, ...: what slows the machine for a while slows them all.

    The first round warms caches and does not count.
    """
    taken = [{name: case() for name, case in cases.items()} for _ in range(1 + rounds)][1:]
    return {name: [one[name] for one in taken] for name in cases}


def timed(*argv: str) -> float:
    """Seconds from starting a command until it has ended. Raises `Failed` if it did not succeed."""
    start = time.perf_counter()
    done = subprocess.run(
        argv, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise Failed(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    return took


def said(*argv: str) -> str:
    """What a command prints. Raises `Failed` if it did not succeed."""
    done = subprocess.run(argv, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def peak_mebibytes(python: str, script: str, *argv: str) -> float:
    """The most memory that a Python script had at once (VmHWM)."""
    done = subprocess.run(
        [python, "-c", _PEAK, script, *argv], env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise Failed(f"{script} {' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
    return int(done.stderr.split()[-1]) / 1024


def until(true: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Wait until something is so. Raises `Failed` if it does not come about."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.005)
