"""Bonds, VLANs and dummy links are uplinks like any other, VLANs over an uplink go on, and bridges filter VLANs."""

from __future__ import annotations

import socket

import pytest

from tests.host.hosts import plain_host
from tests.host.lan import PORT, Meter, shown
from tests.vm.hosts import at_the_gateway, carried, do, plan_to_dismantle, plan_to_prepare, run, same, told
from vmnet.host.port import wait_until
from vmnet.host.rtnetlink import links

SLOWLY = 0.02
"""Seconds between two packets of a flow: an emulated processor has to do more than count."""

AN_INSTANT = 3
"""Packets of each flow: what an emulated processor takes for one send. Others lose a second and more, which is 50."""

RENAMED = ("ip link set up0 down", "ip link set up0 name nic0")
BOND = ("ip link add up0 type bond mode active-backup miimon 100", "ip link set nic0 master up0")
VLAN = ("ip link set nic0 up", "ip link add link nic0 name up0 type vlan id 10")
VLAN_THERE = (
    "ip addr flush dev gw0",
    "ip link add link gw0 name gw10 type vlan id 10",
    "ip link set gw10 up",
    "ip addr add 10.1.0.1/24 dev gw10",
    "ip addr add fd00::1/64 dev gw10 nodad",
)

KINDS = {"bond": (BOND, ()), "vlan": (VLAN, VLAN_THERE)}


def becomes(gateway: int, here: tuple[str, ...], there: tuple[str, ...]) -> None:
    """The NIC ``up0`` is nic0 now, and what is made here over it is ``up0``."""
    at_the_gateway(gateway, *there)
    run(*RENAMED, *here, "ip link set up0 up")
    assert wait_until(lambda: any(n.name == "up0" and n.operstate == "up" for n in links()), 20)


@pytest.mark.parametrize("kind", KINDS)
def test_the_host_moves_to_a_bridge_over_it_and_back_and_loses_nothing(lan, kind):
    becomes(lan, *KINDS[kind])
    plain_host()
    assert wait_until(lambda: "tentative" not in run("ip -6 addr show"), 20)
    before = shown()
    with socket.create_connection(("fd00::1", PORT), timeout=20) as stream, Meter(every=SLOWLY) as meter:
        for plan in (plan_to_prepare, plan_to_dismantle):
            do(plan())
            stream.sendall(b"still here")
            assert stream.recv(100) == b"still here"
    same(shown(), before)
    assert max(meter.lost.values()) <= AN_INSTANT


def test_a_dummy_link_is_carried_and_given_back(private_namespace):
    run("ip link add up0 type dummy", "ip link set up0 up")
    plain_host()
    before = shown()
    do(plan_to_prepare())
    assert carried("up0")["up0"].entries == ()
    do(plan_to_dismantle())
    same(shown(), before)


def test_vlans_over_the_uplink_are_told_and_go_on(lan):
    """Their frames are taken before the bridge sees them."""
    at_the_gateway(lan, *VLAN_THERE[1:3], "ip addr add 10.5.0.1/24 dev gw10")
    run(
        "ip link add link up0 name up0.10 type vlan id 10",
        "ip link set up0.10 addrgenmode none",
        "ip link set up0.10 up",
        "ip addr add 10.5.0.2/24 dev up0.10",
    )
    plain_host()
    assert wait_until(lambda: "tentative" not in run("ip -6 addr show"), 20)
    plan = plan_to_prepare()
    assert "up0.10" in told(plan)["H210"]
    before = shown()
    with socket.create_connection(("10.5.0.1", PORT), timeout=20) as stream:
        do(plan)
        stream.sendall(b"still here")
        assert stream.recv(100) == b"still here"
    do(plan_to_dismantle())
    same(shown(), before)


def test_bridge_vlans_are_filtered_where_that_is_wished(lan):
    plain_host()
    before = shown()
    do(plan_to_prepare(vlan_filtering=True))
    assert carried("br0")["br0"].link.bridge.vlan_filtering
    assert plan_to_prepare(vlan_filtering=True).steps == ()
    assert "H419" in told(plan_to_prepare(vlan_filtering=False))
    assert "H410" not in told(plan_to_dismantle())
    run("bridge vlan add vid 30 dev up0", "bridge vlan add vid 40 dev br0 self")
    assert "30, 40" in told(plan_to_dismantle())["H410"]
    do(plan_to_dismantle())
    same(shown(), before)
