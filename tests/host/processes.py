"""Processes that a test starts, kills and counts: in a PID namespace that ends with the test, or with pytest."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from vmnet.lab.namespaces import Namespace, fork, unshare

PATIENCE = 20.0
"""Seconds for what comes soon: it only bounds a failure."""


class Processes:
    """Those in the namespace, its first excepted."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._namespace = Path(f"/proc/{first}/ns/pid").stat().st_ino

    def alive(self) -> dict[int, str]:
        """Their command lines, by process id."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if int(path.name) != self._first and (path / "ns/pid").stat().st_ino == self._namespace:
                    found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
            except OSError:  # it ended meanwhile, or is a zombie
                continue
        return found

    def watchdog(self) -> int:
        """The process id of the one watchdog there is."""
        (found,) = (pid for pid, words in self.alive().items() if "words.py" in words)
        return found

    def end(self) -> None:
        """End all of them."""
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)
        assert self.nobody_is_left()

    def nobody_is_left(self) -> bool:
        """Whether all of them end soon."""
        return soon(lambda: not self.alive())


@contextmanager
def own_processes() -> Iterator[Processes]:
    """Have every process that is started meanwhile in a namespace of its own; the kernel ends them with its first."""
    home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    unshare(Namespace.PID)
    first = fork(_reap)
    try:
        yield Processes(first)
    finally:
        os.kill(first, signal.SIGKILL)
        while os.waitpid(-1, 0)[0] != first:  # it ends once those are reaped that are children of ours
            pass
        set_namespace(home)
        os.close(home)


def set_namespace(of: int, kind: Namespace = Namespace.PID) -> None:
    """Have this process in a namespace, of which `of` is a descriptor; of a PID namespace its children."""
    import ctypes

    assert ctypes.CDLL(None).setns(of, int(kind)) == 0


def soon(so: Callable[[], bool], within: float = PATIENCE) -> bool:
    """Whether it comes true within so many seconds; looked at every few ms, for no event says it."""
    deadline = time.monotonic() + within
    while not (true := so()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return true


class Child:
    """A function in a process of its own, which can be made to stand still.

    Args:
        body: What it does, given a function that tells a word and then waits until it may go on.
        terminal: Whether it has a terminal, which `hang_up` closes.
    """

    _gates: ClassVar[set[int]] = set()
    """Our ends of all that children wait at: one that a later child inherits stays shut."""

    def __init__(self, body: Callable[[Callable[[str], None]], int], *, terminal: bool = False) -> None:
        self._words, told = os.pipe()
        gate, self._gate = os.pipe()
        self._gates.add(self._gate)
        self._terminal = os.openpty() if terminal else None

        def pause(word: str) -> None:
            os.write(told, word.encode() + b"\n")
            os.read(gate, 1)

        def run() -> int:
            for end in self._gates:
                os.close(end)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):  # as `vmnet` does
                signal.signal(number, signal.default_int_handler)
            if self._terminal:
                os.close(self._terminal[0])
                os.login_tty(self._terminal[1])
            return body(pause)

        self.alive = True
        self.pid = fork(run)
        os.close(told)
        os.close(gate)
        if self._terminal:
            os.close(self._terminal[1])

    def word(self) -> str:
        """The next word that it tells; empty once it has ended."""
        word = b""
        while not word.endswith(b"\n") and (read := os.read(self._words, 1)):
            word += read
        return word.decode().strip()

    def go_on(self) -> None:
        """Let it go on for good."""
        if self._gate >= 0:
            os.close(self._gate)
            self._gates.remove(self._gate)
            self._gate = -1

    def kill(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close its terminal."""
        assert self._terminal
        os.close(self._terminal[0])

    def status(self) -> int:
        """Wait until it ends; its exit code, or a signal's number, negative."""
        self.go_on()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._words)
        self.alive = False
        return code


def _reap() -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps orphans, then
    while True:
        signal.pause()
