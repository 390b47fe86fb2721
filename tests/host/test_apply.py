"""A plan for the host becomes true in the kernel, or leaves it as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.errors import NotRolledBack, Refused, RolledBack, VmnetError
from vmnet.host import port
from vmnet.host.applier import HostWing
from vmnet.host.model import BridgeSettings, PortState
from vmnet.host.observe import observe
from vmnet.host.planner import plan_bridge
from vmnet.host.port import wait_until
from vmnet.host.steps import CreateBridge, Enslave, KeepUp, SetUp, VerifyPort
from vmnet.nic.attachment import Direct, MacvtapMode


def run(plan, wing=None, progress=lambda step: None):
    execute(plan, {"host": wing or HostWing()}, progress)


def canonical():
    """All that an undo must give back."""
    host = observe()
    return host.links, host.addresses, host.routes


def test_a_missing_bridge_is_made_over_the_uplink(uplink):
    run(plan_bridge(observe(), "br0", uplink))
    host = observe()
    bridge, port = host.link("br0"), host.link(uplink)
    assert (bridge.mac, bridge.mtu, bridge.up) == (port.mac, port.mtu, True) == ("02:00:00:00:00:10", 1400, True)
    assert bridge.bridge == BridgeSettings(stp=False, forward_delay=0, vlan_filtering=False)
    assert bridge.alias.startswith("vmnet:")
    assert host.ports(bridge) == (port,)
    assert port.port is PortState.FORWARDING


def test_the_host_has_no_address_on_a_bridge_that_is_made(uplink, ip):
    run(plan_bridge(observe(), "br0", uplink))
    assert wait_until(lambda: observe().link("br0").operstate == "up")
    (br0,) = ip("-j addr show dev br0")
    assert br0["addr_info"] == []
    (br0,) = ip("-j -d link show dev br0")
    assert br0["inet6_addr_gen_mode"] == "none"


def test_planning_again_is_empty(uplink):
    run(plan_bridge(observe(), "br0", uplink))
    assert plan_bridge(observe(), "br0", uplink) == Plan()


def test_the_bridge_keeps_its_mac_when_a_lower_one_joins(uplink, ip):
    run(plan_bridge(observe(), "br0", uplink))
    ip("link add v0 address 02:00:00:00:00:01 master br0 type veth peer name v1")
    assert observe().link("br0").mac == "02:00:00:00:00:10"


def test_an_uplink_that_is_down_goes_up_as_a_port(uplink, ip):
    ip(f"link set {uplink} down")
    run(plan_bridge(observe(), "br0", uplink))
    assert wait_until(lambda: observe().link(uplink).port is PortState.FORWARDING)


def test_an_existing_bridge_takes_the_uplink_and_keeps_its_settings(uplink, ip):
    ip("link add br0 address 02:00:00:00:00:99 type bridge forward_delay 700")
    before = observe().link("br0")
    run(plan_bridge(observe(), "br0", uplink))
    bridge = observe().link("br0")
    assert bridge.up
    assert (bridge.mac, bridge.bridge, bridge.alias) == (before.mac, before.bridge, None)
    assert plan_bridge(observe(), "br0", uplink) == Plan()


@pytest.mark.parametrize("state", ["up", "down"])
def test_a_step_that_fails_leaves_the_host_as_it_was(uplink, ip, state):
    ip(f"link set {uplink} {state}")
    before = canonical()
    gone = replace(observe().link("lan0").identity, index=4242)
    plan = plan_bridge(observe(), "br0", uplink) + Plan((Enslave(gone, "br0"),))
    with pytest.raises(RolledBack) as told:
        run(plan)
    assert "bridge br0 deleted" in told.value.remedy
    assert canonical() == before


def test_an_uplink_that_vanishes_on_the_way_takes_only_itself(uplink, ip):
    ip("link add br9 type bridge")
    plan = plan_bridge(observe(), "br0", uplink)

    def unplug(step):
        if isinstance(step, Enslave):
            ip(f"link del {uplink}")

    with pytest.raises(RolledBack) as told:
        run(plan, progress=unplug)
    assert told.value.code == "host-changed"
    assert [n.name for n in observe().links] == ["lo", "br9"]


def test_an_interrupt_at_any_step_leaves_the_host_as_it_was(uplink, ip):
    ip(f"link set {uplink} down")
    before = canonical()
    plan = plan_bridge(observe(), "br0", uplink)
    assert len(plan.steps) == 3

    for at in plan.steps:

        def interrupt(step, at=at):
            if step is at:
                raise KeyboardInterrupt

        with pytest.raises(VmnetError, match="interrupted"):
            run(plan, progress=interrupt)
        assert canonical() == before


def test_undoing_twice_does_nothing_the_second_time(uplink):
    wing = HostWing()
    plan = plan_bridge(observe(), "br0", uplink)
    image = wing.image(plan.steps)
    before = canonical()
    for step in plan.steps:
        wing.apply(step)
    assert wing.restore(image) == ["bridge br0 deleted"]
    assert wing.restore(image) == []
    assert canonical() == before


def test_another_run_can_undo_by_the_image_alone(uplink):
    wing = HostWing()
    plan = plan_bridge(observe(), "br0", uplink)
    before = canonical()
    image = wing.image(plan.steps)
    for step in plan.steps:
        wing.apply(step)
    assert HostWing().restore(image)
    assert canonical() == before


def test_a_bridge_that_someone_else_made_meanwhile_is_not_deleted(uplink, ip):
    plan = plan_bridge(observe(), "br0", uplink)

    def overtake(step):
        if isinstance(step, CreateBridge):
            ip("link add br0 type bridge")

    with pytest.raises(VmnetError) as told:
        run(plan, progress=overtake)
    assert told.value.code == "netlink-eexist"
    assert observe().link("br0").alias is None


def test_a_bridge_that_others_came_to_use_stays_with_its_uplink(uplink, ip):
    wing = HostWing()
    plan = plan_bridge(observe(), "br0", uplink)
    image = wing.image(plan.steps)
    for step in plan.steps:
        wing.apply(step)
    ip("tuntap add tap7 mode tap")
    ip("link set tap7 master br0")
    with pytest.raises(VmnetError, match="tap7") as told:
        wing.restore(image)
    assert told.value.code == "host-bridge-in-use"
    host = observe()
    assert {n.name for n in host.ports(host.link("br0"))} == {uplink, "tap7"}


def test_the_executor_tells_that_such_a_bridge_remains(uplink, ip):
    plan = plan_bridge(observe(), "br0", uplink)
    plan += Plan((SetUp(replace(observe().link("lan0").identity, index=4242)),))

    def move_in(step):
        if step is plan.steps[-1]:
            ip("link add v0 master br0 type veth peer name v1")

    with pytest.raises(NotRolledBack, match="not everything could be put back") as told:
        run(plan, progress=move_in)
    assert "v0" in told.value.why


def test_an_uplink_that_someone_else_took_meanwhile_is_not_taken_back(uplink, ip):
    wing = HostWing()
    plan = plan_bridge(observe(), "br0", uplink)
    image = wing.image(plan.steps)
    for step in plan.steps:
        wing.apply(step)
    ip("link add br7 type bridge")
    ip(f"link set {uplink} master br7")
    assert wing.restore(image) == ["bridge br0 deleted"]
    host = observe()
    assert host.by_index(host.link(uplink).master).name == "br7"


def test_an_address_that_came_after_the_plan_is_not_lost(uplink, ip):
    plan = plan_bridge(observe(), "br0", uplink)
    ip(f"addr add 192.0.2.1/24 dev {uplink}")
    before = canonical()
    with pytest.raises(RolledBack, match=r"192\.0\.2\.1/24"):
        run(plan)
    assert canonical() == before


def test_a_link_renamed_after_the_plan_is_not_touched(uplink, ip):
    plan = plan_bridge(observe(), "br0", uplink)
    ip(f"link set {uplink} name old0")
    ip(f"link add {uplink} type veth peer name lan1")
    before = canonical()
    with pytest.raises(RolledBack) as told:
        run(plan)
    assert told.value.code == "host-changed"
    assert canonical() == before


def test_a_refused_plan_touches_nothing(uplink, ip):
    ip(f"addr add 192.0.2.1/24 dev {uplink}")
    before = canonical()
    with pytest.raises(Refused):
        run(plan_bridge(observe(), "br0", uplink))
    assert canonical() == before


UPLINK_MAC, GUEST_MAC = "02:00:00:00:00:10", "52:54:00:00:00:01"
WHOLE = VerifyPort("guest1", GUEST_MAC, Direct("up0", MacvtapMode.PASSTHROUGH))
SHARED = VerifyPort("guest1", GUEST_MAC, Direct("up0", MacvtapMode.BRIDGE))


@pytest.mark.parametrize("state", ["up", "down"])
def test_an_uplink_gets_its_mac_back_when_libvirt_changed_it_and_made_no_macvtap(uplink, ip, state):
    """libvirt sets the lower link's MAC and sets it up, and takes neither back if the kernel makes no macvtap."""
    ip(f"link set {uplink} {state}")
    before = canonical()
    wing = HostWing()
    image = wing.image([WHOLE])
    ip(f"link set {uplink} address {GUEST_MAC} up")
    assert f"up0 has its MAC {UPLINK_MAC} again" in wing.restore(image)
    assert wing.restore(image) == []
    assert wait_until(lambda: canonical() == before)


