"""Files that are written whole, as a wing: what they were goes into the image, and comes back from there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

from vmnet.change.plan import Step
from vmnet.change.whole import beside, remove_whole, replace_whole, settle
from vmnet.errors import VmnetError
from vmnet.values import dataclass

_LIMIT = 1 << 20  # bytes: configuration is not as long
_FOLDER = 0o755


@dataclass(frozen=True, slots=True)
class WriteFile(Step):
    """Write a file whole.

    Args:
        path: Where.
        text: What it is to say.
        mode: Its permissions.
    """

    wing: ClassVar[str] = "files"
    path: Path
    text: str
    mode: int

    def summary(self) -> str:
        """What the step does."""
        return f"Write {self.path}"

    def document(self) -> dict[str, Any]:
        """The step as a JSON-able mapping."""
        return {**Step.document(self), "path": str(self.path)}


@dataclass(frozen=True, slots=True)
class RemoveFile(Step):
    """Remove a file.

    Args:
        path: Where.
    """

    wing: ClassVar[str] = "files"
    path: Path

    def summary(self) -> str:
        """What the step does."""
        return f"Remove {self.path}"

    def document(self) -> dict[str, Any]:
        """The step as a JSON-able mapping."""
        return {**Step.document(self), "path": str(self.path)}


@dataclass(frozen=True, slots=True)
class Content:
    """What a file is: its bytes and permissions."""

    data: bytes
    mode: int

    def document(self) -> dict[str, Any]:
        """Itself as a JSON-able mapping; `of_document` reads it."""
        return {"text": os.fsdecode(self.data), "mode": self.mode}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Content:
        """What `document` said. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        return cls(os.fsencode(document["text"]), int(document["mode"]) & 0o7777)


@dataclass(frozen=True, slots=True)
class Before:
    """A file before a change.

    Args:
        path: Where.
        before: What it was; None where it was not there.
        after: What the change makes of it; None where it removes it.
        folder: Whether its folder was there.
    """

    path: Path
    before: Content | None
    after: Content | None
    folder: bool


class FileWing:
    """Writes and removes files, and puts back what they were."""

    def image(self, steps: Sequence[Step]) -> tuple[Before, ...]:
        """The files of the steps, as they are. Raises `VmnetError` (``file-unreadable``)."""
        return tuple(Before(path, read_file(path), after, path.parent.is_dir()) for path, after in map(_wish, steps))

    def apply(self, step: Step) -> None:
        """Write or remove a file, and read it back. Raises `VmnetError` (``file-unwritable``)."""
        path, after = _wish(step)
        with _writing(path):
            if after is None:
                remove_whole(path)
            else:
                path.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
                settle(path.parent.parent)
                replace_whole(path, after.data, after.mode)
        if read_file(path) != after:
            raise VmnetError("file-unwritable", f"{path} does not say what was written", why="Somebody wrote too")

    def restore(self, image: Any) -> list[str]:
        """Have the files as they were; all of them, or none.

        Raises:
            VmnetError: Somebody has edited one since, and nothing was touched (``file-edited``); ``file-unwritable``.
        """
        self.refuse_restore(image)
        files = cast(tuple[Before, ...], image)
        return [done for file in reversed(files) if (done := _restored(file))]

    def refuse_restore(self, image: Any) -> None:
        """Refuse while somebody's edits would go. Raises `VmnetError` (``file-edited``, ``file-unreadable``)."""
        for file in cast(tuple[Before, ...], image):
            if read_file(file.path) not in (None, file.before, file.after):
                raise VmnetError(
                    "file-edited",
                    f"{file.path} was edited since vmnet wrote it",
                    why="To put back what it was would take those edits away",
                    remedy=f"Keep what you need of it, then move it away: mv {file.path} /root/",
                )

    def differences(self, image: Any) -> list[str]:
        """Which files are not as they were, a sentence each. Raises `VmnetError` (``file-unreadable``)."""
        files = cast(tuple[Before, ...], image)
        return [f"{file.path} is not as it was" for file in files if read_file(file.path) != file.before]

    def to_json(self, image: Any) -> Any:
        """The files as a JSON-able document."""
        return [
            {
                "path": str(f.path),
                "before": f.before and f.before.document(),
                "after": f.after and f.after.document(),
                "folder": f.folder,
            }
            for f in cast(tuple[Before, ...], image)
        ]

    def from_json(self, document: Any) -> tuple[Before, ...]:
        """The files of a document. Raises `KeyError`, `TypeError` or `ValueError` for one that makes no sense."""
        return tuple(
            Before(
                _absolute(f["path"]),
                Content.of_document(f["before"]) if f["before"] else None,
                Content.of_document(f["after"]) if f["after"] else None,
                bool(f["folder"]),
            )
            for f in document
        )


def read_file(path: Path) -> Content | None:
    """What a file is; None where there is none. Raises `VmnetError` (``file-unreadable``)."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or "") from error
    with open(number, "rb") as file:  # noqa: PTH123 - Path.open knows no flags
        mode = os.fstat(number).st_mode
        if not stat.S_ISREG(mode):
            raise _unreadable(path, "It is no regular file")
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise _unreadable(path, f"It is larger than {_LIMIT} bytes")
    return Content(data, stat.S_IMODE(mode))


def _restored(file: Before) -> str:
    """Have a file as it was; what was done for it, if anything."""
    with _writing(file.path):
        if read_file(file.path) == file.before:
            if os.path.lexists(beside(file.path)):  # to remove what is not there fails, too, on a disk for reading only
                beside(file.path).unlink(missing_ok=True)
            done = ""
        elif file.before is None:
            remove_whole(file.path)
            done = f"{file.path} is removed"
        else:
            file.path.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
            replace_whole(file.path, file.before.data, file.before.mode)
            done = f"{file.path} is as it was"
        if not file.folder and file.path.parent.is_dir() and not any(file.path.parent.iterdir()):
            file.path.parent.rmdir()
    return done


def _wish(step: Step) -> tuple[Path, Content | None]:
    """Which file a step is about, and what that is to be."""
    match step:
        case WriteFile(path, text, mode):
            return path, Content(text.encode(), mode)
        case RemoveFile(path):
            return path, None
    raise TypeError(f"no step of files: {step!r}")


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"no place of a file: {text!r}")
    return path


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VmnetError(
            "file-unwritable",
            f"{path} cannot be written",
            why=f"{error.filename or path}: {error.strerror}",
            remedy="Run it as root, on a disk that has room and may be written to",
        ) from error


def _unreadable(path: Path, why: str) -> VmnetError:
    return VmnetError(
        "file-unreadable", f"{path} cannot be read", why=why, remedy="Run it as root, or look at it yourself"
    )
