"""Transactions on disk: what a change may touch, as it was before, and how far the change is.

A transaction is a folder. ``image.json`` is written once, before the first change, and is the transaction: a folder
without one was never begun. ``state.json`` says how far it is, and whoever changes that holds ``lock``. Both are
replaced whole. What describes the kernel says nothing after a reboot, as the kernel starts anew; what describes files
lasts, and is on a shelf of its own.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, fields
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any, Self

from vmnet.change import locks
from vmnet.change.locks import PATIENCE, locked, locked_file
from vmnet.change.whole import replace_whole, settle
from vmnet.errors import VmnetError
from vmnet.values import dataclass

KEPT = 10
"""How many transactions that came to their end are kept, for `undo`."""

_LIMIT = 1 << 26  # bytes of an image: that of a host with 100,000 routes is half of it
IMAGE = "image.json"
"""The file that makes a folder a transaction."""

_STATE, _LOCK = "state.json", "lock"
_NETNS_COOKIE = 71  # SO_NETNS_COOKIE
_SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
_ID = re.compile(r"[a-z]{6}")


class State(StrEnum):
    """How far a transaction is."""

    ARMED = "armed"
    """On its way: something of the change may be done."""
    APPLIED = "applied"
    """Done and verified; it is undone at its deadline unless somebody confirms it."""
    CONFIRMED = "confirmed"
    UNDONE = "undone"
    FAILED = "failed"
    """Putting it back failed, and something remains; `recover` tries again."""


OPEN = frozenset({State.ARMED, State.APPLIED, State.FAILED})
"""What is not at its end."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a transaction is, and why.

    Args:
        state: The state.
        reason: Why it is so, for people.
        deadline: Until when it is to be confirmed, in seconds of `now`.
    """

    state: State
    reason: str = ""
    deadline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a transaction is about; it never changes.

    Args:
        command: What was asked for.
        who: Who asked.
        pid: The process that carries it out.
        names: What it changes: names of links.
        steps: What it does, a sentence each.
        images: What each wing needs to put back what it touches, JSON-able, by the wing's name.
        boot: The boot of the host that it is of; empty where it outlasts that.
        network: The network namespace that it is of; empty where it is of files.
        began: When, in seconds of `now`; where it outlasts the boot, in those of the clock on the wall (`time.time`).
        clock: When, by the clock on the wall, ISO 8601.
    """

    command: str
    who: str
    pid: int
    names: tuple[str, ...]
    steps: tuple[str, ...]
    images: Mapping[str, Any]
    boot: str
    network: str
    began: float
    clock: str

    @classmethod
    def here(
        cls,
        command: str,
        names: tuple[str, ...],
        steps: tuple[str, ...],
        images: Mapping[str, Any],
        *,
        lasting: bool = False,
    ) -> Self:
        """That of a change which this process is about to make; of one of files, if it is lasting."""
        return cls(
            command=command,
            who=_user(),
            pid=os.getpid(),
            names=names,
            steps=steps,
            images=images,
            boot="" if lasting else _boot(),
            network="" if lasting else _network(),
            began=time.time() if lasting else now(),
            clock=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        )

    @classmethod
    def read(cls, document: Any) -> Self:
        """The entry of a document, which may hold anything. Raises `ValueError`."""
        kinds: dict[str, type | tuple[type, ...]] = {"pid": int, "images": dict, "began": (int, float)}
        kinds |= {"names": list, "steps": list}
        values = {f.name: _checked(document, f.name, kinds.get(f.name, str)) for f in fields(cls)}
        for name in ("names", "steps"):
            values[name] = tuple(_text(value) for value in values[name])
        return cls(**values)

    @property
    def is_lasting(self) -> bool:
        """Whether it is of files, which outlast a boot."""
        return not self.boot

    @property
    def is_past(self) -> bool:
        """Whether it is of another boot: what it describes went with that."""
        return not self.is_lasting and self.boot != _boot()

    @property
    def moment(self) -> float:
        """When it was begun, in seconds by which all can be put in order that are not past."""
        return self.began if self.is_lasting else time.time() - now() + self.began

    def shares(self, other: Self) -> bool:
        """Whether both change the same: files are written by the links' names, and are not the links."""
        return self.is_lasting is other.is_lasting and not set(self.names).isdisjoint(other.names)

    def is_after(self, other: Self) -> bool:
        """Whether it was begun after another of its kind."""
        return self.began > other.began

    @property
    def void(self) -> str:
        """Why its images say nothing about what is here; empty where they do."""
        if self.is_past:
            return "It is of another boot of this host, and went with that"
        if self.network and self.network != _network():
            return "It is of another network namespace"
        return ""


