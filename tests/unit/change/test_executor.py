"""The executor, over wings that are lists: what was done is done, or undone, and told."""

from __future__ import annotations

import dataclasses
import signal
from typing import ClassVar

import pytest

from vmnet.change.executor import execute
from vmnet.change.plan import Plan, Step
from vmnet.errors import ExitCode, NotRolledBack, Refused, RolledBack, VmnetError
from vmnet.findings import Finding, Severity
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Put(Step):
    """Put a word into the host's list."""

    wing: ClassVar[str] = "host"
    word: str

    def summary(self) -> str:
        return f"Put {self.word}"


@dataclass(frozen=True, slots=True)
class Tell(Put):
    """Put a word into the guest's list."""

    wing: ClassVar[str] = "guest"


@dataclasses.dataclass
class Words:
    """A wing whose world is a list of words; it can be made to fail."""

    name: str
    diary: list[str]
    world: list[str] = dataclasses.field(default_factory=list)
    fails_at: str = ""
    failure: BaseException | None = None
    stuck: VmnetError | None = None

    def image(self, steps):
        self.diary.append(f"image of {self.name}: {' '.join(s.word for s in steps)}")
        return list(self.world)

    def apply(self, step):
        if step.word == self.fails_at:
            raise self.failure
        self.world.append(step.word)

    def restore(self, image):
        self.diary.append(f"restore {self.name}")
        if self.stuck:
            raise self.stuck
        gone = self.world[len(image) :]
        self.world[:] = image
        return [f"{word} taken out" for word in gone]


PLAN = Plan((Put("a"), Put("b"), Tell("c"), Tell("d")))
BROKEN = VmnetError("broken", "it broke", why="because", remedy="Mend it")


@pytest.fixture
def diary():
    return []


@pytest.fixture
def wings(diary):
    return {name: Words(name, diary, ["old"]) for name in ("host", "guest")}


def fail(wings, word, failure=BROKEN):
    for wing in wings.values():
        wing.fails_at, wing.failure = word, failure


def run(wings, plan=PLAN):
    seen = []
    execute(plan, wings, seen.append)
    return seen


def test_every_step_is_told_and_done_in_its_order(wings, diary):
    assert run(wings) == list(PLAN.steps)
    assert (wings["host"].world, wings["guest"].world) == (["old", "a", "b"], ["old", "c", "d"])
    assert diary == ["image of host: a b", "image of guest: c d"]


def test_a_wing_that_no_step_names_is_not_asked(wings, diary):
    run(wings, Plan((Tell("c"),)))
    assert diary == ["image of guest: c"]


def test_an_error_finding_refuses_before_anything_is_looked_at(wings, diary):
    with pytest.raises(Refused):
        run(wings, PLAN + Plan(findings=(Finding("X1", Severity.ERROR, "no"),)))
    assert diary == []


@pytest.mark.parametrize("word", ["b", "c", "d"])
def test_a_failure_on_the_way_puts_everything_back_and_says_what(wings, diary, word):
    fail(wings, word)
    with pytest.raises(RolledBack) as told:
        run(wings)
    assert [w.world for w in wings.values()] == [["old"], ["old"]]
    assert told.value.exit_code is ExitCode.ROLLED_BACK
    assert (told.value.code, told.value.what, told.value.why) == ("broken", "it broke", "because")
    assert "a taken out" in told.value.remedy
    assert told.value.remedy.endswith("Mend it")
    assert diary[-2:] == ["restore guest", "restore host"]


def test_a_failure_before_any_change_is_told_as_it_is(wings):
    fail(wings, "a")
    with pytest.raises(VmnetError) as told:
        run(wings)
    assert told.value is BROKEN
    assert told.value.exit_code is ExitCode.REFUSED


def test_what_cannot_be_put_back_is_told_and_the_rest_is_put_back(wings):
    fail(wings, "d")
    wings["guest"].stuck = VmnetError("stuck", "the guest is stuck", why="it hangs", remedy="Reset it")
    with pytest.raises(NotRolledBack) as told:
        run(wings)
    assert wings["host"].world == ["old"]
    assert "it broke" in told.value.what
    assert "the guest is stuck (it hangs)" in told.value.why
    assert "Reset it" in told.value.remedy


def test_a_failure_that_something_stands_stays_one_although_all_else_was_put_back(wings):
    pending = NotRolledBack("unplug-pending", "it has not let go")
    fail(wings, "d", pending)
    with pytest.raises(NotRolledBack) as told:
        run(wings)
    assert told.value is pending
    assert wings["host"].world == ["old"]


@pytest.mark.parametrize(
    ("stop", "code"), [(KeyboardInterrupt(), "interrupted"), (ZeroDivisionError("oops"), "unexpected")]
)
def test_whatever_stops_a_step_the_world_goes_back(wings, stop, code):
    fail(wings, "c", stop)
    with pytest.raises(RolledBack) as told:
        run(wings)
    assert told.value.code == code
    assert "Put c" in told.value.what
    assert [w.world for w in wings.values()] == [["old"], ["old"]]


def test_whoever_is_told_of_a_step_may_stop_it_too(wings):
    def tell(step):
        if step.word == "c":
            raise KeyboardInterrupt

    with pytest.raises(RolledBack):
        execute(PLAN, wings, tell)
    assert wings["host"].world == ["old"]


def test_an_undo_is_not_interrupted_and_signals_are_as_before_after_it(wings, monkeypatch):
    def restore(image):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
        return ["put back"]

    fail(wings, "b")
    monkeypatch.setattr(wings["host"], "restore", restore)
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(RolledBack):
        run(wings)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
