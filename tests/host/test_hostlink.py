"""A hostlink takes over what the host's only NIC carries and gives it back, or stands beside it."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.hosts import plain_host, worst_host
from tests.host.lan import FLOWS, Meter, gateway, ip, shown
from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.host.applier import HostWing
from vmnet.host.carried import drops_detours, observe_carried
from vmnet.host.hostlink import HostlinkOptions, plan_add, plan_remove
from vmnet.host.observe import observe
from vmnet.host.wire import Line


@pytest.fixture(autouse=True)
def lan(private_namespace: None) -> Iterator[int]:
    with gateway() as process:
        yield process


def carried(*names: str):
    with Line() as line:
        return observe_carried(line, names)


def planned(**options: object) -> Plan:
    return plan_add(observe(), carried("up0"), "up0", HostlinkOptions(**options), strict=drops_detours("up0"))


def add(**options: object) -> Plan:
    return do(planned(**options))


def remove() -> Plan:
    return do(plan_remove(observe(), carried("host0"), "host0"))


def do(plan: Plan) -> Plan:
    execute(plan, {"host": HostWing()}, lambda step: None)
    return plan


WISHES = {"moved": {"move": True}, "own": {"addresses": ("10.1.0.33/24", "fd00::33/64")}, "bare": {}}


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
@pytest.mark.parametrize("host", [plain_host, worst_host])
def test_add_and_remove_leave_the_host_as_it_was(host, wish):
    host()
    before = shown()
    assert add(**wish).steps
    assert planned(**wish).steps == ()
    remove()
    after = shown()
    for table in before:
        assert after[table] == before[table], table
