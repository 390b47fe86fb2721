"""What would cut the host off, or could not be carried faithfully, is refused or told before anything is touched."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import subprocess

import pytest

from tests.host.lan import ip, shown
from tests.host.processes import Child
from vmnet.change.executor import execute
from vmnet.errors import VmnetError
from vmnet.host.applier import HostWing
from vmnet.host.carried import observe_carried
from vmnet.host.model import BridgeOptions, BridgeSettings
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare
from vmnet.host.rtnetlink import links
from vmnet.host.wire import Line
from vmnet.lab.namespaces import Namespace, unshare

OURS = "link set br0 alias vmnet:12345678"
BR0 = "link add br0 address 02:00:00:00:00:10 type bridge"
ADDRESS = "addr add 192.0.2.1/24 dev up0"


def carried(*names: str):
    with Line() as line:
        return observe_carried(line, names)


def prepare(name="br0", uplink="up0", **options):
    return plan_prepare(observe(), carried(uplink), name, uplink, BridgeOptions(**options))


def dismantle(name="br0", **more):
    return plan_dismantle(observe(), carried(name), name, **more)


def do(plan):
    execute(plan, {"host": HostWing()}, lambda step: None)


def codes(plan):
    return {f.code for f in plan.findings} - {"H406"}  # br_netfilter is this machine's own


REFUSED = [
    # code, what the host has, the wish
    ("H201", [], {"uplink": "up9"}),
    ("H101", [], {"name": "a/b"}),
    ("H202", [], {"uplink": "lo"}),
    ("H205", ["link add mt0 link up0 type macvtap mode bridge"], {}),
    ("H207", ["link add br1 type bridge", "link set up0 master br1"], {}),
    ("H208", ["link add br1 type bridge"], {"uplink": "br1"}),
    ("H209", ["tuntap add tap0 mode tap"], {"uplink": "tap0"}),
    ("H401", [ADDRESS, "nexthop add id 7 via 192.0.2.254 dev up0"], {}),
    ("H402", [ADDRESS, "link set up0 down"], {}),
    ("H411", [], {"mtu": 1500}),
    ("H411", [], {"mtu": 60}),
    ("H412", [], {"mac": "03:00:00:00:00:01"}),
    ("H412", [], {"mac": "00:00:00:00:00:00"}),
    ("H412", [], {"mac": "zz:00:00:00:00:01"}),
    ("H412", [], {"mac": "02:00"}),
    ("H414", [], {"stp": True, "forward_delay": 100}),
    ("H416", [], {"name": "lan0"}),
    ("H417", [BR0], {}),
    ("H417", [BR0, "link set up0 master br0", ADDRESS], {}),
    ("H440", [BR0, OURS, ADDRESS, "addr add 192.0.2.77/24 dev br0"], {}),
    ("H418", [BR0, OURS, "link add v0 master br0 type veth peer name v1"], {}),
    ("H419", [BR0, OURS, "link set up0 master br0"], {"stp": True}),
    ("H419", [BR0, OURS, "link set up0 master br0"], {"mtu": 1280}),
    ("H203", [ADDRESS], {"without_address": True}),
    ("H204", ["route add 198.51.100.0/24 dev up0"], {"without_address": True}),
]


@pytest.mark.parametrize(("code", "given", "wish"), REFUSED)
def test_prepare_refuses(uplink, code, given, wish):
    for command in given:
        ip(command)
    before = shown()
    plan = prepare(**wish)
    assert code in {f.code for f in plan.findings if f.is_error}
    assert plan.steps == ()
    assert all(f.remedy for f in plan.findings if f.is_error)
    assert shown() == before


def test_prepare_names_the_culprit(uplink):
    ip("link add mt0 link up0 type macvtap mode bridge")
    (finding,) = (f for f in prepare().findings if f.code == "H205")
    assert "mt0" in finding.what


TOLD = [
    ("H403", ["tc qdisc add dev up0 root pfifo limit 100"], {}),
    ("H413", [], {"mac": "02:00:00:00:00:99"}),
    ("H436", ["ip link add vx0 type vxlan id 5 dev up0 remote 192.0.2.9 dstport 4789"], {}),
    ("H415", [], {"stp": True}),
]


@pytest.mark.parametrize(("code", "given", "wish"), TOLD)
def test_prepare_tells(uplink, code, given, wish):
    for command in given:
        subprocess.run(command.split(), check=True)
    plan = prepare(**wish)
    assert code in {f.code for f in plan.findings if not f.is_error}
    assert plan.steps


def test_an_xdp_program_is_told(uplink):
    program = xdp_program_on(uplink)
    try:
        assert "H404" in codes(prepare())
    finally:
        os.close(program)
    assert "H404" not in codes(prepare())


def xdp_program_on(name: str) -> int:
    """Have a program that passes all frames on a link while the returned descriptor is open (bpf(2), linux/bpf.h)."""
    passes = struct.pack("=BBhi BBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0)  # r0 = XDP_PASS; exit
    code, licence = ctypes.create_string_buffer(passes), ctypes.create_string_buffer(b"GPL")
    index = next(n.index for n in links() if n.name == name)
    program = bpf(5, struct.pack("=IIQQ", 6, 2, ctypes.addressof(code), ctypes.addressof(licence)))  # BPF_PROG_LOAD
    link = bpf(28, struct.pack("=IIII", program, index, 37, 2))  # BPF_LINK_CREATE, BPF_XDP, XDP_FLAGS_SKB_MODE
    os.close(program)
    return link


def bpf(command: int, attributes: bytes) -> int:
    known = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(321, command, known, len(known) - 1)  # __NR_bpf on x86-64
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    return descriptor


def test_privacy_addresses_are_told(uplink):
    """The kernel makes one for each address that may have some."""
    subprocess.run(["sysctl", "-qw", "net.ipv6.conf.up0.use_tempaddr=2"], check=True)
    ip("addr add fd00::2/64 dev up0 nodad mngtmpaddr")
    assert "H407" in codes(prepare())


def test_a_macvlan_that_lives_elsewhere_has_the_kernel_refuse_and_nothing_changed(uplink):
    """That of a container is not seen from here: only the kernel knows of it."""

    def container(pause):
        unshare(Namespace.NET)
        pause("there")
        signal.pause()
        return 0

    ip(ADDRESS)
    before = shown()
    child = Child(container)
    try:
        assert child.word() == "there"
        ip("link add mv0 link up0 type macvlan mode bridge")
        ip(f"link set mv0 netns {child.pid}")
        plan = prepare()
        assert plan.steps
        with pytest.raises(VmnetError) as told:
            do(plan)
        assert (told.value.code, "container" in told.value.remedy) == ("netlink-ebusy", True)
        assert shown() == before
    finally:
        child.kill(signal.SIGKILL)
        child.status()


def test_an_address_that_somebody_else_has_is_told_and_left(uplink):
    ip("addr add fd00::1/64 dev lan0 nodad")
    ip("addr add fd00::1/64 dev up0")
    while "dadfailed" not in subprocess.run(["ip", "addr", "show", "up0"], capture_output=True, text=True).stdout:
        pass
    assert "H408" in codes(prepare())


DISMANTLE_REFUSED = [
    ("H424", [], {"name": "lan0"}),
    ("H425", [BR0], {}),
    ("H201", [BR0, OURS, "link set up0 master br0", ADDRESS], {"uplink": "upp0"}),
    ("H438", [BR0, OURS, "link set up0 master br0"], {"uplink": "lan0"}),
    ("H421", [BR0, OURS, "tuntap add tap7 mode tap", "link set tap7 master br0"], {}),
    ("H422", [BR0, OURS, "link add mt0 link br0 type macvtap mode bridge"], {}),
    ("H426", [BR0, OURS, "link set br0 up", "addr add 192.0.2.1/24 dev br0"], {}),
]


@pytest.mark.parametrize(("code", "given", "wish"), DISMANTLE_REFUSED)
def test_dismantle_refuses(uplink, code, given, wish):
    for command in given:
        ip(command)
    before = shown()
    plan = dismantle(**wish)
    assert code in {f.code for f in plan.findings if f.is_error}
    assert plan.steps == ()
    assert all(f.remedy for f in plan.findings if f.is_error)
    assert shown() == before


def test_a_wrong_uplink_is_answered_with_nothing_that_would_cut_the_host_off(uplink):
    ip(ADDRESS)
    do(prepare())
    (finding,) = dismantle(uplink="upp0").findings
    assert (finding.code, finding.remedy) == ("H201", "Did you mean up0?")
    (finding,) = dismantle(uplink="lan0").findings
    assert (finding.code, finding.why) == ("H438", "Its ports: up0 (veth)")


def test_what_a_port_carries_for_the_host_moves_to_its_bridge(uplink):
    """Somebody made it a port by hand, and cut the host off."""
    ip(ADDRESS)
    for command in (BR0, OURS, "link set br0 up", "link set up0 master br0"):
        ip(command)
    before = shown()
    do(prepare())
    assert [a.address for a in observe().addresses_on(observe().link("br0")) if a.family == 4] == ["192.0.2.1/24"]
    assert not any(a.family == 4 for a in observe().addresses_on(observe().link("up0")))
    assert prepare().steps == ()
    assert before != shown()


def test_dismantle_says_whose_taps_would_be_cut_off(uplink):
    do(prepare())
    ip("tuntap add vnet7 mode tap")
    ip("link set vnet7 master br0")
    (finding,) = (f for f in dismantle(owners={"vnet7": "web", "vnet8": "db"}).findings if f.is_error)
    assert "vnet7" in finding.what
    assert "web" in finding.why
    assert "db" not in finding.why


def test_a_guest_that_comes_after_the_plan_is_not_cut_off(uplink):
    ip(ADDRESS)
    do(prepare())
    plan = dismantle()
    ip("tuntap add vnet7 mode tap")
    ip("link set vnet7 master br0")
    before = shown()
    with pytest.raises(VmnetError, match="vnet7"):
        do(plan)
    assert shown() == before


def test_a_bridge_that_is_gone_needs_no_dismantling(uplink):
    plan = dismantle("br7")
    assert (plan.steps, codes(plan)) == ((), {"H423"})


def test_a_bridge_has_what_was_wished(uplink):
    ip(ADDRESS)
    wish = {
        "stp": True,
        "forward_delay": 200,
        "ageing": 12000,
        "multicast_snooping": False,
        "mtu": 1300,
        "mac": "02:00:00:00:AA:99",
    }
    do(prepare(**wish))
    bridge = observe().link("br0")
    assert bridge.bridge == BridgeSettings(True, 200, False, 12000, False)
    assert (bridge.mac, bridge.mtu) == ("02:00:00:00:aa:99", 1300)
    assert prepare(**wish).steps == ()


def test_a_bridge_without_address_has_none(uplink):
    do(prepare(without_address=True))
    assert carried("br0")["br0"].addresses == ()
    assert prepare(without_address=True).steps == ()
    do(dismantle())
    assert observe().link("br0") is None


def test_what_the_kernel_cannot_filter_is_told_and_leaves_the_host_as_it_was(uplink):
    """This kernel may have no VLAN filtering: then it says so, and nothing was done."""
    ip(ADDRESS)
    before = shown()
    try:
        do(prepare(vlan_filtering=True))
    except VmnetError as told:
        assert told.code == "netlink-enotsup"
        assert told.remedy
        assert shown() == before
    else:
        assert observe().link("br0").bridge.vlan_filtering
