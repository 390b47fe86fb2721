"""The host and its macvtap guests talk over a hostlink, which has an address of its own or the host's."""

from __future__ import annotations

import json

import pytest

from tests.e2e.test_bridge import device_of, pinged_from_the_lan
from tests.e2e.world import GATEWAY, HOST_ADDRESS, UPLINK, UPLINK_MAC, Guest, changed, ip, run, unchanged_world, vmnet

OWN = "10.99.0.12"
ADD = ("hostlink", "add", "--uplink", UPLINK)
MOVE = (*ADD, "--move-ip")
REMOVE = ("hostlink", "remove", "host0")


@pytest.fixture
def host() -> str:
    """The host's address and default route, both over the uplink."""
    ip(f"addr add {HOST_ADDRESS}/24 dev {UPLINK}")
    ip(f"route add default via {GATEWAY}")
    return HOST_ADDRESS


@pytest.fixture
def macvtapped(guest1: Guest) -> str:
    """The address of a guest on a macvtap."""
    nic = changed("attach", guest1.name, "--direct", UPLINK)["nics"][0]
    guest1.reaches_lan(nic["mac"])
    return guest1.address(nic["mac"]).partition("/")[0]


def pings(address: str) -> bool:
    return run("ping", "-c", "1", "-W", "1", address).code == 0


@pytest.mark.parametrize("options", [("--address", f"{OWN}/24"), ("--move-ip",)], ids=["own", "moved"])
def test_host_and_guest_talk_both_ways_over_a_hostlink_and_not_without(host, guest1, macvtapped, options):
    assert not pings(macvtapped)
    assert not guest1.pings(host)
    mine = OWN if "--address" in options else host
    with unchanged_world():
        done = changed(*ADD, *options)
        assert done["applied"]
        assert pings(macvtapped)
        assert guest1.pings(mine)
        assert guest1.pings(GATEWAY)
        assert pings(GATEWAY)
        assert not changed(*ADD, *options)["applied"]
        changed(*REMOVE)
        assert not changed(*REMOVE)["applied"]
    assert not pings(macvtapped)


def test_the_hosts_address_moves_there_and_back_without_a_lost_packet(host):
    with unchanged_world(), pinged_from_the_lan(host):
        plan = changed(*MOVE, "--dry-run")
        assert [step["action"] for step in plan["steps"]] == ["CreateHostlink", "CarryToHostlink", "VerifyPeers"]
        changed(*MOVE)
        assert device_of(host) == "host0"
        (seen,) = vmnet("hostlink", "list", "--json").json["hostlinks"]
        assert (seen["name"], seen["uplink"], seen["carries_uplinks"]) == ("host0", UPLINK, True)
        assert [a.partition("/")[0] for a in seen["addresses"]] == [host]
        assert "host0" in vmnet("hostlink", "list").out
        refused = vmnet("bridge", "prepare", "br0", "--uplink", UPLINK, "--json")
        assert "vmnet hostlink remove host0" in refused.error["remedy"]
        changed(*REMOVE)
        assert device_of(host) == UPLINK


def test_the_lan_knows_the_host_by_its_new_mac_at_once(host):
    def known() -> str:
        return json.loads(run("ip", "-n", "lan", "-j", "neigh", "show", host).out)[0]["lladdr"]

    assert run("ip", "netns", "exec", "lan", "ping", "-c", "1", "-W", "2", host).code == 0
    assert known() == UPLINK_MAC
    changed(*MOVE)
    assert known() == ip("-j link show host0")[0]["address"]
    changed(*REMOVE)
    assert known() == UPLINK_MAC


def test_what_was_done_can_be_undone_later(host):
    with unchanged_world():
        transaction = changed(*MOVE)["transaction"]
        assert vmnet("undo", transaction).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        ((*ADD, "--address", "10.99.0.300/24"), 2, "bad-value"),
        ((*ADD, "--address", f"{OWN}/24", "--move-ip"), 2, "usage"),
        (("hostlink", "add", "--uplink", "nope"), 1, "refused"),
        (("hostlink", "remove", UPLINK), 1, "refused"),
    ],
)
def test_what_cannot_be_is_refused(host, arguments, code, found):
    with unchanged_world():
        done = vmnet(*arguments, "--json")
    assert (done.code, done.error["code"]) == (code, found)
