"""Namespaces, mounts and a private /dev, by system call: Python 3.11 has no `os.unshare`."""

from __future__ import annotations

import ctypes
import os
import signal
import stat
from collections.abc import Callable
from enum import IntFlag
from pathlib import Path
from typing import NoReturn


class Namespace(IntFlag):
    """The CLONE_NEW* flags of unshare(2)."""

    MOUNT = 0x00020000
    UTS = 0x04000000
    IPC = 0x08000000
    PID = 0x20000000
    NET = 0x40000000


_MS_MOVE, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2000, 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def unshare(namespaces: Namespace) -> None:
    """Move this process (its children, for PID) into new namespaces. Raises `OSError`."""
    _checked(_libc.unshare(int(namespaces)), "unshare")


def fork(body: Callable[[], int]) -> int:
    """Run `body` in a child that ends, by SIGKILL, with its parent; its result is the exit status.

    Returns:
        The child's process id.
    """
    alive, held = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(held)
        _run_child(body, alive)
    os.close(alive)
    return child


def private_mounts() -> None:
    """Keep every later mount of this mount namespace from reaching the one it was copied from."""
    mount("none", "/", flags=_MS_REC | _MS_PRIVATE)


def mount(source: str, target: str | Path, kind: str = "", *, flags: int = 0, options: str = "") -> None:
    """mount(2). Raises `OSError`."""
    result = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), options.encode()
    )
    _checked(result, f"mount {target}")


def bind(source: str | Path, target: str | Path) -> None:
    """Bind-mount `source` on `target`, which exists."""
    mount(os.fspath(source), target, flags=_MS_BIND)


def own_sysfs() -> None:
    """Mount the /sys of this network namespace in the place of another's."""
    _checked(_libc.umount2(b"/sys", _MNT_DETACH), "umount /sys")
    mount("sysfs", "/sys", "sysfs")


def tmpfs(target: str | Path, mode: str = "755") -> None:
    """Mount an empty tmpfs on `target`."""
    mount("tmpfs", target, "tmpfs", options=f"mode={mode}")


def private_dev(staging: Path) -> None:
    """Replace /dev by a small one of our own.

    devtmpfs is one for all namespaces while interface indexes are per network namespace, so the /dev/tap<ifindex>
    of two labs, or of a lab and its host, would be one file.
    """
    staging.mkdir()
    tmpfs(staging)
    for name in ("null", "zero", "full", "random", "urandom", "tty", "kvm", "vhost-net", "net/tun"):
        _copy_node(Path("/dev", name), staging / name)
    for name in ("pts", "shm"):
        (staging / name).mkdir()
    bind("/dev/pts", staging / "pts")
    tmpfs(staging / "shm", mode="1777")
    for name, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                         ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")):  # fmt: skip
        (staging / name).symlink_to(target)
    mount(os.fspath(staging), "/dev", flags=_MS_MOVE)
    staging.rmdir()


def _copy_node(source: Path, target: Path) -> None:
    try:
        known = source.stat()
    except FileNotFoundError:
        return
    target.parent.mkdir(exist_ok=True)
    os.mknod(target, known.st_mode, known.st_rdev)
    target.chmod(stat.S_IMODE(known.st_mode))


def _run_child(body: Callable[[], int], alive: int) -> NoReturn:
    """The child's side of `fork`: never returns, never runs the parent's cleanup."""
    status = 125
    try:
        _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
        os.set_blocking(alive, False)
        try:
            orphaned = os.read(alive, 1) == b""  # the parent was gone before the request was made
        except BlockingIOError:
            orphaned = False
        if not orphaned:
            status = body()
    finally:
        os._exit(status)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
