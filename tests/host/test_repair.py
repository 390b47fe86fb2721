"""Taps go back to the bridge that their guests' documents name, as they were."""

from __future__ import annotations

import pytest

from tests.host.lan import ip
from vmnet.change.executor import execute
from vmnet.errors import VmnetError
from vmnet.host.applier import HostWing
from vmnet.host.observe import observe
from vmnet.host.repair import Port, plan_repair

WEB = Port("web", "52:54:00:00:00:01", "vnet7")
ISOLATED = Port("db", "52:54:00:00:00:02", "vnet8", isolated=True)


@pytest.fixture(autouse=True)
def taps(private_namespace: None) -> None:
    for port in (WEB, ISOLATED):
        ip(f"tuntap add {port.target} mode tap")
        ip(f"link set {port.target} address fe{port.mac[2:]}")
    ip("link add br0 type bridge")
    ip("link set br0 up")


def plan(*ports: Port):
    return plan_repair(observe(), "br0", ports)


def do(planned):
    execute(planned, {"host": HostWing()}, lambda step: None)


def codes(planned) -> set[str]:
    return {f.code for f in planned.findings}


def test_taps_of_a_bridge_that_was_made_again_are_put_back_and_isolated_and_up():
    do(plan(WEB, ISOLATED))
    host = observe()
    bridge = host.link("br0")
    for port in (WEB, ISOLATED):
        tap = host.link(port.target)
        assert (tap.master, tap.up, tap.isolated) == (bridge.index, True, port.isolated)
    assert plan(WEB, ISOLATED).steps == ()
    ip("link del br0")
    ip("link add br0 up type bridge")
    assert len(plan(WEB, ISOLATED).steps) == 2


def test_a_tap_that_is_only_not_isolated_any_more_is_isolated():
    ip("link set vnet8 up master br0")
    do(plan(ISOLATED))
    assert observe().link("vnet8").isolated


def test_a_tap_of_a_paused_guest_stays_down():
    do(plan(Port("web", WEB.mac, WEB.target, running=False)))
    assert not observe().link("vnet7").up


def test_a_tap_on_another_bridge_is_told_and_comes_back():
    ip("link add br1 type bridge")
    ip("link set vnet7 master br1")
    planned = plan(WEB)
    assert codes(planned) == {"H473"}
    do(planned)
    assert observe().link("vnet7").master == observe().link("br0").index


def test_a_bridge_that_is_not_there_is_refused_with_what_to_do():
    ip("link del br0")
    (finding,) = plan(WEB).findings
    assert (finding.code, finding.is_error) == ("H470", True)
    assert "vmnet bridge prepare br0" in finding.remedy


def test_what_is_no_bridge_is_refused():
    (finding,) = plan_repair(observe(), "vnet7", []).findings
    assert (finding.code, finding.is_error) == ("H471", True)


@pytest.mark.parametrize(
    ("code", "given", "port"),
    [
        ("H472", ["link del vnet7"], WEB),
        ("H474", ["link set br0 down"], WEB),
        ("H475", [], Port("web", WEB.mac, WEB.target, tagged=True)),
    ],
)
def test_what_is_not_as_it_should_be_is_told(code, given, port):
    for command in given:
        ip(command)
    planned = plan(port)
    assert codes(planned) == {code}
    assert not any(f.is_error for f in planned.findings)


def test_when_one_tap_cannot_be_put_back_the_others_are_as_before():
    planned = plan(WEB, ISOLATED)
    ip("link del vnet8")
    before = observe().link("vnet7")
    with pytest.raises(VmnetError, match="vnet8"):
        do(planned)
    assert observe().link("vnet7") == before
