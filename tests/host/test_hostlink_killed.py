"""A hostlink takes over the host's line or gives it back, and vmnet is killed on the way: as before, or as wished."""

from __future__ import annotations

import pytest

from tests.host.lan import shown
from tests.host.test_killed import DEAF, carried, do, killed_before, processes
from vmnet.change.plan import Plan
from vmnet.host.hostlink import HostlinkOptions, plan_add, plan_remove
from vmnet.host.observe import observe
from vmnet.operations import transactions
from vmnet.operations.undoing import WATCHDOG

__all__ = ["processes"]

STRIDE = 17
"""Every so many acts: the acts are those of a bridge, of which each is tried."""


def adding() -> Plan:
    return plan_add(observe(), carried("up0"), "up0", HostlinkOptions(move=True))


def removing() -> Plan:
    return plan_remove(observe(), carried("host0"), "host0")


@pytest.mark.parametrize(("way", "saved_by"), [(adding, "the watchdog"), (removing, "recover")])
def test_whenever_vmnet_is_killed_the_host_is_as_before_or_as_wished(processes, way, saved_by):
    if way is removing:
        do(adding())
    before, points = shown(), 0
    watchdog = WATCHDOG if saved_by == "the watchdog" else DEAF
    while killed_before(1 + points * STRIDE, way(), watchdog):
        points += 1
        if saved_by == "the watchdog":
            assert processes.nobody_is_left()
        else:
            processes.end()
            transactions.recover()
        if not way().steps:
            transactions.undo(transactions.status()[0].id)
        assert shown() == before, f"killed before act {points * STRIDE}"
        transactions.recover()  # of a watchdog that was not there yet
    assert points >= 3
