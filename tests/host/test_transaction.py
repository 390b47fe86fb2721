"""Whatever becomes of the process that makes a change, the host is as before or as wished, and nobody is left."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from tests.host import words
from tests.host.processes import Child, own_processes, soon
from vmnet.change import journal, locks
from vmnet.errors import RolledBack, VmnetError
from vmnet.operations import transactions

BEFORE, AFTER = "old", "oldabc"


@pytest.fixture(autouse=True)
def link(uplink, ip, tmp_path, monkeypatch):
    """The link that the change is about, and a place of its own for the journal."""
    ip(f"link set {uplink} alias {BEFORE}")
    monkeypatch.setattr(locks, "folder", lambda: tmp_path / "vmnet" / "lock")


@pytest.fixture
def processes():
    with own_processes() as found:
        yield found


def changing(confirm=None, *, at="", terminal=False):
    """A process that makes the change and pauses before a word of it, or as soon as it waits for a confirmation."""

    def body(pause):
        def progress(step):
            if step.word == at:
                pause("there")

        def waiting(name, left):
            if at == "waiting" and left > confirm - 1:
                pause(name)

        try:
            words.change(confirm, progress, waiting)
        except VmnetError as error:
            return int(error.exit_code)
        return 0

    child = Child(body, terminal=terminal)
    if at:
        assert child.word()
    return child


def the_state():
    (seen,) = transactions.status()
    return seen.state


def is_back_within(seconds):
    return soon(lambda: words.alias() == BEFORE, seconds)


ENDS = {
    "killed": (lambda child: child.kill(signal.SIGKILL), -signal.SIGKILL),
    "terminated": (lambda child: child.kill(signal.SIGTERM), 3),
    "interrupted": (lambda child: child.kill(signal.SIGINT), 3),
    "hung up": (lambda child: child.kill(signal.SIGHUP), 3),
    "terminal closed": (lambda child: child.hang_up(), 3),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_change_whose_maker_ends_in_the_middle_is_back_within_a_second(processes, how):
    end, code = ENDS[how]
    child = changing(at="c", terminal=how == "terminal closed")
    assert words.alias() == "oldab"
    end(child)
    child.go_on()
    assert is_back_within(1)
    assert child.status() == code
    assert processes.nobody_is_left()
    assert the_state() == "undone"


@pytest.mark.parametrize("how", [how for how in ENDS if how != "killed"])
def test_who_goes_while_a_confirmation_is_awaited_did_not_confirm(processes, how):
    end, code = ENDS[how]
    child = changing(60, at="waiting", terminal=how == "terminal closed")
    assert words.alias() == AFTER
    end(child)
    child.go_on()
    assert is_back_within(1)
    assert child.status() == code
    assert processes.nobody_is_left()
    assert the_state() == "undone"


def test_what_nobody_confirms_is_back_within_a_second_of_its_deadline(processes):
    began = time.monotonic()
    child = changing(0.5)
    assert soon(lambda: words.alias() == AFTER)
    assert is_back_within(1.5 + 2)
    assert child.status() == 3
    assert time.monotonic() - began > 0.5
    assert processes.nobody_is_left()
    assert the_state() == "undone"


@pytest.mark.parametrize("seconds", [0.3, 1.2])
def test_the_watchdog_alone_keeps_the_deadline_too(processes, seconds):
    child = changing(seconds, at="waiting")
    child.kill(signal.SIGKILL)
    child.status()
    deadline = journal.records()[0].standing().deadline
    assert is_back_within(deadline - journal.now() + 1)
    assert journal.now() >= deadline
    assert processes.nobody_is_left()
    assert the_state() == "undone"


@pytest.mark.parametrize("maker", ["lives", "is dead"])
def test_a_confirmation_from_another_process_keeps_the_change(processes, maker):
    child = changing(30, at="waiting")
    if maker == "is dead":
        child.kill(signal.SIGKILL)
        child.status()
    (seen,) = transactions.status()
    assert (seen.state, seen.is_open, 25 < seen.seconds_left <= 30) == ("applied", True, True)
    confirmed = Child(lambda pause: len(transactions.confirm(seen.id).done))
    assert confirmed.status() == 0
    if maker == "lives":
        assert child.status() == 0
    assert processes.nobody_is_left()
    assert words.alias() == AFTER
    assert the_state() == "confirmed"
    assert transactions.confirm(seen.id).state == "confirmed"


def test_nobody_is_asked_and_it_stands(processes):
    assert changing().status() == 0
    assert processes.nobody_is_left()
    assert (words.alias(), the_state()) == (AFTER, "confirmed")


def test_a_hangup_that_was_to_be_ignored_is_ignored(processes):
    def nohup(pause):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        words.change(None, lambda step: step.word == "c" and pause("there"))
        return 0

    child = Child(nohup)
    assert child.word()
    child.kill(signal.SIGHUP)
    assert child.status() == 0
    assert words.alias() == AFTER


def dead_with_its_watchdog(processes):
    """A change that died in the middle, and its watchdog with it."""
    child = changing(at="c")
    os.kill(processes.watchdog(), signal.SIGKILL)
    child.kill(signal.SIGKILL)
    assert child.status() == -signal.SIGKILL
    assert processes.nobody_is_left()
    assert words.alias() == "oldab"


def test_recover_puts_back_what_not_even_a_watchdog_is_left_of(processes):
    dead_with_its_watchdog(processes)
    (seen,) = transactions.recover(words.wing_of)
    assert words.alias() == BEFORE
    assert (seen.state, seen.done) == ("undone", ("old written again",))
    assert transactions.recover(words.wing_of) == ()


def test_two_recovers_at_once_put_it_back_once(processes):
    dead_with_its_watchdog(processes)
    both = [Child(lambda pause: sum(len(seen.done) for seen in transactions.recover(words.wing_of))) for _ in "ab"]
    assert sorted(child.status() for child in both) == [0, 1]
    assert words.alias() == BEFORE


def left_by_a_maker_that_is_killed(why):
    """A change that its watchdog cannot put back, for that reason."""
    child = changing(at="c")
    words.write(why, words.PEER)
    child.kill(signal.SIGKILL)
    assert child.status() == -signal.SIGKILL
    assert soon(lambda: the_state() == "failed" and "failed" in transactions.status()[0].reason)


def test_the_watchdog_goes_on_trying_to_put_back_what_could_not_be(processes):
    left_by_a_maker_that_is_killed("no-buffers")
    assert processes.watchdog()
    words.write("", words.PEER)
    assert is_back_within(10)
    assert processes.nobody_is_left()
    (seen,) = transactions.status()
    assert (seen.state, seen.reason) == ("undone", "vmnet died in the middle of it")


def test_the_watchdog_leaves_to_people_what_only_they_can_help(processes):
    left_by_a_maker_that_is_killed("in-use")
    assert processes.nobody_is_left()
    assert the_state() == "failed"


def test_the_watchdog_rests_while_somebody_else_is_at_it(processes):
    child = changing(0.2, at="waiting")
    child.kill(signal.SIGKILL)
    child.status()
    pid = processes.watchdog()

    def used():
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    with journal.records()[0].alone():
        assert soon(lambda: journal.now() > journal.records()[0].standing().deadline)
        before = used()
        assert not soon(lambda: words.alias() == BEFORE, 0.5)
        assert used() - before < 15  # hundredths of a second
    assert is_back_within(2)


@pytest.mark.parametrize("who", ["somebody", "the watchdog", "its maker"])
def test_what_was_not_confirmed_is_told_as_that_whoever_undid_it(processes, who):
    def body(pause):
        try:
            words.change(1.0, lambda _: None, lambda name, _: pause(name))
        except VmnetError as error:
            pause(error.code)
        return 0

    child = Child(body)
    name = child.word()
    if who == "somebody":
        transactions.undo(name, words.wing_of)
    if who == "the watchdog":
        assert is_back_within(2.5)
    child.go_on()
    assert child.word() == "not-confirmed"


def test_an_undo_that_died_is_ended_by_the_maker_that_waits(processes):
    class Dying(words.Words):
        def restore(self, image):
            os.kill(os.getpid(), signal.SIGKILL)

    child = changing(30, at="waiting")
    name = journal.records()[0].id
    other = Child(lambda pause: bool(transactions.undo(name, lambda _: Dying())))
    assert other.status() == -signal.SIGKILL
    assert child.status() == 3
    assert words.alias() == BEFORE
    assert processes.nobody_is_left()
    (seen,) = transactions.status()
    assert (seen.state, seen.reason) == ("undone", "somebody undid it")


def test_an_undo_on_a_full_disk_is_one_and_its_maker_knows(processes):
    child = changing(30, at="waiting")
    (record,) = journal.records()

    def undo(pause):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return int(transactions.undo(record.id, words.wing_of).state == "undone")

    assert Child(undo).status() == 1
    assert child.status() == 3
    assert words.alias() == BEFORE
    assert processes.nobody_is_left()
    assert not record.folder.exists()


def test_recover_leaves_what_waits_for_a_confirmation(processes):
    child = changing(30, at="waiting")
    assert transactions.recover(words.wing_of) == ()
    assert words.alias() == AFTER
    child.kill(signal.SIGINT)
    assert child.status() == 3


def test_recover_leaves_what_came_to_wait_while_it_waited(processes):
    """Whoever is in the middle of a change holds it; when it lets go, the change is not left but awaits its word."""
    child = changing(30, at="c")

    def body(pause):
        pause("there")
        return len(transactions.recover(words.wing_of)[0].done)

    other = Child(body)
    assert other.word()
    other.go_on()
    assert not soon(lambda: words.alias() != "oldab", 0.3)
    child.go_on()
    assert other.status() == 0
    assert words.alias() == AFTER
    child.kill(signal.SIGINT)
    assert child.status() == 3


def test_a_disk_that_is_full_at_the_end_ends_the_change(processes):
    def body(pause):
        def fill(step):
            if step.word == "c":
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

        try:
            words.change(None, fill)
        except RolledBack as error:
            return int(error.code == "journal-unwritable")
        return 0

    assert Child(body).status() == 1
    assert words.alias() == BEFORE
    assert processes.nobody_is_left()
    assert transactions.status() == ()


def test_undo_takes_back_what_was_confirmed_long_ago_and_again_does_nothing(processes):
    name = words.change()
    assert transactions.undo(name, words.wing_of).done == ("old written again",)
    assert words.alias() == BEFORE
    assert transactions.undo(name, words.wing_of).done == ()
    with pytest.raises(VmnetError) as told:
        transactions.confirm(name)
    assert told.value.code == "transaction-undone"


def test_undo_while_its_maker_waits_ends_the_waiting(processes):
    child = changing(30, at="waiting")
    (seen,) = transactions.status()
    assert transactions.undo(seen.id, words.wing_of).state == "undone"
    assert child.status() == 3
    assert words.alias() == BEFORE
    assert processes.nobody_is_left()


def test_what_a_later_change_stands_on_is_undone_after_it(processes):
    first, second = words.change(), words.change()
    with pytest.raises(VmnetError) as told:
        transactions.undo(first, words.wing_of)
    assert told.value.code == "transaction-overtaken"
    assert second in told.value.remedy
    for name in (second, first):
        transactions.undo(name, words.wing_of)
    assert words.alias() == BEFORE


def test_nothing_is_begun_on_a_link_whose_last_change_is_open(processes):
    dead_with_its_watchdog(processes)
    with pytest.raises(VmnetError) as told:
        words.change()
    assert (told.value.code, told.value.remedy) == ("transaction-open", "Put it back: vmnet recover")
    assert words.alias() == "oldab"
    transactions.recover(words.wing_of)
    words.change()
    assert words.alias() == AFTER


def test_a_maker_that_stands_still_in_the_middle_is_ended_and_put_back(processes, monkeypatch):
    monkeypatch.setattr(words, "WATCHDOG", (*words.WATCHDOG, "0.2"))
    child = changing(at="c")
    assert is_back_within(2)
    assert child.status() == -signal.SIGKILL
    assert processes.nobody_is_left()


@pytest.mark.parametrize(
    ("program", "why"),
    [(("-c", "raise SystemExit('no such wing')"), "no such wing"), (("-c", "pass"), "it said nothing")],
)
def test_without_a_watchdog_nothing_is_begun(processes, monkeypatch, program, why):
    monkeypatch.setattr(words, "WATCHDOG", program)
    with pytest.raises(VmnetError, match="did not start") as told:
        words.change()
    assert told.value.code == "watchdog-not-ready"
    assert why in told.value.why
    assert words.alias() == BEFORE
    assert transactions.status() == ()
    assert processes.nobody_is_left()


def test_a_watchdog_that_does_not_speak_is_not_waited_for_for_ever(processes, monkeypatch):
    monkeypatch.setattr("vmnet.change.watchdog.READY_SECONDS", 0.2)
    monkeypatch.setattr(words, "WATCHDOG", ("-c", "import time; time.sleep(60)"))
    with pytest.raises(VmnetError, match="did not start"):
        words.change()
    assert (words.alias(), transactions.status()) == (BEFORE, ())
    assert processes.nobody_is_left()


def test_a_failed_step_is_put_back_in_the_process_itself_and_its_watchdog_goes(processes, monkeypatch):
    def fail(step):
        if step.word == "c":
            raise VmnetError("broken", "it broke")

    with pytest.raises(RolledBack, match="it broke"):
        words.change(None, fail)
    assert (words.alias(), the_state()) == (BEFORE, "undone")
    assert processes.nobody_is_left()


def test_no_file_or_process_is_left_open_by_many_changes(processes):
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    words.change()
    before = descriptors()
    for _ in range(2 * journal.KEPT):
        words.change()
    assert descriptors() == before
    assert len(transactions.status()) == journal.KEPT
    assert processes.nobody_is_left()
