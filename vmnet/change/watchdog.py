"""A process of its own that puts a transaction back when nobody else would: its maker died, or nobody confirmed it.

It has read the images and imported all that restoring takes before anything is changed, and says so; without that
word nothing is begun. That its maker lives is known by the transaction's lock, which the kernel takes from the dead;
the pidfd only wakes it at once.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from vmnet.change import journal
from vmnet.change.executor import Restored
from vmnet.change.journal import IMAGE, OPEN, Record, Standing, State, now
from vmnet.change.undo import Ready, WingOf, in_state
from vmnet.errors import VmnetError

READY_SECONDS = 15.0
"""How long a watchdog may take to be ready: a bound for a busy machine, most take a tenth of a second."""

ARMED_SECONDS = 120.0
"""How long a change may be on its way: a maker that was stopped in the middle is ended, and what it did put back."""

_BYTES_A_SECOND = 50_000
"""A second more for so much of images: those of 50,000 routes are 16 MB, and moving them takes a minute."""

TRYING_SECONDS = 3600.0
"""How long a watchdog goes on trying to put back what could not be: it may be all that is left of vmnet."""

_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 60.0

TICK_SECONDS = 0.25
"""How often the watchdog looks."""

_SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)
_FIFO, _LOG = "ready", "watchdog.log"
_OOM = -900  # nearly the last to be killed when memory runs out


@contextmanager
def guarded(record: Record, program: Sequence[str]) -> Iterator[None]:
    """Have a watchdog for a transaction that was just begun; once that is at its end, the watchdog goes.

    Args:
        record: The transaction.
        program: What runs `watch` on the folder that is its last argument: arguments of Python's.

    Raises:
        VmnetError: ``watchdog-not-ready``.
    """
    child = _started(record, program)
    try:
        yield
    finally:
        if child is not None and _is_over(record):
            _end_child(child)


def has_systemd() -> bool:
    """Whether systemd can start a process that sees what this one does."""
    if not _SYSTEMD.is_dir() or os.geteuid() != 0:
        return False
    with suppress(OSError):
        return all(_same_namespace(kind) for kind in ("net", "pid", "mnt"))
    return False


def unit_command(record: Record, command: Sequence[str], log: Path) -> list[str]:
    """The command that starts a watchdog as a unit of its own.

    It outlives the session that it was begun in (logind.conf(5), KillUserProcesses).

    Args:
        record: The transaction.
        command: What the unit runs.
        log: Where it writes to.
    """
    properties = [
        f"StandardOutput=append:{log}",
        f"StandardError=append:{log}",
        f"OOMScoreAdjust={_OOM}",
        f"Description=vmnet: puts transaction {record.id} back unless it is confirmed",
    ]
    return [
        "systemd-run",
        "--quiet",
        "--collect",
        "--no-ask-password",
        "--service-type=exec",
        f"--unit=vmnet-tx-{record.id}",
        *(f"--property={one}" for one in properties),
        *(f"--setenv={name}={os.environ[name]}" for name in ("PYTHONPATH",) if name in os.environ),
        "--",
        *command,
    ]


def watch(folder: Path, wing_of: WingOf, lasting: Collection[str] = ()) -> None:
    """Watch a transaction to its end: what a watchdog does.

    Args:
        folder: The transaction's.
        wing_of: Its wings, by name.
        lasting: Codes of the failures to put it back that need a person: there is no use in trying again.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OOM))
    os.chdir("/")  # no folder is held
    record = journal.read(folder)
    maker = _opened(record.entry.pid)
    ready = Ready.of(record, wing_of)
    armed_until = record.entry.began + ARMED_SECONDS + (folder / IMAGE).stat().st_size / _BYTES_A_SECOND
    _say_ready(folder / _FIFO)
    pause, failing_since = _PAUSE_SECONDS, None
    while not _is_over(record):
        restored: Restored | None = Restored()
        match record.standing():
            case Standing(state=State.ARMED):
                _wait(maker, TICK_SECONDS)
                restored = _undone(ready, "vmnet died in the middle of it", State.ARMED)
                if restored is None and now() > armed_until:
                    _end(maker)
            case Standing(state=State.FAILED):
                failing_since = failing_since or now()
                if now() > failing_since + TRYING_SECONDS:
                    return
                time.sleep(pause)
                restored = _undone(ready, "it could not be put back before", State.FAILED)
                if restored is not None:
                    pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            case Standing(deadline=deadline) if deadline and (left := deadline - now()) > 0:
                time.sleep(min(left, TICK_SECONDS))
            case _:
                restored = _undone(ready, "nobody confirmed it in time", State.APPLIED)
                if restored is None:
                    time.sleep(TICK_SECONDS)
        if restored and restored.failed and all(error.code in lasting for error in restored.failed):
            return


