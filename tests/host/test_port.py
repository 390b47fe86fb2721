"""After an attach, the guest's link is found in the kernel and compared with its XML."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import pytest

from vmnet.errors import VmnetError
from vmnet.host import port
from vmnet.host.applier import HostWing
from vmnet.host.observe import observe
from vmnet.host.port import verify_port
from vmnet.host.steps import Unlearn, VerifyPort
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode

MAC = "52:54:00:00:00:01"
ON_BRIDGE = VerifyPort("guest1", MAC, Bridge("br0"))


@pytest.fixture(autouse=True)
def brief_deadline(monkeypatch):
    """A wrong link stays wrong: no need to wait for it as long as for a real guest."""
    monkeypatch.setattr(port, "DEADLINE", 0.1)


def _tap(ip, name, bridge, mac="fe:54:00:00:00:01", state="up"):
    ip(f"tuntap add {name} mode tap")
    ip(f"link set {name} address {mac} master {bridge} {state}")


@pytest.fixture
def bridges(ip):
    for name in ("br0", "br1"):
        ip(f"link add {name} type bridge")


def test_a_tap_on_its_bridge_passes(ip, bridges):
    _tap(ip, "vnet0", "br0")
    verify_port(ON_BRIDGE)


def test_a_tap_that_was_there_before_with_nearly_the_same_mac_does_not_disturb(ip, bridges):
    """libvirt makes fe of a tap's first octet: 02:54:00:00:00:01 and 52:54:00:00:00:01 look the same there."""
    _tap(ip, "vnet0", "br0")
    others = tuple(n.index for n in observe().guest_ends("02:54:00:00:00:01"))
    step = replace(ON_BRIDGE, mac="02:54:00:00:00:01", others=others)
    with pytest.raises(VmnetError, match="not in the kernel"):
        verify_port(step)
    _tap(ip, "vnet1", "br0")
    verify_port(step)


def test_the_same_mac_on_another_bridge_does_not_disturb(ip, bridges):
    _tap(ip, "vnet0", "br0")
    _tap(ip, "vnet1", "br1")
    verify_port(ON_BRIDGE)


@pytest.mark.parametrize("mode", list(MacvtapMode))
def test_a_macvtap_passes_in_its_mode(ip, uplink, mode):
    if mode == MacvtapMode.PASSTHROUGH:  # as libvirt does it: the lower takes the guest's MAC
        ip(f"link set up0 address {MAC}")
    ip(f"link add macvtap0 link up0 address {MAC} type macvtap mode {'passthru' if mode == 'passthrough' else mode}")
    ip("link set macvtap0 up")
    verify_port(VerifyPort("guest1", MAC.upper(), Direct("up0", mode)))


WRONG = [
    (["tap vnet0 br1 up"], ON_BRIDGE, "port of br1"),
    (["tap vnet0 br0 down"], ON_BRIDGE, "down"),
    ([], ON_BRIDGE, "no link with this MAC"),
    (["tap vnet0 br0 up", "tap vnet1 br0 up"], ON_BRIDGE, "vnet0.*vnet1"),
    (["tap vnet0 br0 up"], VerifyPort("guest1", MAC, Direct("up0", MacvtapMode.BRIDGE)), "vnet0"),
    (["macvtap up0 vepa"], VerifyPort("guest1", MAC, Direct("up0", MacvtapMode.BRIDGE)), "mode vepa"),
    (["macvtap lan0 bridge"], VerifyPort("guest1", MAC, Direct("up0", MacvtapMode.BRIDGE)), "on lan0"),
]


@pytest.mark.parametrize(("given", "step", "found"), WRONG)
def test_a_mismatch_says_what_was_expected_and_what_was_found(ip, uplink, bridges, given, step, found):
    for words in given:
        match words.split():
            case ["tap", name, bridge, state]:
                _tap(ip, name, bridge, state=state)
            case ["macvtap", lower, mode]:
                ip(f"link add macvtap0 link {lower} address {MAC} type macvtap mode {mode}")
                ip("link set macvtap0 up")
    with pytest.raises(VmnetError) as told:
        verify_port(step)
    assert told.value.code == "port-readback"
    assert "Expected: one link" in told.value.why
    assert re.search(found, told.value.why)


def test_a_bridge_forgets_where_it_heard_a_guest_but_at_its_tap(ip):
    for command in (
        "link add br0 type bridge",
        "link add v0 type veth peer name v1",
        "link set v0 master br0",
        *(f"link set {name} up" for name in ("v0", "v1", "br0")),
    ):
        ip(command)
    _tap(ip, "tap0", "br0")
    for mac, how in {MAC: "dynamic", "52:54:00:00:00:02": "dynamic", "52:54:00:00:00:03": "static"}.items():
        subprocess.run(["bridge", "fdb", "add", mac, "dev", "v0", "master", how], check=True)
    for _ in range(2):
        HostWing().apply(Unlearn("web", MAC, "br0"))
        said = subprocess.run(["bridge", "fdb", "show", "br", "br0"], check=True, capture_output=True, text=True).stdout
        assert [said.count(f"52:54:00:00:00:0{n}") for n in (1, 2, 3)] == [0, 1, 1]
