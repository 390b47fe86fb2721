"""Wherever a move is stopped, and however, the host is put back exactly as it was."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.host.hosts import busy_host
from tests.host.lan import gateway, ip, shown
from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.errors import VmnetError
from vmnet.host.applier import HostWing
from vmnet.host.carried import observe_carried
from vmnet.host.image import HostImage
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare
from vmnet.host.wire import Line, Message, Refusal


class Killed(BaseException):
    """Nothing of ours runs any more."""


class Counted:
    """Opens lines on which, all together, the send or the message of one number goes wrong."""

    def __init__(self, *, killed_before: int = 0, killed_after: int = 0, refused: int = 0, number: int = 0) -> None:
        self.killed_before, self.killed_after, self.refused, self.number = killed_before, killed_after, refused, number
        self.sends = self.messages = 0

    def __call__(self) -> Line:
        return _CountedLine(self)


class _CountedLine(Line):
    def __init__(self, count: Counted) -> None:
        super().__init__()
        self._count = count

    def send(self, messages: Sequence[Message]) -> tuple[Refusal, ...]:
        count = self._count
        if not messages:
            return ()
        count.sends += 1
        if count.sends == count.killed_before:
            raise Killed
        bad = count.refused - count.messages - 1
        count.messages += len(messages)
        if 0 <= bad < len(messages):
            done = super().send([*messages[:bad], *messages[bad + 1 :]])
            return (*done, Refusal(messages[bad], count.number))
        done = super().send(messages)
        if count.sends == count.killed_after:
            raise Killed
        return done


@pytest.fixture(autouse=True)
def lan(private_namespace: None) -> Iterator[None]:
    with gateway():
        busy_host()
        yield


def carried(name: str):
    with Line() as line:
        return observe_carried(line, [name])


def preparing() -> Plan:
    return plan_prepare(observe(), carried("up0"), "br0", "up0")


def dismantling() -> Plan:
    return plan_dismantle(observe(), carried("br0"), "br0")


def do(plan: Plan, line: Callable[[], Line] = Line) -> None:
    execute(plan, {"host": HostWing(line)}, lambda step: None)


@pytest.fixture(params=[preparing, dismantling])
def planned(request) -> Plan:
    if request.param is dismantling:
        do(preparing())
    return request.param()


def killed(plan: Plan, line: Counted) -> str | None:
    """Apply a plan until it is killed; the image on disk is all that is left. None if it was not."""
    wing = HostWing(line)
    image = json.dumps(wing.image(plan.steps).document())
    try:
        for step in plan.steps:
            wing.apply(step)
    except Killed:
        return image
    return None


def restore(image: str, line: Callable[[], Line] = Line) -> list[str]:
    return HostWing(line).restore(HostImage.of_document(json.loads(image)))


@pytest.mark.parametrize("when", ["killed_before", "killed_after"])
def test_a_move_that_is_killed_at_any_send_is_put_back(planned, when):
    before, points = shown(), 0
    while image := killed(planned, Counted(**{when: points + 1})):
        restore(image)
        assert shown() == before, f"{when} send {points + 1}"
        assert restore(image) == []
        points += 1
    assert points >= 4


def test_putting_back_may_be_killed_at_any_send_too(planned):
    before, points = shown(), 0
    sends = 1
    while image := killed(planned, Counted(killed_after=sends)):
        again = 1
        while True:
            try:
                restore(image, Counted(killed_after=again))
                break
            except Killed:
                again += 1
                points += 1
        restore(image)
        assert shown() == before, f"killed after send {sends}"
        sends += 1
    assert points >= 6


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.EPERM, errno.EBUSY, errno.ENODEV], ids=errno.errorcode.get)
@pytest.mark.parametrize("way", [preparing, dismantling])
def test_a_message_that_is_refused_leaves_the_host_as_it_was_or_as_wished(way, number):
    back = dismantling if way is preparing else preparing
    unbridged, points = shown(), 0
    if way is dismantling:
        do(preparing())
    while True:
        before, count = shown(), Counted(refused=points + 1, number=number)
        try:
            do(way(), count)
        except VmnetError as told:
            assert told.exit_code in (1, 3), f"{told.what}: {told.why}"
            assert shown() == before, f"message {points + 1}: {told.what}"
        else:  # it was of no matter, or done in another round
            assert way().steps == ()
            if way is dismantling:
                assert shown() == unbridged
            do(back())
            if way is preparing:
                assert shown() == unbridged
            if count.messages <= points:
                break
        points += 1
    assert points >= 20


def test_the_control_is_caught(planned):
    before = shown()
    assert killed(planned, Counted(killed_after=3))
    assert shown() != before


def test_an_uplink_that_is_unplugged_on_the_way_leaves_no_bridge(lan):
    plan = preparing()

    def unplug(step) -> None:
        if step is plan.steps[-1]:
            ip("link del up0")

    with pytest.raises(VmnetError) as told:
        execute(plan, {"host": HostWing()}, unplug)
    assert told.value.code == "host-changed"
    assert {n.name for n in observe().links} == {"lo", "other0", "other1"}
