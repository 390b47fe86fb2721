"""A LAN that is slow is waited for, one that loses is asked again; if it goes dead, the host is put back."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from tests.host.hosts import plain_host
from tests.host.lan import PORT, Meter, shown
from tests.vm.hosts import at_the_gateway, do, plan_to_dismantle, plan_to_prepare, run, same, told
from vmnet.change.plan import Plan
from vmnet.errors import VmnetError
from vmnet.host.observe import observe
from vmnet.host.probes import answering, peers
from vmnet.host.steps import VerifyPeers

LINE = "tc qdisc replace dev gw0 root netem {}"


def known(link: str) -> Plan:
    """Who answers now is to answer then, by this link: both gateways."""
    found = answering(peers(observe()))
    assert [peer.address for peer in found] == ["10.1.0.1", "fd00::1"]
    return Plan((VerifyPeers(tuple(replace(peer, link=link) for peer in found)),))


@pytest.fixture
def host(lan: int) -> int:
    """A host with a default route in both families; its gateway's process."""
    plain_host()
    run("ip -6 route add default via fd00::1")
    return lan


def test_a_slow_line_that_loses_is_no_reason_to_go_back_and_queues_are_told_and_stay(host):
    at_the_gateway(host, LINE.format("delay 50ms loss 10%"))
    run("tc qdisc add dev up0 root netem delay 10ms")
    queues = run("tc qdisc show dev up0")
    assert "netem" in told(plan_to_prepare())["H403"]
    before = shown()
    with socket.create_connection(("10.1.0.1", PORT), timeout=30) as stream:
        for plan, link in ((plan_to_prepare, "br0"), (plan_to_dismantle, "up0")):
            do(plan() + known(link))
            stream.sendall(b"still here")
            assert stream.recv(100) == b"still here"
            assert run("tc qdisc show dev up0") == queues
    same(shown(), before)


def test_a_line_that_goes_dead_on_the_way_has_the_host_put_back(host):
    plan = plan_to_prepare() + known("br0")
    before = shown()
    at_the_gateway(host, LINE.format("loss 100%"))
    with pytest.raises(VmnetError) as failure:
        do(plan)
    assert failure.value.exit_code == 3
    assert "10.1.0.1" in str(failure.value)
    same(shown(), before)


def test_the_meter_counts_what_the_line_loses(host):
    at_the_gateway(host, LINE.format("loss 50%"))
    with Meter(every=0.02) as meter:
        do(plan_to_prepare())
    assert min(meter.lost.values()) > 1