@pytest.mark.parametrize(("step", "mac"), [(WHOLE, "02:00:00:00:00:77"), (SHARED, GUEST_MAC)])
def test_a_mac_that_somebody_else_gave_to_the_uplink_stays(uplink, ip, step, mac):
    wing = HostWing()
    image = wing.image([step])
    ip(f"link set {uplink} address {mac}")
    assert wing.restore(image) == []
    assert observe().link(uplink).mac == mac


def test_an_uplink_that_a_macvtap_has_whole_keeps_its_mac_and_says_so(uplink, ip, monkeypatch):
    monkeypatch.setattr(port, "DEADLINE", 0.1)
    wing = HostWing()
    image = wing.image([WHOLE])
    ip(f"link set {uplink} address {GUEST_MAC}")
    ip(f"link add mt0 link {uplink} address {GUEST_MAC} type macvtap mode passthru")
    with pytest.raises(VmnetError, match="mt0") as told:
        wing.restore(image)
    assert told.value.code == "host-mac-in-use"
    assert f"ip link set up0 address {UPLINK_MAC}" in told.value.remedy
    assert observe().link(uplink).mac == GUEST_MAC


USES = [
    ["link add mt0 link up0 type macvtap mode bridge"],
    ["link add br7 type bridge", "link set up0 master br7"],
]


@pytest.mark.parametrize("commands", USES)
def test_an_uplink_that_others_came_to_use_is_not_set_down_under_them(uplink, ip, commands):
    ip(f"link set {uplink} down")
    wing = HostWing()
    image = wing.image([SHARED])
    ip(f"link set {uplink} up")
    for command in commands:
        ip(command)
    assert wing.restore(image) == []
    assert observe().link(uplink).up


def test_an_uplink_that_a_guest_let_go_of_is_up_and_has_its_own_mac(uplink, ip, monkeypatch):
    monkeypatch.setattr(port, "DEADLINE", 0.1)
    ip(f"link set {uplink} address {GUEST_MAC} down")
    HostWing().apply(KeepUp(uplink, observe().link(uplink).index, GUEST_MAC, UPLINK_MAC))
    assert (observe().link(uplink).mac, observe().link(uplink).up) == (UPLINK_MAC, True)


def test_a_mac_that_libvirt_gave_back_is_not_changed(uplink, ip):
    ip(f"link set {uplink} address 02:00:00:00:00:77")
    HostWing().apply(KeepUp(uplink, observe().link(uplink).index, GUEST_MAC, UPLINK_MAC))
    assert observe().link(uplink).mac == "02:00:00:00:00:77"
