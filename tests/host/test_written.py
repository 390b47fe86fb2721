"""Files of configuration are written, and vmnet killed before any of its acts: all are as before, or as wished."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.host.boot import private_files
from tests.host.killing import ACTS, kill_before
from vmnet.change import journal, locks
from vmnet.change.executor import execute
from vmnet.change.files import FileWing, WriteFile
from vmnet.change.journal import Entry, Standing, State
from vmnet.change.plan import Plan
from vmnet.change.transaction import Transaction
from vmnet.errors import VmnetError
from vmnet.lab.namespaces import mount
from vmnet.operations import transactions

READ_ONLY = 1  # MS_RDONLY


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of configuration; what is journalled is beside it, and is there at the next boot."""
    monkeypatch.setattr(locks, "folder", lambda: tmp_path / "run" / "lock")
    monkeypatch.setattr(journal, "lasting_folder", lambda: tmp_path / "lib" / "tx")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "old").write_text("it was so\n")
    (tmp_path / "etc" / "old").chmod(0o600)
    yield tmp_path / "etc"


def writing(place: Path) -> Plan:
    """One file that is there, one that is not, and one whose folder is not."""
    return Plan(
        (
            WriteFile(place / "old", "now it is so\n", 0o644),
            WriteFile(place / "new", "[a]\nb=c\n", 0o644),
            WriteFile(place / "d" / "secret", "x\n", 0o600),
        )
    )


def write(place: Path) -> str:
    transaction = Transaction(("br0",), ())
    execute(writing(place), {"files": FileWing()}, lambda step: None, transaction)
    return transaction.id


def shown(place: Path) -> dict[str, tuple[str, int] | None]:
    """Every file and folder, with what it says and its permissions."""
    return {
        str(path.relative_to(place)): (path.read_text(), path.stat().st_mode & 0o777) if path.is_file() else None
        for path in sorted(place.rglob("*"))
    }


BEFORE = {"old": ("it was so\n", 0o600)}
AFTER = {"d": None, "d/secret": ("x\n", 0o600), "new": ("[a]\nb=c\n", 0o644), "old": ("now it is so\n", 0o644)}


def test_what_was_written_is_listed_and_taken_back_at_any_later_boot(place, monkeypatch):
    name = write(place)
    assert shown(place) == AFTER
    monkeypatch.setattr(journal, "_boot", lambda: "another boot")
    (seen,) = transactions.status()
    assert (seen.id, seen.state, seen.names) == (name, "confirmed", ("br0",))
    assert transactions.recover() == ()
    assert shown(place) == AFTER
    assert transactions.undo(name).state == "undone"
    assert shown(place) == BEFORE


def the_state(name: str) -> str:
    return next(seen.state for seen in transactions.status() if seen.id == name)


def killed_before(number: int, act) -> bool:
    """Do it in a process that is killed before its nth act; whether it came so far."""
    child = os.fork()
    if child == 0:
        try:
            kill_before(number)
            act()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def test_it_is_killed_before_each_act_and_recovered_at_the_next_boot(place, monkeypatch):
    assert (os, "replace") in ACTS
    assert (os, "fsync") in ACTS
    number, ends, halves = 1, [], set()
    while killed_before(number, lambda: write(place)):
        halves.add(str(shown(place)))
        with monkeypatch.context() as boot:
            boot.setattr(journal, "_boot", lambda: "another boot")
            transactions.recover()
        ends.append(shown(place))
        assert ends[-1] in (BEFORE, AFTER), number
        assert not [r for r in journal.records() if r.standing().state in journal.OPEN]
        for seen in transactions.status():
            if seen.state == State.CONFIRMED:
                transactions.undo(seen.id)
        assert shown(place) == BEFORE
        shutil.rmtree(journal.lasting_folder(), ignore_errors=True)
        number += 1
    assert number > 40
    assert ends.count(BEFORE) > 30
    assert len(halves - {str(BEFORE), str(AFTER)}) > 5  # what would stay without recovery


def test_recovering_is_killed_before_each_act_and_said_again(place):
    number, middle = 1, 30
    while True:
        middle = left_in_the_middle(place, middle)
        more = killed_before(number, transactions.recover)
        transactions.recover()
        assert shown(place) == BEFORE, number
        shutil.rmtree(journal.lasting_folder())
        if not more:
            break
        number += 1
    assert number > 10


def left_in_the_middle(place: Path, number: int) -> int:
    """Kill a vmnet when it has written one file, and another not; before which act that is, from this one on."""
    while killed_before(number, lambda: write(place)):
        if "new" in shown(place):
            return number
        transactions.recover()
        shutil.rmtree(journal.lasting_folder())
        number += 1
    raise AssertionError("it was never in the middle")


def test_an_edit_of_somebody_elses_is_not_taken_away(place):
    name = write(place)
    (place / "new").write_text("mine\n")
    edited = shown(place)
    with pytest.raises(VmnetError) as told:
        transactions.undo(name)
    assert (told.value.code, told.value.exit_code) == ("file-edited", 1)
    assert told.value.what == f"{place}/new was edited since vmnet wrote it"
    assert shown(place) == edited
    assert the_state(name) == "confirmed"
    (place / "new").unlink()  # as it says: moved away
    assert transactions.undo(name).state == "undone"
    assert shown(place) == BEFORE


def test_a_full_disk_leaves_all_as_it_was(place, monkeypatch):
    replace = os.replace

    def full(source, target):
        if str(target).endswith("new"):
            raise OSError(28, "No space left on device", str(source))
        return replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(VmnetError) as told:
        write(place)
    assert told.value.code == "file-unwritable"
    assert "No space left" in told.value.why
    assert shown(place) == BEFORE


def test_a_disk_for_reading_only_is_told_as_that_and_leaves_nothing_open(place):
    with private_files(), pytest.raises(VmnetError) as told:
        mount("tmpfs", place, "tmpfs", flags=READ_ONLY)
        write(place)
    assert (told.value.code, told.value.exit_code) == ("file-unwritable", 1)
    assert [seen.state for seen in transactions.status()] == ["undone"]


def test_files_and_links_of_one_name_are_changed_and_undone_apart(place):
    written = write(place)
    with journal.begun(Entry.here("vmnet bridge dismantle br0", ("br0",), (), {})) as links:
        assert the_state(links.id) == "armed"  # the files' is at its end, and the links' own is no rival of theirs
        assert transactions.undo(written).state == "undone"
        write(place)


def test_the_oldest_files_are_forgotten_first_whatever_boot_they_are_of(place):
    for number in range(journal.KEPT + 2):
        old = Entry.here(f"old {number}", ("br0",), (), {"files": []}, lasting=True)
        with journal.begun(replace(old, began=old.began - 1000 + number)) as record:
            record.set(Standing(State.CONFIRMED))
    newest = write(place)
    seen = transactions.status()
    assert [one.command for one in seen[1:]] == [f"old {number}" for number in range(journal.KEPT + 1, 2, -1)]
    assert seen[0].id == newest
