"""What the planner refuses on real links, and that the kernel would have refused it, or obeyed to the host's harm."""

from __future__ import annotations

import pytest

from vmnet.errors import VmnetError
from vmnet.host.making import create_bridge, make
from vmnet.host.model import BridgeSettings
from vmnet.host.observe import observe
from vmnet.host.planner import check_direct, plan_bridge
from vmnet.host.wire import Line
from vmnet.nic.attachment import Direct, MacvtapMode

ENSLAVE = "link set {dev} master br9"
MACVTAP = "link add mt9 link {dev} type macvtap mode {mode}"

UPLINKS = [
    # name, its code, what the host has, whether the kernel itself refuses
    ("lo", "H202", [], "Invalid argument"),
    ("up0", "H203", ["addr add 192.0.2.1/24 dev up0"], ""),
    ("up0", "H203", ["addr add 2001:db8::1/64 dev up0"], ""),
    ("up0", "H204", ["route add 198.51.100.0/24 dev up0"], ""),
    ("up0", "H205", ["link add mt0 link up0 type macvtap mode bridge"], "Device or resource busy"),
    ("up0", "H205", ["link add mv0 link up0 type macvlan mode bridge"], "Device or resource busy"),
    ("up0", "H207", ["link add br1 type bridge", "link set up0 master br1"], None),
    ("br1", "H208", ["link add br1 type bridge"], "Can not enslave a bridge to a bridge"),
    ("mt0", "H209", ["link add mt0 link up0 type macvtap mode bridge"], "Device or resource busy"),
    ("mv0", "H209", ["link add mv0 link up0 type macvlan mode bridge"], ""),
    ("tap0", "H209", ["tuntap add tap0 mode tap"], ""),
    ("tun0", "H209", ["tuntap add tun0 mode tun"], "Invalid argument"),
]


@pytest.mark.parametrize(("dev", "code", "given", "refusal"), UPLINKS)
def test_an_uplink_that_would_fail_or_harm_is_refused_by_name(uplink, ip, kernel_says, dev, code, given, refusal):
    for command in given:
        ip(command)
    plan = plan_bridge(observe(), "br0", dev)
    finding = next(f for f in plan.findings if f.code == code)
    assert finding.is_error
    assert dev in finding.what
    assert finding.remedy
    assert plan.steps == ()
    if refusal is not None:  # ip itself re-masters a port without a word: nothing to ask the kernel
        ip("link add br9 type bridge")
        assert refusal in kernel_says(ENSLAVE.format(dev=dev))
        assert (observe().link(dev).port is not None) == (refusal == "")


TOLD = [
    # the bridge, its uplink, the code, what the host has
    ("br1", None, "H104", ["link add br1 type bridge"]),
    ("br1", None, "H105", ["link add br1 type bridge stp_state 1", "link set br1 up"]),
    ("br1", "up0", "H211", ["link add br1 type bridge", "link add v0 master br1 type veth peer name v1"]),
]


@pytest.mark.parametrize(("bridge", "dev", "code", "given"), TOLD)
def test_what_may_surprise_is_told_and_no_reason_to_refuse(uplink, ip, bridge, dev, code, given):
    for command in given:
        ip(command)
    findings = {f.code: f for f in plan_bridge(observe(), bridge, dev).findings}
    assert bridge in findings[code].what
    assert not any(f.is_error for f in findings.values())


DIRECTS = [
    # lower, mode, its code, what the host has, what the kernel says
    ("lo", "bridge", "H302", [], "Invalid argument"),
    ("tun0", "bridge", "H302", ["tuntap add tun0 mode tun"], "Invalid argument"),
    ("up0", "vepa", "H303", ["link add br1 type bridge", "link set up0 master br1"], "Device or resource busy"),
    ("up0", "bridge", "H305", ["link add mt0 link up0 type macvtap mode passthru"], "Invalid argument"),
    ("up0", "passthrough", "H305", ["link add mt0 link up0 type macvtap mode passthru"], "Invalid argument"),
    ("up0", "passthrough", "H306", ["link add mt0 link up0 type macvtap mode vepa"], "Invalid argument"),
]


@pytest.mark.parametrize(("dev", "mode", "code", "given", "refusal"), DIRECTS)
def test_a_lower_link_that_the_kernel_would_refuse_is_refused_by_name(
    uplink, ip, kernel_says, dev, mode, code, given, refusal
):
    for command in given:
        ip(command)
    findings = check_direct(observe(), Direct(dev, MacvtapMode(mode)), None)
    finding = next(f for f in findings if f.code == code)
    assert finding.is_error
    assert dev in finding.what
    assert finding.remedy
    assert refusal in kernel_says(MACVTAP.format(dev=dev, mode="passthru" if mode == "passthrough" else mode))


@pytest.mark.parametrize("holder", ["up0", "mt0"])
def test_a_mac_in_use_on_the_lower_is_refused_and_the_kernel_sets_no_second_one_up(uplink, ip, kernel_says, holder):
    ip("link add mt0 link up0 address 52:54:00:00:00:01 type macvtap mode bridge")
    ip("link set mt0 up")
    host = observe()
    mac = host.link(holder).mac
    (finding,) = [f for f in check_direct(host, Direct("up0", MacvtapMode.BRIDGE), mac.upper()) if f.is_error]
    assert finding.code == "H307"
    assert holder in finding.what
    ip(f"link add mt9 link up0 address {mac} type macvtap mode bridge")
    assert "Address already in use" in kernel_says("link set mt9 up")


def test_a_macvtap_on_a_macvlan_would_land_on_the_link_below(uplink, ip):
    ip("link add mv0 link up0 type macvlan mode bridge")
    (finding,) = [f for f in check_direct(observe(), Direct("mv0", MacvtapMode.BRIDGE), None) if f.is_error]
    assert (finding.code, finding.remedy) == ("H309", "Name up0, which is below it")
    ip("link add mt9 link mv0 type macvtap mode bridge")
    host = observe()
    assert host.by_index(host.link("mt9").lower).name == "up0"


@pytest.mark.parametrize("mode", list(MacvtapMode))
def test_a_free_uplink_takes_every_mode(uplink, ip, kernel_says, mode):
    findings = check_direct(observe(), Direct("up0", mode), "52:54:00:00:00:01")
    assert [f.code for f in findings] == ["H312"]
    assert kernel_says(MACVTAP.format(dev="up0", mode="passthru" if mode == "passthrough" else mode)) == ""


def test_a_macvtap_over_a_bridge_is_allowed(uplink, ip, kernel_says):
    ip("link add br0 type bridge")
    ip("link set br0 up")
    assert not any(f.is_error for f in check_direct(observe(), Direct("br0", MacvtapMode.BRIDGE), None))
    assert kernel_says(MACVTAP.format(dev="br0", mode="bridge")) == ""


@pytest.mark.parametrize("name", ["all", "default", ".", "..", "a/b", "a b", "sixteen-letters-"])
def test_names_that_the_kernel_refuses_are_refused_first(uplink, name):
    (finding,) = plan_bridge(observe(), name, uplink).findings
    assert finding.code == "H101"
    with Line() as line, pytest.raises(VmnetError) as told:
        make(line, create_bridge(name, None, 1500, BridgeSettings(), "vmnet:test", 4242), 4242)
    assert told.value.code.startswith("netlink-e")
