"""For any host at all, the planner answers, and what it plans is enough."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from vmnet.change.plan import Plan
from vmnet.host.model import Address, BridgeSettings, Host, Link, PortState, Route
from vmnet.host.planner import plan_attachment, plan_bridge
from vmnet.host.steps import CreateBridge, Enslave, SetUp
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode

indexes = st.integers(1, 6)
names = st.sampled_from(["up0", "br0", "macvtap0", "vnet0", "lo", "eth1"]) | st.text(max_size=17)
macs = st.sampled_from(["02:00:00:00:00:01", "52:54:00:00:00:01", None])
kinds = st.sampled_from([None, "bridge", "veth", "tun", "macvtap", "macvlan", "vlan", "bond", "vrf", "ipvlan"])
links = st.builds(
    Link,
    index=indexes,
    name=names,
    kind=kinds,
    mac=macs,
    up=st.booleans(),
    master=st.none() | indexes,
    lower=st.none() | indexes,
    lower_netns=st.none() | st.integers(0, 1),
    mode=st.none() | st.sampled_from([*map(str, MacvtapMode), "source"]),
    altnames=st.lists(names, max_size=2).map(tuple),
    loopback=st.booleans(),
    ethernet=st.booleans(),
    wireless=st.booleans(),
    bridge=st.none() | st.builds(BridgeSettings, stp=st.booleans(), forward_delay=st.integers(0, 3000)),
    port=st.none() | st.sampled_from(PortState),
)
addresses = st.builds(
    Address, index=indexes, family=st.sampled_from([4, 6]), address=st.just("192.0.2.1/24"), link_local=st.booleans()
)
routes = st.builds(
    Route,
    family=st.sampled_from([4, 6]),
    destination=st.just("default"),
    links=st.lists(indexes, max_size=2).map(tuple),
    kernel_made=st.booleans(),
)
hosts = st.builds(
    Host,
    links=st.lists(links, max_size=6).map(tuple),
    addresses=st.lists(addresses, max_size=2).map(tuple),
    routes=st.lists(routes, max_size=2).map(tuple),
)


def unique(links: list[Link]) -> tuple[Link, ...]:
    """The kernel gives an index, and a name, to one link only; the first keep theirs."""
    taken: set[object] = set()
    kept = []
    for link in links:
        if not taken & {link.index, link.name, *link.altnames}:
            taken |= {link.index, link.name, *link.altnames}
            kept.append(link)
    return tuple(kept)


up0 = st.builds(Link, index=st.just(1), name=st.just("up0"), up=st.booleans(), master=st.sampled_from([None, 2]))
br0 = st.builds(
    Link,
    index=st.just(2),
    name=st.just("br0"),
    kind=st.just("bridge"),
    up=st.booleans(),
    bridge=st.builds(BridgeSettings, stp=st.booleans()),
)
likely_hosts = st.builds(
    lambda up0, br0, others: Host(unique([up0, *br0, *others])),
    up0,
    st.lists(br0, max_size=1),
    st.lists(links, max_size=3),
)
attachments = st.builds(Bridge, names) | st.builds(Direct, names, st.sampled_from(MacvtapMode))


@given(hosts, attachments, macs, st.none() | names)
def test_the_planner_answers_for_any_host(host, attachment, mac, uplink):
    plan = plan_attachment(host, attachment, mac, uplink)
    assert not (plan.steps and any(f.is_error for f in plan.findings))
    assert all(f.what and not f.what.endswith(".") for f in plan.findings)
    assert all(f.remedy for f in plan.findings if f.is_error)


@given(likely_hosts)
def test_applying_a_plan_leaves_nothing_to_plan(host):
    plan = plan_bridge(host, "br0", "up0")
    assume(plan.steps)  # hypothesis fails the test if that is rare
    done = applied(host, plan)
    again = plan_bridge(done, "br0", "up0")
    assert again.steps == ()
    assert not any(f.is_error for f in again.findings)
    for i in range(len(plan.steps)):  # and each step was needed
        assert plan_bridge(applied(host, Plan(plan.steps[:i])), "br0", "up0").steps == plan.steps[i:]


def applied(host: Host, plan: Plan) -> Host:
    """The host after the steps, as the kernel would show it."""
    for step in plan.steps:
        match step:
            case CreateBridge():
                made = Link(index=99, name=step.name, kind="bridge", mac=step.mac, bridge=BridgeSettings())
                host = replace(host, links=(*host.links, made))
            case Enslave():
                bridge = host.link(step.bridge)
                host = changed(host, step.uplink.index, master=bridge.index, port=PortState.FORWARDING)
            case SetUp():
                host = changed(host, step.link.index, up=True)
    return host


def changed(host: Host, index: int, **fields: object) -> Host:
    return replace(host, links=tuple(replace(n, **fields) if n.index == index else n for n in host.links))
