"""Programs of the host's that are run: without a shell, by their path, in a clean environment, within a time."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vmnet.errors import VmnetError

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
_ENOUGH = 4096
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)
"""What Python, or a watchdog, has ignored, and a program that is started would go on ignoring."""


def run(command: list[str], seconds: float) -> tuple[int, str]:
    """Run a program to its end.

    Args:
        command: Its path, and its arguments.
        seconds: How long it may take; then it is killed.

    Returns:
        Its exit code, that of a killed one negative, and the beginning of what it said.

    Raises:
        VmnetError: It cannot be started (``program-failed``).
    """
    reader, writer = os.pipe()
    try:
        child = start(command, writer)
    finally:
        os.close(writer)
    try:
        return _waited_for(child, seconds), os.read(reader, _ENOUGH).decode(errors="replace").strip()
    finally:
        os.close(reader)


def start(command: list[str], output: int = 0, folder: str = "") -> int:
    """Start a program in a session of its own, with nothing of ours that would outlive us; its process id.

    Args:
        command: Its path, and its arguments.
        output: Where it writes to; nowhere by default.
        folder: Where it stands, if that is there; where we do by default.

    Raises:
        VmnetError: It cannot be started (``program-failed``).
    """
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        with _standing_in(folder):
            child = os.posix_spawn(
                command[0], command, _ENVIRONMENT, file_actions=files, setsid=True, setsigmask=(), setsigdef=_IGNORED
            )
    except OSError as error:
        raise VmnetError("program-failed", f"{command[0]} cannot be started", why=error.strerror or "") from error
    with suppress(OSError):  # a watchdog is the last that the kernel kills, and its children are too
        Path(f"/proc/{child}/oom_score_adj").write_text("0")
    return child


@contextmanager
def _standing_in(folder: str) -> Iterator[None]:
    """Stand in another folder for a moment: posix_spawn(3) has no word for it that Python knows."""
    ours = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        if folder and Path(folder).is_dir():
            os.chdir(folder)
        yield
    finally:
        os.fchdir(ours)
        os.close(ours)


def exit_code(child: int) -> int | None:
    """The exit code of a child; None while it runs."""
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _waited_for(child: int, seconds: float) -> int:
    handle = os.pidfd_open(child)
    try:
        if not select.select([handle], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
