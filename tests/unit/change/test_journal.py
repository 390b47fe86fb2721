"""Transactions on disk: written whole or not at all, read whatever is there, and true of this boot alone."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmnet.change import journal, locks
from vmnet.change.journal import KEPT, Broken, Entry, Record, Standing, State, begun, records
from vmnet.errors import VmnetError
from vmnet.operations import transactions

IMAGES = {"host": {"links": ["up0", "\udcff"], "routes": ["00ff"]}}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the transactions of the test are."""
    monkeypatch.setattr(locks, "folder", lambda: tmp_path / "vmnet" / "lock")
    return tmp_path / "vmnet" / "tx"


def entry(*names: str, images=IMAGES) -> Entry:
    return Entry.here("vmnet bridge prepare br0", names or ("up0",), ("Create bridge br0",), images)


def put(state: State, *names: str) -> Record:
    """A transaction that came so far."""
    with begun(entry(*names)) as record:
        record.set(Standing(state, "so it is"))
    return record


def broken() -> list[str]:
    return [found.id for found in records() if isinstance(found, Broken)]


def test_a_transaction_is_read_as_it_was_written():
    with begun(entry()) as record:
        (found,) = records()
        assert found == record
        assert found.entry.images == IMAGES
        assert found.standing() == Standing(State.ARMED)
    for standing in (Standing(State.APPLIED, deadline=12.5), Standing(State.UNDONE, "for a reason")):
        with record.alone():
            record.set(standing)
        assert journal.read(record.folder).standing() == standing


def test_only_its_owner_reads_it(place):
    record = put(State.CONFIRMED)
    assert place.stat().st_mode & 0o777 == 0o700
    assert record.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in record.folder.iterdir()} == {0o600}


def test_its_name_can_be_said_and_is_its_own():
    names = {put(State.CONFIRMED, f"up{n}").id for n in range(KEPT)}
    assert len(names) == KEPT
    assert all(len(name) == 6 and name.isascii() and name.islower() for name in names)


def test_whoever_carries_it_out_holds_it_alone():
    with begun(entry()) as record, pytest.raises(VmnetError) as told, record.alone(patience=0):
        pass
    assert told.value.code == "locked"
    assert f"process {os.getpid()}" in told.value.why
    with record.alone(patience=0):
        pass


GARBAGE = {
    "empty": b"",
    "binary": bytes(range(256)),
    "no JSON": b"{",
    "a number": b"1",
    "a list": b"[]",
    "nothing in it": b"{}",
    "deep": b"[" * 100_000,
    "too large a number": b'{"state": "applied", "reason": "", "deadline": 1' + b"0" * 400 + b"}",
    "no number": b'{"state": "applied", "reason": "", "deadline": NaN}',
    "for ever": b'{"state": "applied", "reason": "", "deadline": 1e999}',
    "another state": b'{"state": "asleep", "reason": ""}',
    "another kind": b'{"state": 7, "reason": [], "deadline": "soon"}',
}


@pytest.mark.parametrize("file", ["image.json", "state.json"])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_told_and_everything_else_goes_on(file, garbage):
    good, bad = put(State.CONFIRMED, "up0"), put(State.CONFIRMED, "up1")
    (bad.folder / file).write_bytes(GARBAGE[garbage])
    seen = {one.id: one.state for one in transactions.status()}
    assert seen == {good.id: "confirmed", bad.id: "unreadable"}
    for act in (transactions.confirm, transactions.undo):
        with pytest.raises(VmnetError) as told:
            act(bad.id)
        assert told.value.code == "transaction-unreadable"
        assert str(bad.folder) in told.value.remedy
    assert transactions.confirm(good.id).state == "confirmed"
    put(State.CONFIRMED, "up2")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(document=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
       lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["state", "reason", "deadline", "names",
       "steps", "images", "pid", "boot", "host"]) | st.text(), inner)))  # fmt: skip
