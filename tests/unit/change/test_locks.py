"""Two processes never change the same thing at once, and the waiter learns who is at it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmnet.change import locks
from vmnet.change.locks import locked
from vmnet.errors import VmnetError

HOLD = """
import sys
from pathlib import Path
from vmnet.change import locks
locks.folder = lambda: Path(sys.argv[1])
with locks.locked(sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the locks of the test are."""
    monkeypatch.setattr(locks, "folder", lambda: tmp_path / "vmnet" / "lock")
    return tmp_path / "vmnet" / "lock"


@contextmanager
def another_process_holds(place: Path, *names: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(place), *names]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_waits_is_told_once_for_whom(place, monkeypatch):
    monkeypatch.setattr(locks, "_SILENT_SECONDS", 0.1)
    told: list[str] = []
    with another_process_holds(place, "up0") as other:
        with pytest.raises(VmnetError), locked(["up0"], 0.05, told.append):
            pass
        assert told == []
        with pytest.raises(VmnetError), locked(["up0"], 0.4, told.append):
            pass
    (said,) = told
    assert said.startswith(f"Another vmnet is changing up0, and is waited for: process {other.pid}:")


def test_what_another_process_changes_is_refused_with_its_name(place):
    with (
        another_process_holds(place, "up0") as other,
        pytest.raises(VmnetError, match="up0") as told,
        locked(["guest", "up0"], patience=0.1),
    ):
        pass
    assert told.value.code == "locked"
    assert f"process {other.pid}:" in told.value.why
    assert "up0" in told.value.why


def test_what_another_process_does_elsewhere_does_not_matter(place):
    with another_process_holds(place, "up0"), locked(["up1"], patience=0):
        pass


def test_a_lock_is_free_again_after_its_block_even_one_that_failed():
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), locked(["up0"], patience=0):
            raise ZeroDivisionError


def test_those_taken_before_the_one_that_is_held_are_free_again(place):
    with another_process_holds(place, "b"), pytest.raises(VmnetError), locked(["a", "b"], patience=0):
        pass
    with locked(["a"], patience=0):
        pass


def test_a_lock_whose_holder_is_killed_is_had_at_once(place):
    with another_process_holds(place, "up0") as other:
        threading.Timer(0.1, other.send_signal, [signal.SIGKILL]).start()
        with locked(["up0"], patience=30):
            assert other.wait() == -signal.SIGKILL


def test_names_given_twice_are_taken_once():
    with locked(["up0", "up0"], patience=0):
        pass


def test_two_commands_that_name_the_same_things_in_another_order_both_get_through(place):
    script = (
        HOLD.replace('print("held", flush=True)', "pass")
        .replace("sys.stdin.read()", "pass")
        .replace("with ", "for _ in range(20):\n  with ")
    )
    orders = ["a", "b"], ["b", "a"]
    both = [subprocess.Popen([sys.executable, "-c", script, str(place), *order]) for order in orders]
    assert [process.wait(60) for process in both] == [0, 0]


@given(st.lists(st.text(), max_size=4))
def test_any_text_is_a_name(names):
    with locked(names, patience=0):
        pass


def test_nobody_else_sees_who_changes_what(place):
    with locked(["up0"]):
        (file,) = place.iterdir()
    assert (place.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_place_that_cannot_be_written_is_told(place):
    place.parent.mkdir()
    place.write_text("")
    with pytest.raises(VmnetError) as told, locked(["up0"]):
        pass
    assert told.value.code == "lock-folder"
    assert str(place) in told.value.remedy


def test_others_than_root_have_locks_of_their_own(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert locks.folder() == tmp_path / "vmnet" / "lock"


def test_somebody_without_any_home_is_told_what_to_set(monkeypatch):
    def nowhere(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.undo()
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(VmnetError) as told:
        locks.folder()
    assert (told.value.code, "HOME" in told.value.remedy) == ("lock-folder", True)


def test_without_a_umask_the_folders_are_ours_alone_all_the_same(place):
    before = os.umask(0)
    try:
        with locked(["up0"]):
            pass
    finally:
        os.umask(before)
    assert [folder.stat().st_mode & 0o777 for folder in (place, place.parent)] == [0o700, 0o700]


def test_a_folder_that_others_may_write_to_is_not_trusted(place):
    place.parent.mkdir()
    place.parent.chmod(0o777)
    with pytest.raises(VmnetError) as told, locked(["up0"]):
        pass
    assert (told.value.code, "others may write there" in told.value.why) == ("lock-folder", True)
