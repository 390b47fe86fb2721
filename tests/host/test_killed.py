"""A bridge is prepared or dismantled, and vmnet killed before any of its acts: the host is as before, or as wished.

What puts it back is the watchdog, a process of its own, or, where that was killed too, `recover`.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.host.hosts import busy_host
from tests.host.killing import UNDOING, kill_before
from tests.host.lan import gateway, shown
from tests.host.processes import Child, Processes, own_processes
from vmnet.change import journal, locks
from vmnet.change.executor import execute
from vmnet.change.journal import Standing, State
from vmnet.change.plan import Plan
from vmnet.change.transaction import Transaction
from vmnet.host.applier import HostWing
from vmnet.host.carried import observe_carried
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare
from vmnet.host.wire import Line
from vmnet.operations import transactions
from vmnet.operations.undoing import WATCHDOG

DEAF = ("-c", "import os, signal, sys; os.write(os.open(sys.argv[1] + '/ready', os.O_WRONLY), b'!'); signal.pause()")
"""A watchdog that is there and does nothing."""


@pytest.fixture
def processes(tmp_path, monkeypatch) -> Iterator[Processes]:
    monkeypatch.setattr(locks, "folder", lambda: tmp_path / "vmnet" / "lock")
    with gateway(), own_processes() as found:
        busy_host()
        yield found


def carried(name: str):
    with Line() as line:
        return observe_carried(line, [name])


def preparing() -> Plan:
    return plan_prepare(observe(), carried("up0"), "br0", "up0")


def dismantling() -> Plan:
    return plan_dismantle(observe(), carried("br0"), "br0")


def do(plan: Plan, watchdog=WATCHDOG) -> None:
    execute(plan, {"host": HostWing()}, lambda step: None, Transaction(("up0", "br0"), watchdog))


def killed_before(number: int, plan: Plan, watchdog) -> bool:
    """Carry the plan out in a process that is killed before its nth act; whether it came so far."""

    def body(pause) -> int:
        acts = kill_before(number)
        do(plan, watchdog)
        return 0 if acts() < number else 1

    status = Child(body).status()
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.mark.parametrize("saved_by", ["the watchdog", "recover"])
@pytest.mark.parametrize("way", [preparing, dismantling])
def test_whenever_vmnet_is_killed_the_host_is_as_before_or_as_wished(processes, way, saved_by):
    if way is dismantling:
        do(preparing())
    before, points, kept = shown(), 0, 0
    watchdog = WATCHDOG if saved_by == "the watchdog" else DEAF
    while killed_before(points + 1, way(), watchdog):
        points += 1
        if saved_by == "the watchdog":
            assert processes.nobody_is_left()
        else:
            processes.end()
            transactions.recover()
        latest = transactions.status()[:1]
        assert not any(seen.state == "applied" for seen in latest)
        if not way().steps:  # it was killed after the end: it is as wished, and the journal says so
            kept += 1
            assert latest[0].state == "confirmed"
            transactions.undo(latest[0].id)
        assert shown() == before, f"killed before act {points}"
        transactions.recover()
        assert shown() == before, f"recovered after act {points}"
    assert points >= 50
    assert kept <= 8
    print(f"{way.__name__}, saved by {saved_by}: {points} points, {kept} of them after the end")


@pytest.mark.parametrize("way", [preparing, dismantling])
def test_killed_at_any_time_at_all_the_host_is_as_before_or_as_wished(processes, way):
    if way is dismantling:
        do(preparing())
    before, took = shown(), 0.0
    for share in (n / 20 for n in range(-1, 20)):
        plan, began = way(), time.monotonic()
        child = Child(lambda pause, plan=plan: bool(do(plan)))
        if share < 0:  # left alone, to see how long it takes
            assert child.status() == 0
            took = time.monotonic() - began
        else:
            time.sleep(took * share)
            child.kill(signal.SIGKILL)
            child.status()
        assert processes.nobody_is_left()
        if not way().steps:
            transactions.undo(transactions.status()[0].id)
        transactions.recover()
        assert shown() == before, f"killed after {share:.0%} of {took * 1000:.0f} ms"


@pytest.mark.parametrize("way", [transactions.undo, transactions.recover])
def test_whenever_an_undo_is_killed_it_is_open_and_recover_ends_it(processes, way):
    before, points = shown(), 0
    while True:
        do(preparing())
        after, record = shown(), journal.records()[0]
        if way is transactions.recover:
            with record.alone():
                record.set(Standing(State.ARMED))

        def body(pause, number=points + 1, name=record.id) -> int:
            kill_before(number, UNDOING)
            way(*[name] * (way is transactions.undo))
            return 0

        if Child(body).status() == 0:
            break
        points += 1
        if transactions.status()[0].state == "confirmed":  # it was killed before it said that it is at it
            assert (points, shown()) == (1, after)
            transactions.undo(record.id)
        transactions.recover()
        assert (shown(), transactions.status()[0].state) == (before, "undone"), f"killed before act {points}"
    assert shown() == before
    assert points >= 5


def test_the_control_is_caught(processes):
    """Without anybody who puts it back, the same kills leave the host in between."""
    before = shown()
    between, number = 0, 30
    while killed_before(number, preparing(), DEAF) and "confirmed" not in [n.state for n in transactions.status()]:
        processes.end()
        between += shown() != before
        transactions.recover()
        assert shown() == before
        number += 4
    assert between >= 3