def _undone(ready: Ready, reason: str, state: State) -> Restored | None:
    """Put it back if it is still so; None if somebody else is at it."""
    try:
        restored = ready.undo(reason, in_state(state), patience=0)
    except VmnetError as error:
        if error.code != "locked":
            raise
        return None
    for line in [*restored.done, *(f"{error.what}: {error.why}" for error in restored.failed)]:
        sys.stdout.write(f"{reason}: {line}\n")  # the log, for whoever wonders later
    return restored


def _is_over(record: Record) -> bool:
    """Whether the transaction needs no watchdog any more; one that is gone was put back, too."""
    try:
        return record.standing().state not in OPEN
    except VmnetError:
        return not record.is_there


def _started(record: Record, program: Sequence[str]) -> int | None:
    """Start a watchdog and wait until it is ready; its process id where it is a child of ours."""
    fifo, log = record.folder / _FIFO, record.folder / _LOG
    command = [sys.executable, "-P", *program, str(record.folder)]
    child = None
    try:
        os.mkfifo(fifo, 0o600)
        word = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if has_systemd():
                _start_unit(unit_command(record, command, log))
            else:
                child = _spawned(command, log)
            _hear(word, child, log)
        finally:
            os.close(word)
    except BaseException as error:
        record.forget()  # nothing was changed: there is nothing to put back
        if child is not None:
            _end_child(child)
        if isinstance(error, OSError):
            raise _not_ready(f"{error.filename or record.folder}: {error.strerror}") from error
        raise
    return child


def _start_unit(command: Sequence[str]) -> None:
    import subprocess  # where systemd is: the watchdog itself has no use for it

    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise _not_ready(f"systemd-run says: {done.stderr.strip() or done.returncode}")


def _spawned(command: list[str], log: Path) -> int:
    """A child in a session of its own: no terminal's hang-up and no Ctrl-C reaches it, and it outlives us."""
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.fspath(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, os.environ, file_actions=files, setsid=True)


def _hear(word: int, child: int | None, log: Path) -> None:
    """Wait until the watchdog says that it is ready."""
    end = _opened(child) if child else None
    try:
        heard = select.select([word, *([] if end is None else [end])], [], [], READY_SECONDS)[0]
        if not heard:
            raise _not_ready(f"It said nothing for {READY_SECONDS:g} s")
        if not (word in heard and os.read(word, 1)):
            raise _not_ready(f"It ended at once: {_last_line(log)}")
    finally:
        if end is not None:
            os.close(end)


def _last_line(log: Path) -> str:
    try:
        return log.read_text(errors="replace").strip().rpartition("\n")[2] or "it said nothing"
    except OSError as error:
        return str(error)


def _not_ready(why: str) -> VmnetError:
    return VmnetError(
        "watchdog-not-ready",
        "the process that would put the change back did not start",
        why=why,
        remedy="Nothing was changed; without it nothing is, for it is what brings the host back if vmnet dies",
    )


def _say_ready(fifo: Path) -> None:
    with suppress(OSError):  # nobody listens any more: what to do then is known from the state
        file = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(file, b"!")
        os.close(file)


def _opened(pid: int) -> int | None:
    """A pidfd, which becomes readable when the process ends; None if it has."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _wait(maker: int | None, seconds: float) -> None:
    """Wait until the maker ends, or some time."""
    if maker is None:
        time.sleep(seconds)
    else:
        select.select([maker], [], [], seconds)


def _end(maker: int | None) -> None:
    """End a maker that stands still: it holds the lock yet, so the process is no other than when we began."""
    if maker is not None:
        with suppress(OSError):
            signal.pidfd_send_signal(maker, signal.SIGKILL)


def _end_child(child: int) -> None:
    with suppress(OSError):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _same_namespace(kind: str) -> bool:
    return Path(f"/proc/thread-self/ns/{kind}").stat().st_ino == Path(f"/proc/1/ns/{kind}").stat().st_ino