def test_any_document_is_read_or_told(tmp_path, document):
    for file in ("image.json", "state.json"):
        (tmp_path / file).write_text(json.dumps(document))
    for read in (lambda: journal.read(tmp_path), lambda: Record(tmp_path, entry()).standing()):
        try:
            read()
        except VmnetError as error:
            assert error.code == "transaction-unreadable"


@pytest.mark.parametrize("file", ["image.json", "state.json"])
@pytest.mark.parametrize("made", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_file_is_not_followed_or_waited_for(file, made):
    record = put(State.CONFIRMED)
    (record.folder / file).unlink()
    made(record.folder / file)
    (seen,) = transactions.status()
    assert seen.state == "unreadable"


def test_what_was_never_begun_is_none_and_goes(place):
    (place / "dididi").mkdir(parents=True)
    (place / "dididi" / "state.json").write_text("{}")
    (place / "notes").mkdir()
    assert transactions.status() == ()
    put(State.CONFIRMED)
    assert not (place / "dididi").exists()
    assert (place / "notes").exists()


@contextmanager
def full_disk(room: int):
    """A disk on which a file has no more room than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 20, 70, 200])
def test_on_a_full_disk_nothing_is_begun(room):
    with full_disk(room), pytest.raises(VmnetError) as told, begun(entry()):
        pytest.fail("it began")
    assert told.value.code == "journal-unwritable"
    assert transactions.status() == ()
    put(State.CONFIRMED)


def test_a_state_that_cannot_be_written_leaves_the_one_before():
    with begun(entry()) as record:
        with full_disk(10), pytest.raises(VmnetError) as told:
            record.set(Standing(State.APPLIED))
        assert told.value.code == "journal-unwritable"
        assert record.standing() == Standing(State.ARMED)


def test_a_place_that_is_no_folder_is_told(place):
    place.parent.mkdir()
    place.write_text("")
    with pytest.raises(VmnetError) as told, begun(entry()):
        pass
    assert told.value.code == "journal-unwritable"
    assert str(place) in told.value.remedy
    assert transactions.status() == ()


def test_the_last_ones_are_kept_and_open_ones_always():
    open_ones = [put(state, f"open{n}").id for n, state in enumerate((State.ARMED, State.APPLIED, State.FAILED))]
    ended = [put(State.UNDONE).id for _ in range(2 * KEPT)]
    left = [found.id for found in records()]
    assert left == [*reversed(ended[-KEPT:]), *reversed(open_ones)]


@pytest.mark.parametrize("state", [State.ARMED, State.APPLIED, State.FAILED])
def test_what_is_open_keeps_others_from_the_same_links_and_from_no_others(state):
    record = put(state, "up0", "br0")
    with pytest.raises(VmnetError) as told, begun(entry("br0")):
        pass
    assert told.value.code == "transaction-open"
    assert record.id in told.value.what
    put(State.CONFIRMED, "up1")


def test_what_somebody_is_about_to_undo_keeps_others_from_its_links():
    record = put(State.CONFIRMED)
    with record.alone(), pytest.raises(VmnetError) as told, begun(entry()):
        pytest.fail("it began")
    assert (told.value.code, record.id in told.value.what) == ("locked", True)
    assert [found.id for found in records()] == [record.id]
    put(State.CONFIRMED)


def elsewhere(monkeypatch, what: str) -> None:
    monkeypatch.setattr(journal, what, lambda: "another")


def test_another_boot_makes_it_void_and_it_goes(monkeypatch):
    record = put(State.ARMED)
    elsewhere(monkeypatch, "_boot")
    (seen,) = transactions.status()
    assert (seen.state, seen.id) == ("void", record.id)
    assert "another boot" in seen.reason
    for act in (transactions.confirm, transactions.undo):
        with pytest.raises(VmnetError) as told:
            act(record.id)
        assert told.value.code == "transaction-void"
    assert transactions.recover() == ()
    assert [found.id for found in records()] == [record.id]
    new = put(State.CONFIRMED)
    assert [found.id for found in records()] == [new.id]


def test_another_network_namespace_makes_it_void_and_it_stays(monkeypatch):
    record = put(State.ARMED)
    with monkeypatch.context() as there:
        elsewhere(there, "_network")
        assert transactions.recover() == ()
        put(State.CONFIRMED)
        with pytest.raises(VmnetError, match="says nothing") as told:
            transactions.undo(record.id)
        assert "namespace" in told.value.why
    assert record.id in [found.id for found in records()]


def test_a_namespace_is_another_than_one_that_is_gone_and_had_its_inode(monkeypatch):
    record = put(State.ARMED)
    monkeypatch.setattr(socket.socket, "getsockopt", lambda *_: bytes(8))
    assert "namespace" in record.entry.void


def test_what_is_swept_away_while_it_is_read_is_none(monkeypatch):
    record = put(State.CONFIRMED)

    def read(place):
        record.forget()
        return journal_read(place)

    journal_read = journal.read
    monkeypatch.setattr(journal, "read", read)
    assert records() == ()


@pytest.mark.parametrize("step", [-1e9, 1e9])
def test_a_step_of_the_clock_on_the_wall_changes_no_deadline(monkeypatch, step):
    with begun(entry()) as record:
        record.set(Standing(State.APPLIED, deadline=journal.now() + 60))
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real + step)
    monkeypatch.setattr(time, "monotonic", lambda: step)
    (seen,) = transactions.status()
    assert 55 < seen.seconds_left <= 60
    assert transactions.recover() == ()
    assert transactions.confirm(record.id).state == "confirmed"


def test_what_is_overdue_cannot_be_confirmed():
    with begun(entry()) as record:
        record.set(Standing(State.APPLIED, deadline=journal.now() - 1))
    with pytest.raises(VmnetError, match="cannot be confirmed") as told:
        transactions.confirm(record.id)
    assert told.value.remedy == "Put it back: vmnet recover"


def test_what_died_on_the_way_cannot_be_confirmed():
    with pytest.raises(VmnetError) as told:
        transactions.confirm(put(State.ARMED).id)
    assert (told.value.code, told.value.remedy) == ("transaction-armed", "Put it back: vmnet recover")


def test_an_unknown_name_is_told_with_the_nearest():
    record = put(State.CONFIRMED)
    near = record.id[:-1] + ("a" if record.id[-1] != "a" else "o")
    with pytest.raises(VmnetError) as told:
        transactions.undo(near)
    assert told.value.remedy == f"Did you mean {record.id}?"
    for name in ("", "../../etc", "\x1b[2J", "x" * 5000):
        with pytest.raises(VmnetError) as told:
            transactions.confirm(name)
        assert (told.value.code, told.value.remedy) == ("transaction-unknown", f"There are: {record.id}")


def test_images_of_another_version_are_told_and_nothing_is_touched():
    record = put(State.ARMED)
    for images in ({"moon": {}}, {"host": None}, {"host": {"mark": 1}}):
        (record.folder / "image.json").write_text(json.dumps(asdict(replace(record.entry, images=images))))
        with pytest.raises(VmnetError) as told:
            transactions.undo(record.id)
        assert told.value.code == "transaction-unreadable"
    assert record.standing().state is State.ARMED


def test_a_document_has_stable_keys():
    put(State.CONFIRMED)
    (seen,) = transactions.status()
    assert list(json.loads(json.dumps(seen.document()))) == [
        *("id", "state", "reason", "seconds_left", "command", "who", "began", "names", "steps", "done"),
        "differences",
    ]


def test_two_that_begin_at_once_on_one_link_do_not_both():
    ended: list[str] = []

    def begin():
        try:
            with begun(entry()):
                ended.append("began")
                barrier.wait(10)
        except VmnetError as error:
            ended.append(error.code)
            barrier.wait(10)

    barrier = threading.Barrier(2)
    both = [threading.Thread(target=begin) for _ in "ab"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(ended) == ["began", "transaction-open"]
