"""A hostlink that could not work, or is not vmnet's, is refused or told before anything is touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.host.lan import ip, shown
from vmnet.change.executor import execute
from vmnet.host.applier import HostWing
from vmnet.host.carried import drops_detours, observe_carried
from vmnet.host.hostlink import HostlinkOptions, plan_add, plan_remove
from vmnet.host.model import BridgeOptions
from vmnet.host.observe import observe
from vmnet.host.planner import plan_prepare
from vmnet.host.wire import Line

ADDRESS = "addr add 192.0.2.1/24 dev up0"
HOST0 = "link add host0 link up0 type macvlan mode bridge"
OURS = "link set host0 alias vmnet:12345678"
OURS_MOVED = f"{OURS}+moved"
MINE = {"addresses": ("192.0.2.3/24",)}
MOVE = {"move": True}


def carried(*names: str):
    with Line() as line:
        return observe_carried(line, names)


def add(uplink="up0", **options):
    return plan_add(observe(), carried(uplink), uplink, HostlinkOptions(**options), strict=drops_detours(uplink))


def remove(name="host0"):
    return plan_remove(observe(), carried(name), name)


def do(plan):
    execute(plan, {"host": HostWing()}, lambda step: None)


REFUSED = [
    # code, what the host has, the wish, what the kernel says to it
    ("H301", [], {"uplink": "up9"}, None),
    ("H302", [], {"uplink": "lo"}, "Invalid argument"),
    ("H303", ["link add br1 type bridge", "link set up0 master br1"], MOVE, "Device or resource busy"),
    ("H305", ["link add mt0 link up0 type macvtap mode passthru"], MINE, "Invalid argument"),
    ("H309", ["link add mv0 link up0 type macvlan mode bridge"], {"uplink": "mv0"}, None),
    ("H307", [], {"mac": "02:00:00:00:00:10"}, None),
    ("H401", [ADDRESS, "nexthop add id 7 via 192.0.2.254 dev up0"], MOVE, None),
    ("H402", [ADDRESS, "link set up0 down"], MOVE, None),
    ("H460", [], {"name": "a/b"}, None),
    ("H461", [], {"name": "lan0"}, None),
    ("H461", [HOST0], {"name": "host0"}, None),
    ("H462", [HOST0, OURS], {"mac": "02:00:00:00:00:99"}, None),
    ("H462", [HOST0, OURS], MOVE, None),
    ("H462", [HOST0, OURS_MOVED], MINE, None),
    ("H463", [], {"mac": "03:00:00:00:00:01"}, None),
    ("H468", [ADDRESS], {"addresses": ("192.0.2.1/24",)}, None),
]


@pytest.mark.parametrize(("code", "given", "wish", "kernel"), REFUSED)
def test_add_refuses(uplink, kernel_says, code, given, wish, kernel):
    for command in given:
        ip(command)
    before = shown()
    plan = add(**wish)
    assert code in {f.code for f in plan.findings if f.is_error}
    assert plan.steps == ()
    assert all(f.remedy for f in plan.findings if f.is_error)
    assert shown() == before
    if kernel:
        assert kernel in kernel_says(f"link add x0 link {wish.get('uplink', 'up0')} type macvlan mode bridge")


def test_an_address_of_the_lan_is_refused_where_the_uplink_would_drop_what_it_does_not_answer(uplink):
    ip(ADDRESS)
    for name in ("all", "up0"):
        Path("/proc/sys/net/ipv4/conf", name, "rp_filter").write_text("1")
    assert "H465" in {f.code for f in add(**MINE).findings if f.is_error}
    assert add(addresses=("198.51.100.1/24",)).steps
    assert add(move=True).steps


TOLD = [
    ("H464", [ADDRESS], MOVE),
    ("H466", [ADDRESS], MINE),
    ("H467", [ADDRESS], {"addresses": ("192.0.2.3/32",)}),
    ("H467", [ADDRESS], {}),
]


@pytest.mark.parametrize(("code", "given", "wish"), TOLD)
def test_add_tells(uplink, code, given, wish):
    for command in given:
        ip(command)
    plan = add(**wish)
    assert code in {f.code for f in plan.findings if not f.is_error}
    assert plan.steps


REMOVE_REFUSED = [
    ("H477", [], "up0"),
    ("H478", [HOST0], "host0"),
]


@pytest.mark.parametrize(("code", "given", "name"), REMOVE_REFUSED)
def test_remove_refuses(uplink, code, given, name):
    for command in given:
        ip(command)
    before = shown()
    plan = remove(name)
    assert code in {f.code for f in plan.findings if f.is_error}
    assert plan.steps == ()
    assert all(f.remedy for f in plan.findings if f.is_error)
    assert shown() == before


def test_a_hostlink_that_is_gone_needs_no_removing(uplink):
    assert (remove().steps, {f.code for f in remove().findings}) == ((), {"H476"})


def test_a_bridge_over_an_uplink_with_a_hostlink_is_refused_with_what_to_do(uplink):
    ip(ADDRESS)
    do(add(move=True))
    plan = plan_prepare(observe(), carried("up0"), "br0", "up0", BridgeOptions())
    (finding,) = (f for f in plan.findings if f.code == "H205")
    assert finding.remedy.startswith("vmnet hostlink remove host0:")
    do(remove())
    assert plan_prepare(observe(), carried("up0"), "br0", "up0", BridgeOptions()).steps


def test_the_host_sends_to_the_network_of_an_address_by_the_hostlink_and_further_addresses_come_to_it(uplink):
    ip(ADDRESS)
    do(add(**MINE))
    route = ip_route("192.0.2.77")
    assert "dev host0" in route
    assert "src 192.0.2.3" in route
    do(add(addresses=("192.0.2.4/24", "fd00::4/64")))
    assert {a.address for a in observe().addresses_on(observe().link("host0")) if not a.link_local} == {
        "192.0.2.3/24",
        "192.0.2.4/24",
        "fd00::4/64",
    }
    assert add(addresses=("192.0.2.4/24", "fd00::4/64")).steps == ()


def ip_route(to: str) -> str:
    return subprocess.run(["ip", "route", "get", to], capture_output=True, text=True, check=True).stdout
