"""The same command twice does nothing the second time; the same wish gives the same NIC."""

from __future__ import annotations

import pytest

from tests.e2e.world import ATTACHMENTS, UPLINK, changed, make_bridge, unchanged_world, vmnet
from vmnet.guest.connection import Connection
from vmnet.operations.attach import attach
from vmnet.operations.change import Run
from vmnet.operations.wish import NicWish

MAC = "52:54:00:00:00:01"


@pytest.mark.parametrize("domain", ["guest1", "off"])
@pytest.mark.parametrize("kind", ATTACHMENTS)
def test_the_same_attach_twice_does_nothing_the_second_time(off, domain, kind):
    if kind == "bridge-existing":
        make_bridge("br0")
    command = ("attach", domain, *ATTACHMENTS[kind], "--mac", MAC)
    changed(*command)
    with unchanged_world():
        again = changed(*command)
        said = vmnet(*command)
    assert not again["applied"]
    assert again["steps"] == []
    assert (said.code, said.out) == (0, "Nothing to do.\n")


def test_a_nic_is_not_attached_again_elsewhere_under_its_mac(guest1):
    changed("attach", guest1.name, "--direct", UPLINK, "--mac", MAC)
    with unchanged_world():
        done = vmnet("attach", guest1.name, "--direct", UPLINK, "--mode", "vepa", "--mac", MAC, "--json")
    assert done.code == 1
    assert "G303" in [f["code"] for f in done.error["findings"]]
    assert "mode is bridge, not vepa" in str(done.error["findings"])


def test_a_seed_gives_the_same_mac_each_time_and_another_seed_another(guest1):
    def mac(seed: str) -> str:
        nic = changed("attach", guest1.name, "--direct", UPLINK, "--config", "--mac", f"seed:{seed}")["nics"][0]
        changed("detach", guest1.name, nic["mac"])
        return nic["mac"]

    first = mac("web 1")
    assert first.startswith("52:54:00:")
    assert mac("web 1") == first
    assert mac("web 2") != first


def test_a_seed_attached_twice_is_one_nic(guest1):
    command = ("attach", guest1.name, "--direct", UPLINK, "--mac", "seed:once")
    changed(*command)
    assert changed(*command)["steps"] == []
    assert len(guest1.running) == len(guest1.defined) == 1


def test_the_python_api_attaches_like_the_command(guest1):
    with Connection("qemu:///system") as connection:
        wish = NicWish({"direct": UPLINK, "mac": MAC})
        done = attach(connection, guest1.name, wish, run=Run())
        again = attach(connection, guest1.name, wish, run=Run())
    assert done.applied
    assert not again.applied
    assert done.nics == again.nics
    assert done.nics[0]["target"] == guest1.running[0].target
