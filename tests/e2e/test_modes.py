"""The four macvtap modes, as guests feel them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.world import (
    GATEWAY,
    HOST_ADDRESS,
    UPLINK,
    UPLINK_MAC,
    Guest,
    changed,
    ip,
    links,
    run,
    tool,
    unchanged_world,
    until,
    vmnet,
)


@pytest.fixture
def pair(guest1: Guest, guest2: Guest) -> Callable[[str], str]:
    """Gives both guests a NIC in one mode, on the LAN; the address of the second one."""

    def attach(mode: str) -> str:
        nics = [
            changed("attach", g.name, "--direct", UPLINK, "--mode", mode)["nics"][0]["mac"] for g in (guest1, guest2)
        ]
        for guest, mac in zip((guest1, guest2), nics, strict=True):
            guest.reaches_lan(mac)
        return guest2.address(nics[1])

    return attach


def hairpin() -> None:
    """Have the LAN's switch send frames back out of the port they came in."""
    tool("ip", "-n", "lan", "link", "set", "port1", "type", "bridge_slave", "hairpin", "on")


def test_guests_in_mode_bridge_reach_each_other(guest1, pair):
    other = pair("bridge")
    assert guest1.pings(other)


def test_guests_in_mode_vepa_reach_each_other_only_by_a_switch_with_hairpin(guest1, pair):
    other = pair("vepa")
    assert not guest1.pings(other)
    hairpin()
    until(lambda: guest1.pings(other), "guest1 pings guest2 by the switch")


def test_guests_in_mode_private_never_reach_each_other(guest1, pair):
    other = pair("private")
    hairpin()
    assert not guest1.pings(other)
    assert not guest1.pings(other)
    assert guest1.pings(GATEWAY)


def test_mode_vepa_says_at_attach_what_it_takes(guest1):
    done = vmnet("attach", guest1.name, "--direct", UPLINK, "--mode", "vepa")
    assert done.code == 0
    assert "hairpin" in done.err
    assert "--mode bridge" in done.err


def test_a_passthrough_guest_takes_the_uplink_and_its_mac_alone(guest1, guest2):
    attach = ("--direct", UPLINK, "--mode")
    nic = changed("attach", guest1.name, *attach, "passthrough")["nics"][0]
    guest1.reaches_lan(nic["mac"])
    assert links()[UPLINK]["address"] == nic["mac"]

    for mode in ("passthrough", "bridge"):
        with unchanged_world():
            done = vmnet("attach", guest2.name, *attach, mode, "--json")
        assert done.code == 1
        assert [f["code"] for f in done.error["findings"] if f["severity"] == "error"] == ["H305"]
        assert nic["target"] in done.error["what"]
    assert guest1.pings(GATEWAY)

    changed("detach", guest1.name, nic["mac"])
    assert links()[UPLINK]["address"] == UPLINK_MAC


def test_an_uplink_that_guests_share_is_not_taken_by_one(guest1, guest2):
    nic = changed("attach", guest1.name, "--direct", UPLINK)["nics"][0]
    guest1.reaches_lan(nic["mac"])
    with unchanged_world():
        done = vmnet("attach", guest2.name, "--direct", UPLINK, "--mode", "passthrough", "--json")
    assert done.code == 1
    assert nic["target"] in done.error["what"]
    assert guest1.pings(GATEWAY)


def test_the_host_does_not_reach_a_macvtap_guest_and_was_told_so_with_a_remedy(guest1):
    ip(f"addr add {HOST_ADDRESS}/24 dev {UPLINK}")
    done = vmnet("attach", guest1.name, "--direct", UPLINK, "--mac", "52:54:00:00:00:01")
    assert done.code == 0
    assert f"the host cannot talk to this guest over macvtap: {UPLINK} carries its {HOST_ADDRESS}" in done.err
    assert "another NIC on a bridge" in done.err

    guest1.reaches_lan("52:54:00:00:00:01")
    address = guest1.address("52:54:00:00:00:01")
    assert run("ping", "-c", "1", "-W", "1", GATEWAY).code == 0
    assert run("ping", "-c", "1", "-W", "1", address).code != 0
    assert not guest1.pings(HOST_ADDRESS)
    assert run("ip", "netns", "exec", "lan", "ping", "-c", "1", "-W", "1", address).code == 0


def test_the_host_reaches_a_guest_on_a_bridge(guest1, br0):
    ip(f"addr add {HOST_ADDRESS}/24 dev {br0}")
    nic = changed("attach", guest1.name, "--bridge", br0)["nics"][0]
    guest1.reaches_lan(nic["mac"])
    assert run("ping", "-c", "1", "-W", "1", guest1.address(nic["mac"])).code == 0
    assert guest1.pings(HOST_ADDRESS)
