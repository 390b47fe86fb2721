"""The host's only NIC becomes a port of a bridge and is released again, and the host does not notice."""

from __future__ import annotations

import socket
import statistics
import threading
from collections.abc import Iterator

import pytest

from tests.host.hosts import plain_host, worst_host
from tests.host.lan import FLOWS, PORT, Meter, gateway, ip, shown
from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.host.applier import HostWing
from vmnet.host.carried import observe_carried
from vmnet.host.model import BridgeOptions
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare
from vmnet.host.wire import Line


@pytest.fixture(autouse=True)
def lan(private_namespace: None) -> Iterator[int]:
    with gateway() as process:
        yield process


def carried(*names: str):
    with Line() as line:
        return observe_carried(line, names)


def prepare(**options: object) -> Plan:
    plan = plan_prepare(observe(), carried("up0"), "br0", "up0", BridgeOptions(**options))
    execute(plan, {"host": HostWing()}, lambda step: None)
    return plan


def dismantle() -> Plan:
    plan = plan_dismantle(observe(), carried("br0"), "br0")
    execute(plan, {"host": HostWing()}, lambda step: None)
    return plan


@pytest.mark.parametrize("host", [plain_host, worst_host])
def test_prepare_and_dismantle_leave_the_host_as_it_was(host):
    host()
    before = shown()
    prepare()
    dismantle()
    after = shown()
    for table in before:
        assert after[table] == before[table], table


@pytest.mark.parametrize("host", [plain_host, worst_host])
def test_a_second_run_plans_nothing(host):
    host()
    assert prepare().steps
    again = plan_prepare(observe(), carried("up0"), "br0", "up0")
    assert again == Plan()
    assert dismantle().steps
    assert plan_dismantle(observe(), carried("br0"), "br0").steps == ()


def test_the_bridge_carries_what_the_uplink_did():
    plain_host()
    (before,) = carried("up0").values()
    prepare()
    now = carried("up0", "br0")
    assert [e.text() for e in now["br0"].entries] == [e.text() for e in before.entries]
    assert now["br0"].sysctls == before.sysctls
    assert now["up0"].entries == ()
    assert now["up0"].link.master == now["br0"].link.index
    assert now["br0"].link.mac == before.link.mac


def cycle() -> None:
    prepare()
    threading.Event().wait(0.3)
    dismantle()


def naive_cycle() -> None:
    """What others do: take the addresses away, and give them to the bridge."""
    ip("link add br0 address 06:00:00:00:00:10 type bridge")
    ip("link set br0 up")
    ip("link set up0 master br0")
    ip("addr flush dev up0")
    ip("addr add 10.1.0.2/24 dev br0")
    ip("addr add fd00::2/64 dev br0")
    ip("route add default via 10.1.0.1")
    threading.Event().wait(0.3)
    ip("link del br0")


def test_nothing_is_lost_on_the_way():
    """At most one packet of each flow at 1 kHz over prepare and dismantle, in the median of the runs."""
    plain_host()
    runs = []
    for _ in range(5):
        with Meter() as meter:
            threading.Event().wait(0.2)
            cycle()
        runs.append(meter.lost)
    for flow in FLOWS:
        assert statistics.median(run[flow] for run in runs) <= 1, runs


def test_the_meter_sees_what_others_lose():
    plain_host()
    with Meter() as meter:
        threading.Event().wait(0.2)
        naive_cycle()
    assert min(meter.lost.values()) > 1


@pytest.mark.parametrize(("family", "to"), FLOWS.values(), ids=FLOWS)
def test_a_tcp_stream_goes_on(family, to):
    plain_host()
    with socket.create_connection((to, PORT), timeout=10) as stream:
        for step in (prepare, dismantle, prepare, dismantle):
            stream.sendall(b"still here")
            assert stream.recv(100) == b"still here"
            step()
        stream.sendall(b"to the end")
        assert stream.recv(100) == b"to the end"
