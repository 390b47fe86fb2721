"""What this kernel can stack is refused or told by name, and the kernel would have refused it too, where it says so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.vm.hosts import (
    carried,
    do,
    plan_to_dismantle,
    plan_to_prepare,
    run,
    the_first_namespace,
    told,
)
from vmnet.host.observe import observe
from vmnet.host.planner import check_direct
from vmnet.nic.attachment import Direct, MacvtapMode

BOND = ("link add bond0 type bond mode active-backup", "link set up0 down", "link set up0 master bond0")
TEAM = ("link add team0 type team", "link set up0 down", "link set up0 master team0")
VRF = ("link add vrf0 type vrf table 10", "link set vrf0 up", "link set up0 master vrf0")
IPVLAN = ("link add ipv0 link up0 type ipvlan mode l2",)
IPVTAP = ("link add ipv0 link up0 type ipvtap mode l2",)
BUSY = "Device or resource busy"

UPLINKS = [
    # the link, its code, what the host has, who is to blame, what the kernel says; None where ip obeys
    ("up0", "H205", IPVLAN, "ipv0", BUSY),
    ("up0", "H205", IPVTAP, "ipv0", BUSY),
    ("up0", "H207", BOND, "bond0", None),
    ("up0", "H207", TEAM, "team0", None),
    ("up0", "H207", VRF, "vrf0", None),
    ("vrf0", "H209", VRF[:2], "vrf0", None),
    ("ipv0", "H209", IPVLAN, "ipv0", None),
]


@pytest.mark.parametrize(("dev", "code", "given", "culprit", "refusal"), UPLINKS)
def test_prepare_refuses(uplink, ip, kernel_says, dev, code, given, culprit, refusal):
    for command in given:
        ip(command)
    plan = plan_to_prepare(dev)
    assert culprit in told(plan)[code]
    assert plan.steps == ()
    if refusal:
        ip("link add br9 type bridge")
        assert refusal in kernel_says(f"link set {dev} master br9")


LOWERS = [
    # the lower link, its code, what the host has, what the kernel says; no code where it is as good as any
    ("up0", "H303", BOND, BUSY),
    ("up0", "H303", TEAM, BUSY),
    ("up0", "H308", IPVLAN, BUSY),
    ("up0", "", VRF, ""),
    ("bond0", "", BOND, ""),
    ("up0.10", "", ("link add link up0 name up0.10 type vlan id 10",), ""),
    ("dummy7", "", ("link add dummy7 type dummy",), ""),
]


@pytest.mark.parametrize(("dev", "code", "given", "refusal"), LOWERS)
def test_a_macvtap_is_refused_where_the_kernel_would_refuse_it_and_only_there(
    uplink, ip, kernel_says, dev, code, given, refusal
):
    for command in given:
        ip(command)
    findings = check_direct(observe(), Direct(dev, MacvtapMode.BRIDGE), "52:54:00:00:00:01")
    assert [f.code for f in findings if f.is_error] == ([code] if code else [])
    said = kernel_says(f"link add mt9 link {dev} address 52:54:00:00:00:01 type macvtap mode bridge")
    assert refusal in said if refusal else said == ""


def test_a_wireless_nic_is_neither_uplink_nor_lower_link():
    """The simulated ones are where the machine's kernel has made them."""
    with the_first_namespace():
        host = observe()
        name = next(link.name for link in host.links if link.wireless)
        assert name in told(plan_to_prepare(name))["H206"]
        (finding,) = (f for f in check_direct(host, Direct(name, MacvtapMode.BRIDGE), None) if f.is_error)
        assert (finding.code, name in finding.what) == ("H304", True)
        run("ip link add br9 type bridge")
        done = subprocess.run(["ip", "link", "set", name, "master", "br9"], capture_output=True, text=True, check=False)
        run("ip link del br9")
        assert "does not allow enslaving" in done.stderr


def test_frames_that_the_nic_joins_are_told(lan):
    """vmxnet3 joins frames. As a port it may not, and the kernel does not have it do so again."""
    with the_first_namespace():
        name = next(link.name for link in observe().links if link.kind is None and link.permanent and not link.wireless)
    run(
        f"nsenter -t 1 -n ip link set {name} netns {os.getpid()}",
        f"ip link set {name} name nic7",
        "ip link set nic7 up",
        "ip addr add 10.7.0.2/24 dev nic7",
    )
    plan = plan_to_prepare("nic7")
    assert "nic7" in told(plan)["H405"]
    do(plan)
    assert not carried("nic7")["nic7"].lro
    assert "H405" not in told(plan_to_dismantle())
    do(plan_to_dismantle())
    assert not carried("nic7")["nic7"].lro


@pytest.mark.parametrize("passing", ["1", "0"])
def test_that_bridged_frames_pass_the_firewall_is_told(uplink, passing):
    Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text(passing)
    assert ("H406" in told(plan_to_prepare())) == (passing == "1")
