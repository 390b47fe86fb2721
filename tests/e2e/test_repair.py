"""A bridge is deleted and made again under running guests: their taps are put back, and they talk again."""

from __future__ import annotations

import pytest

from tests.e2e.test_list import network, of_network
from tests.e2e.world import Guest, changed, create, ip, links, make_bridge, photograph, until, vmnet

REPAIR = ("bridge", "repair", "br0")
OFFERED = "To put them back: vmnet bridge repair br0"


@pytest.fixture
def taps(guest1: Guest, guest2: Guest, br0: str) -> dict[str, str]:
    """The taps of two guests that talk over a bridge; that of the second is isolated."""
    nics = {}
    for guest, options in ((guest1, ()), (guest2, ("--isolated",))):
        nic = changed("attach", guest.name, "--bridge", br0, *options)["nics"][0]
        guest.reaches_lan(nic["mac"])
        nics[guest.name] = nic
    return {name: nic["target"] for name, nic in nics.items()}


def make_anew() -> None:
    """What ifdown and ifup, netplan apply and the like come to."""
    ip("link del br0")
    make_bridge("br0")


def isolated(tap: str) -> bool:
    return links()[tap]["linkinfo"]["info_slave_data"]["isolated"]


def test_guests_whose_bridge_was_made_again_talk_again(guest1, guest2, taps):
    macs = [guest.running[0].mac for guest in (guest1, guest2)]
    domains = photograph()["domains"]
    make_anew()
    until(lambda: guest1.is_cut_off(macs[0]), "the guest is cut off")
    for command in (("list",), ("bridge", "list"), ("bridge", "status", "br0")):
        done = vmnet(*command)
        assert OFFERED in done.err
        assert all(tap in done.err for tap in taps.values())
        assert OFFERED not in done.out
    plan = changed(*REPAIR, "--dry-run")
    assert not plan["applied"]
    assert {tap["target"] for tap in plan["taps"]} == set(taps.values())
    assert "master" not in links()[taps["guest1"]]
    done = vmnet(*REPAIR)
    assert (done.code, "Put back on bridge br0" in done.out) == (0, True)
    for guest, mac in zip((guest1, guest2), macs, strict=True):
        guest.reaches_lan(mac)
        assert links()[taps[guest.name]]["master"] == "br0"
    assert (isolated(taps["guest1"]), isolated(taps["guest2"])) == (False, True)
    assert not changed(*REPAIR)["applied"]
    assert OFFERED not in vmnet("list").err + vmnet("bridge", "list").err
    assert photograph()["domains"] == domains


def test_a_tap_on_another_bridge_comes_back(guest1, br0):
    nic = changed("attach", guest1.name, "--bridge", br0)["nics"][0]
    make_bridge("br1", uplink=None)
    ip(f"link set {nic['target']} master br1")
    assert OFFERED in vmnet("list").err
    done = changed(*REPAIR)
    assert [(tap["domain"], tap["before"]) for tap in done["taps"]] == [(guest1.name, "br1")]
    assert "H473" in [finding["code"] for finding in done["findings"]]
    guest1.reaches_lan(nic["mac"])


def test_a_tap_that_is_down_or_of_a_libvirt_network_comes_back_too(br0):
    network("on-bridge")
    create("passing", extra=[of_network("on-bridge")])
    (tap,) = (name for name in links() if name.startswith("vnet"))
    make_anew()
    ip(f"link set {tap} down")
    assert changed(*REPAIR)["applied"]
    assert (links()[tap]["master"], "UP" in links()[tap]["flags"]) == ("br0", True)


def test_a_bridge_that_is_not_there_is_refused_with_what_to_do(guest1, br0):
    changed("attach", guest1.name, "--bridge", br0)
    ip("link del br0")
    done = vmnet(*REPAIR, "--json")
    assert (done.code, done.error["findings"][0]["code"]) == (1, "H470")
    assert "vmnet bridge prepare br0" in done.error["remedy"]
    assert guest1.name in done.error["why"]
