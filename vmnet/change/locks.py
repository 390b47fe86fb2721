"""Locks by name: who changes a domain or a link does so alone, among all vmnet commands of this host."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from vmnet.change.interrupts import check
from vmnet.errors import VmnetError

PATIENCE = 30.0
"""Seconds for which a lock is waited for."""

_INTERVAL = 0.05
"""Seconds between two tries: flock knows no deadline."""

_SILENT_SECONDS = 1.0
"""For how long nobody is told that a lock is waited for."""


def _tell_nobody(_waiting: str) -> None:
    pass


@contextmanager
def locked(
    names: Iterable[str], patience: float = PATIENCE, waiting: Callable[[str], None] = _tell_nobody
) -> Iterator[None]:
    """Hold the locks of all `names` meanwhile.

    They are taken in one order by everybody, so that no two commands wait for each other. The kernel lets go of them
    when the process dies, however it dies. A process must not take a name that it holds already.

    Args:
        names: What is to be locked, any texts: a domain's UUID, a link's name.
        patience: Seconds to wait, for all of them together.
        waiting: Told once for each that is waited for longer than a second what it is, and who holds it.

    Raises:
        VmnetError: Another process still holds one (``locked``), or there is no place for locks (``lock-folder``).
        KeyboardInterrupt: Somebody wants us to stop, and one had to be waited for.
    """
    deadline = time.monotonic() + patience
    with ExitStack() as held:
        for name in sorted(set(names)):
            left = max(deadline - time.monotonic(), 0)
            held.enter_context(locked_file(folder() / _file_name(name), name, left, waiting))
        yield


@contextmanager
def locked_file(
    path: Path, name: str, patience: float = PATIENCE, waiting: Callable[[str], None] = _tell_nobody
) -> Iterator[None]:
    """Hold the lock that is a file meanwhile; as `locked`, and raises as that does.

    Args:
        path: The file.
        name: What it locks, for people.
        patience: Seconds to wait.
        waiting: Told once who holds it, if that lasts longer than a second.
    """
    deadline = time.monotonic() + patience
    silent_until: float | None = time.monotonic() + _SILENT_SECONDS
    file = _opened(path, name)
    try:
        while not _taken(file):
            if time.monotonic() >= deadline:
                raise VmnetError(
                    "locked",
                    f"another vmnet is changing {name}",
                    why=f"It is {_holder(file)}",
                    remedy="Try again when it is done",
                )
            if silent_until and time.monotonic() >= silent_until:
                waiting(f"Another vmnet is changing {name}, and is waited for: {_holder(file)}")
                silent_until = None
            check()
            time.sleep(_INTERVAL)
        with suppress(OSError):  # a full disk: the lock is held all the same
            os.ftruncate(file, 0)
            os.pwrite(file, os.fsencode(f"process {os.getpid()}: {' '.join(sys.argv)}")[:4096], 0)
        yield
    finally:
        os.close(file)  # which unlocks it; the file stays, or a waiter could hold one that nobody else sees


def folder() -> Path:
    """Where the locks are: those of root are for all of the host, others have their own.

    Raises:
        VmnetError: ``lock-folder``: there is no place for them.
    """
    if os.geteuid() == 0:
        return Path("/run/vmnet/lock")
    return own_folder("XDG_RUNTIME_DIR", ".cache") / "vmnet" / "lock"


def own_folder(variable: str, below_home: str) -> Path:
    """A folder of whoever is not root.

    Args:
        variable: What of the environment names it.
        below_home: Where it is without.

    Raises:
        VmnetError: ``lock-folder``: there is none.
    """
    named = os.environ.get(variable)
    try:
        return Path(named) if named else Path.home() / below_home
    except RuntimeError as error:
        raise VmnetError(
            "lock-folder",
            "there is no place for locks and transactions",
            why=str(error).rstrip("."),
            remedy="Set HOME to a folder of your own",
        ) from error


def private(path: Path) -> None:
    """Make a folder of our own, and the one above it, for nobody else to write to.

    Raises:
        OSError: It cannot be made, or is somebody else's.
    """
    for folder_ in (path.parent, path):
        folder_.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder_.stat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(errno.EPERM, "others may write there", str(folder_))


def _holder(file: int) -> str:
    return os.fsdecode(os.pread(file, 4096, 0)) or "about to say who it is"


def _file_name(name: str) -> str:
    """The name of a lock's file, which is safe whatever the lock's is."""
    return sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]


def _opened(path: Path, name: str) -> int:
    try:
        if path.parent == folder():  # that of a transaction is there, or gone for good
            private(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise VmnetError(
            "lock-folder",
            f"the lock of {name} cannot be opened",
            why=f"{error.filename}: {error.strerror}",
            remedy=f"See that {path.parent} is a folder that you may write to",
        ) from error


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
