"""A hostlink takes over what the host's only NIC carries and gives it back, or stands beside it."""

from __future__ import annotations

import json
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.hosts import plain_host, worst_host
from tests.host.lan import FLOWS, Meter, gateway, ip, shown
from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.errors import VmnetError
from vmnet.host import moving
from vmnet.host.applier import HostWing
from vmnet.host.carried import drops_detours, observe_carried
from vmnet.host.hostlink import HostlinkOptions, plan_add, plan_remove
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
def test_add_and_remove_leave_the_host_as_it_was(wish):
    worst_host()
    if "addresses" in wish:
        Path("/proc/sys/net/ipv4/conf/up0/rp_filter").write_text("2")
    before = shown()
    assert add(**wish).steps
    assert planned(**wish).steps == ()
    remove()
    after = shown()
    for table in before:
        assert after[table] == before[table], table


def strictly() -> None:
    """The host takes nothing at a link by which it would not answer, so that what goes to the old MAC is lost."""
    for link in ("all", "up0", "default"):
        Path("/proc/sys/net/ipv4/conf", link, "rp_filter").write_text("1")


def prepare() -> Plan:
    return do(plan_prepare(observe(), carried("up0"), "br0", "up0", BridgeOptions(mac="06:00:00:00:00:77")))


def dismantle() -> Plan:
    return do(plan_dismantle(observe(), carried("br0"), "br0"))


def lost(there: Callable[[], Plan], back: Callable[[], Plan]) -> dict[str, int]:
    """What each flow loses on the way there and back."""
    with Meter() as meter:
        threading.Event().wait(0.1)
        there()
        threading.Event().wait(0.2)
        back()
    return meter.lost


WAYS = {
    "moved to a hostlink": (strictly, lambda: add(move=True), remove),
    "moved to a bridge with a MAC of its own": (strictly, prepare, dismantle),
    "with a hostlink beside": (lambda: None, lambda: add(addresses=("10.1.0.33/24",)), remove),
}


@pytest.mark.parametrize(("filtering", "there", "back"), WAYS.values(), ids=WAYS)
def test_nothing_is_lost_on_the_way(filtering, there, back):
    """At most one packet of each flow at 1 kHz over there and back, in the median of the runs."""
    plain_host()
    filtering()
    runs = [lost(there, back) for _ in range(3)]
    print(runs)
    for flow in FLOWS:
        assert statistics.median(run[flow] for run in runs) <= 1, runs


def test_without_telling_the_lan_packets_are_lost(monkeypatch):
    plain_host()
    strictly()
    monkeypatch.setattr(moving, "_announce", lambda line, differences: None)
    assert lost(lambda: add(move=True), remove)["IPv4 gateway"] > 100


def neighbours_of_gateway(process: int) -> dict[str, str]:
    said = subprocess.run(
        ["nsenter", f"--net=/proc/{process}/ns/net", "ip", "-j", "neigh"], capture_output=True, text=True, check=True
    )
    return {n["dst"]: n.get("lladdr", "") for n in json.loads(said.stdout)}


def test_the_lan_is_told_of_the_new_mac_and_of_the_old_one_again(lan):
    plain_host()
    with Meter():
        threading.Event().wait(0.1)
    assert neighbours_of_gateway(lan)["10.1.0.2"] == "06:00:00:00:00:10"
    add(move=True)
    own = observe().link("host0").mac
    assert neighbours_of_gateway(lan)["10.1.0.2"] == own
    assert neighbours_of_gateway(lan)["fd00::2"] == own
    remove()
    assert neighbours_of_gateway(lan)["10.1.0.2"] == "06:00:00:00:00:10"
    assert neighbours_of_gateway(lan)["fd00::2"] == "06:00:00:00:00:10"


def test_an_address_that_somebody_on_the_lan_has_is_refused_and_the_host_is_as_before():
    plain_host()
    before = shown()
    with pytest.raises(VmnetError, match="fd00::1") as told:
        add(addresses=("fd00::1/64",))
    assert told.value.code == "address-in-use"
    assert shown() == before


@pytest.fixture
def guest() -> Iterator[list[str]]:
    """Somebody with a macvlan on the uplink, 10.1.0.50 and fd00::50, in a namespace of its own: what enters it."""
    process = subprocess.Popen(["unshare", "-n", "sleep", "60"])
    try:
        own = Path("/proc/thread-self/ns/net").readlink()
        assert wait_for(lambda: Path(f"/proc/{process.pid}/ns/net").readlink() != own)
        inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net"]
        ip(f"link add g0 link up0 netns {process.pid} type macvlan mode bridge")
        for command in ("link set g0 up", "addr add 10.1.0.50/24 dev g0", "addr add fd00::50/64 dev g0 nodad"):
            subprocess.run([*inside, "ip", *command.split()], check=True)
        yield inside
    finally:
        process.kill()
        process.wait()


def wait_for(so: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return so()


def pings(address: str, inside: list[str] | None = None) -> bool:
    command = [*(inside or []), "ping", "-c", "1", "-W", "2", address]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("wish", "mine"),
    [
        ({"addresses": ("10.1.0.33/24", "fd00::33/64")}, ("10.1.0.33", "fd00::33", "10.1.0.2")),
        ({"move": True}, ("10.1.0.2", "fd00::2")),
    ],
    ids=["own", "moved"],
)
def test_host_and_guest_talk_both_ways_by_ipv4_and_ipv6(guest, wish, mine):
    plain_host()
    add(**wish)
    assert [a for a in ("10.1.0.50", "fd00::50", "10.1.0.1", "fd00::1", "192.168.50.1") if not pings(a)] == []
    assert [a for a in (*mine, "10.1.0.1", "fd00::1") if not pings(a, guest)] == []