@dataclass(frozen=True, slots=True)
class Record:
    """A transaction on disk."""

    folder: Path
    entry: Entry

    @property
    def id(self) -> str:
        """What people call it."""
        return self.folder.name

    def standing(self) -> Standing:
        """How far it is now. Raises `VmnetError` (``transaction-unreadable``)."""
        with _reading(self.folder, f"Put it back: vmnet undo {self.id}; or, if it is to stay, remove {self.folder}"):
            document = _load(self.folder / _STATE)
            deadline = document.get("deadline") if isinstance(document, dict) else None
            if deadline is not None:
                deadline = float(_checked(document, "deadline", (int, float)))
            state = State(_checked(document, "state", str))
            return Standing(state, _checked(document, "reason", str), deadline)

    def set(self, standing: Standing) -> None:
        """Say how far it is; for whoever holds it `alone`. Raises `VmnetError` (``journal-unwritable``)."""
        with _writing(self.folder):
            _store(self.folder / _STATE, asdict(standing))

    @contextmanager
    def alone(self, patience: float = PATIENCE) -> Iterator[None]:
        """Keep others from changing its state meanwhile. Raises `VmnetError` (``locked``, ``lock-folder``)."""
        with locked_file(self.folder / _LOCK, f"transaction {self.id}", patience):
            yield

    @property
    def is_there(self) -> bool:
        """Whether it was not forgotten meanwhile."""
        return (self.folder / IMAGE).exists()

    def forget(self) -> None:
        """Remove it, which takes no room on the disk; what is killed in the middle leaves what was never begun."""
        _remove(self.folder)


@dataclass(frozen=True, slots=True)
class Broken:
    """A transaction that cannot be read."""

    folder: Path
    error: VmnetError

    @property
    def id(self) -> str:
        """What people call it."""
        return self.folder.name


def folder() -> Path:
    """Where the transactions of this boot are: root's are those of the host, others have their own."""
    return locks.folder().parent / "tx"


def lasting_folder() -> Path:
    """Where those are that outlast it."""
    if os.geteuid() == 0:
        return Path("/var/lib/vmnet/tx")
    return locks.own_folder("XDG_STATE_HOME", ".local/state") / "vmnet/tx"


