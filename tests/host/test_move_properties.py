"""Whatever addresses and routes the host has: prepared and dismantled, it has them again."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from tests.host.lan import ip, shown, until_settled
from vmnet.change.executor import execute
from vmnet.host import netlink
from vmnet.host.applier import HostWing
from vmnet.host.carried import observe_carried
from vmnet.host.hostlink import HostlinkOptions, plan_add, plan_remove
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare
from vmnet.host.wire import Line

lifetimes = st.sampled_from(["", " valid_lft 5000 preferred_lft 3000", " valid_lft 5000 preferred_lft 0"])
metrics = st.sampled_from(["", " metric 50", " metric 60"])


@st.composite
def addresses(draw: st.DrawFn) -> str:
    prefix_route = draw(st.sampled_from(["", " noprefixroute"]))
    more = draw(metrics) + draw(lifetimes) + prefix_route
    net, host = draw(st.integers(1, 3)), draw(st.integers(2, 6))
    if draw(st.booleans()):
        label = draw(st.sampled_from(["", " label up0:a", " label up0:b"]))
        broadcast = draw(st.sampled_from(["", " brd +"]))
        length = draw(st.sampled_from([24, 25, 32]))
        return f"addr add 10.{net}.0.{host}/{length}{broadcast} dev up0{label}{more}"
    home = draw(st.sampled_from(["", " home"]))
    return f"addr add fd0{net}::{host}/{draw(st.sampled_from([64, 128]))} dev up0 nodad{home}{more}"


@st.composite
def routes(draw: st.DrawFn) -> str:
    verb = draw(st.sampled_from(["add", "append"]))
    table = draw(st.sampled_from(["", " table 100"]))
    metric = draw(st.sampled_from(["", " metric 10", " metric 20"]))
    proto = draw(st.sampled_from(["", " proto static", " proto dhcp"]))
    mtu = draw(st.sampled_from(["", " mtu 1400", " mtu lock 1300 advmss 1200"]))
    nets = draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), min_size=1, max_size=3, unique=True))
    if draw(st.booleans()):
        to = draw(st.sampled_from(["default", "172.16.0.0/16", "172.16.0.0/24", "198.51.100.7"]))
        hops = [f"via 10.{net}.0.{host} dev up0" for net, host in nets]
        family = ""
    else:
        to = draw(st.sampled_from(["default", "2001:db8::/32", "2001:db8::/64", "2001:db8::7"]))
        hops = [f"via fd0{net}::{host} dev up0" for net, host in nets]
        family = "-6 "
        proto += draw(st.sampled_from(["", " expires 900", " pref high"])) if len(hops) == 1 else ""
    way = hops[0] if len(hops) == 1 else " ".join(f"nexthop {hop} weight {n}" for n, hop in enumerate(hops, 1))
    way = draw(st.sampled_from([way, way, "dev up0"]))
    return f"{family}route {verb} {to}{table}{metric}{proto}{mtu} {way}"


rules = st.builds(
    "{}rule add {} up0 lookup {} priority {}".format,
    st.sampled_from(["", "-6 "]),
    st.sampled_from(["iif", "oif", "not iif"]),
    st.sampled_from([100, 101]),
    st.integers(100, 103),
)


@pytest.fixture
def prepared_by_hand(uplink: str) -> None:
    """One namespace for all examples, whose NIC has nothing."""
    ip("link set lo up")


@settings(
    max_examples=60,
    phases=[Phase.reuse, Phase.generate],  # what each example takes is too long for shrinking
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(["br0", "host0"]),
    st.lists(addresses(), min_size=1, max_size=6),
    st.lists(routes(), max_size=6),
    st.lists(rules, max_size=3, unique=True),
)
def test_a_move_and_its_return_are_nothing_together(prepared_by_hand, target, addresses, routes, rules):
    for command in [*addresses, *routes, *rules]:
        with suppress(AssertionError):  # the kernel takes not everything that hypothesis thinks of
            ip(command)
    until_settled()
    before = shown()
    event(f"{sum(len(a) for a in before['addresses'].values()) // 3 * 3}+ addresses")
    try:
        for plan in MOVES[target]:
            execute(plan(), {"host": HostWing()}, lambda step: None)
        after = shown()
    finally:
        clear()
    for table in before:
        assert after[table] == before[table], table


MOVES = {
    "br0": (
        lambda: plan_prepare(observe(), carried("up0"), "br0", "up0"),
        lambda: plan_dismantle(observe(), carried("br0"), "br0"),
    ),
    "host0": (
        lambda: plan_add(observe(), carried("up0"), "up0", HostlinkOptions(move=True)),
        lambda: plan_remove(observe(), carried("host0"), "host0"),
    ),
}


def carried(name: str):
    with Line() as line:
        return observe_carried(line, [name])


def clear() -> None:
    """The NIC has nothing again."""
    with Line() as line:
        found = observe_carried(line, ["up0", *MOVES])
        for name in found.keys() - {"up0"}:
            line.do([netlink.delete(found[name].link.index)])
        for entry in reversed(found["up0"].entries):
            line.send([entry.delete()])


def test_texts_are_addresses(prepared_by_hand):
    ip("addr add 10.1.0.2/24 dev up0")
    (entry,) = carried("up0")["up0"].addresses
    assert ipaddress.ip_interface(entry.text()) == ipaddress.ip_interface("10.1.0.2/24")