def now() -> float:
    """Seconds since boot, those asleep included: no clock that somebody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read(place: Path) -> Record:
    """The transaction in a folder. Raises `VmnetError` (``transaction-unreadable``)."""
    with _reading(place):
        return Record(place, Entry.read(_load(place / IMAGE)))


def records() -> tuple[Record | Broken, ...]:
    """All transactions, the newest first; those that cannot be read come last."""
    found: list[Record] = []
    broken: list[Broken] = []
    for place in (*_folders(folder()), *_folders(lasting_folder())):
        if (place / IMAGE).exists():
            try:
                found.append(read(place))
            except VmnetError as error:
                if (place / IMAGE).exists():  # else it was swept away meanwhile
                    broken.append(Broken(place, error))
    found.sort(key=lambda record: (not record.entry.is_past, record.entry.moment), reverse=True)
    return (*found, *broken)


@contextmanager
def begun(entry: Entry) -> Iterator[Record]:
    """A new transaction, armed, on disk for good, and held `alone`.

    Raises:
        VmnetError: An open one is about the same links (``transaction-open``), or somebody is about to undo one
            (``locked``); it cannot be written, and is not there (``journal-unwritable``).
    """
    shelf = lasting_folder() if entry.is_lasting else folder()
    with ExitStack() as held:
        with locked(["transactions"]):
            _sweep(shelf)
            _refuse_rivals(entry)
            with _writing(shelf):
                record = Record(_new_folder(shelf), entry)
            try:
                held.enter_context(record.alone())
                record.set(Standing(State.ARMED))
                with _writing(record.folder):
                    _store(record.folder / IMAGE, asdict(entry))
                _refuse_while_undone(record)
            except BaseException:
                record.forget()
                raise
        yield record


def _refuse_rivals(entry: Entry) -> None:
    for rival in _rivals(entry):
        if (standing := rival.standing()).state in OPEN:
            raise VmnetError(
                "transaction-open",
                f"transaction {rival.id} over {', '.join(rival.entry.names)} is not at its end: {standing.state}",
                why=f"It was begun by: {rival.entry.command}. {standing.reason}".strip(),
                remedy=_remedy(rival.id, standing.state),
            )


def _refuse_while_undone(record: Record) -> None:
    """See that nobody is about to undo a rival: who takes its lock after this look sees the new record, and refuses."""
    for rival in _rivals(record.entry):
        if rival.id != record.id:
            with rival.alone(patience=0):
                pass


def _rivals(entry: Entry) -> Iterator[Record]:
    """The transactions of this host of the same kind that are about one of the same links."""
    for found in records():
        match found:
            case Record(entry=other) if not other.void and other.shares(entry):
                yield found


def _remedy(name: str, state: State) -> str:
    match state:
        case State.APPLIED:
            return f"Keep it: vmnet confirm {name}; or put it back: vmnet undo {name}"
    return "Put it back: vmnet recover"


def _sweep(shelf: Path) -> None:
    """Remove what was never begun, what another boot left, and the oldest of what is at its end."""
    ended: list[Record] = []
    for found in (found for found in records() if found.folder.parent == shelf):
        match found:
            case Record(entry=entry) if entry.is_past:
                found.forget()
            case Record(entry=entry) if not entry.void:
                with suppress(VmnetError):
                    ended += [found] if found.standing().state not in OPEN else []
    for old in ended[KEPT - 1 :]:
        old.forget()
    for place in _folders(shelf):
        if not (place / IMAGE).exists():  # nobody is about to write it: that is done under the lock we hold
            _remove(place)


def _remove(place: Path) -> None:
    with suppress(OSError):
        for path in sorted(place.iterdir(), key=lambda path: path.name != IMAGE):
            path.unlink()
        place.rmdir()


def _folders(shelf: Path) -> list[Path]:
    try:
        return [place for place in shelf.iterdir() if _ID.fullmatch(place.name)]
    except OSError:
        return []


def _new_folder(shelf: Path) -> Path:
    locks.private(shelf)
    while True:
        place = shelf / "".join(_SYLLABLES[byte % len(_SYLLABLES)] for byte in os.urandom(3))
        with suppress(FileExistsError):
            place.mkdir(mode=0o700)
            for one in (shelf, shelf.parent):
                settle(one)
            return place


def _store(path: Path, document: Any) -> None:
    replace_whole(path, json.dumps(document).encode())


def _load(path: Path) -> Any:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(file, "rb") as opened:  # noqa: PTH123 - Path.open knows no flags
        data = opened.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError(f"{path.name} is larger than {_LIMIT} bytes")
    return json.loads(data)


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VmnetError(
            "journal-unwritable",
            "the journal cannot be written",
            why=f"{error.filename or place}: {error.strerror}",
            remedy=f"See that {place} is a folder that you may write to, with room on its disk",
        ) from error


@contextmanager
def _reading(place: Path, remedy: str = "") -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise VmnetError(
            "transaction-unreadable",
            f"transaction {place.name} cannot be read",
            why=why,
            remedy=remedy or f"Look at {place} yourself; once it is of no use, remove that folder",
        ) from error


def _checked(document: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, float) and not isfinite(value)):
        raise ValueError(f"its {name} is {type(value).__name__}, which makes no sense")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a name in it is {type(value).__name__}, which makes no sense")
    return value


def _boot() -> str:
    return _said(lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip())


def _network() -> str:
    """The namespace, told from one that is gone: the kernel gives inodes anew, and cookies (Linux 5.14) never."""

    def told() -> str:
        found = Path("/proc/thread-self/ns/net").stat()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here:
            cookie = b""
            with suppress(OSError):  # an older kernel
                cookie = here.getsockopt(socket.SOL_SOCKET, _NETNS_COOKIE, 8)
        return f"{found.st_dev}:{found.st_ino}:{int.from_bytes(cookie, sys.byteorder)}"

    return _said(told)


def _user() -> str:
    """Who is behind this process, also behind sudo."""
    uid = os.getuid()
    import pwd

    with suppress(KeyError):
        return os.environ.get("SUDO_USER") or pwd.getpwuid(uid).pw_name
    return f"user {uid}"


def _said(look: Callable[[], str]) -> str:
    try:
        return look()
    except OSError as error:
        raise VmnetError("journal-unwritable", "what this host is cannot be told", why=str(error)) from error
