"""The same command twice does nothing the second time; the same wish gives the same NIC."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.world import ATTACHMENTS, UPLINK, changed, ip, make_bridge, unchanged_world, vmnet
from vmnet.guest.connection import Connection
from vmnet.operations.attach import attach
from vmnet.operations.change import Run
from vmnet.operations.choice import Choice
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
        done = attach(connection, Choice([guest1.name]), wish, run=Run())
        again = attach(connection, Choice([guest1.name]), wish, run=Run())
    assert done.applied
    assert not again.applied
    assert done.nics[0].nic == again.nics[0].nic
    assert done.nics[0].nic.target == guest1.running[0].target


@pytest.mark.parametrize("kind", ATTACHMENTS)
def test_a_nic_of_the_running_guest_can_be_given_to_the_definition_later(guest1, kind):
    if kind == "bridge-existing":
        make_bridge("br0")
    changed("attach", guest1.name, *ATTACHMENTS[kind], "--mac", MAC, "--live")
    done = changed("attach", guest1.name, *ATTACHMENTS[kind], "--mac", MAC)
    assert {"H305", "H307", "H314"}.isdisjoint(f["code"] for f in done["findings"])
    assert [n.same_in_both for n in guest1.defined] == [n.same_in_both for n in guest1.running]


@pytest.fixture
def further_name() -> Iterator[str]:
    """Another name of the uplink, such as udev gives."""
    ip(f"link property add dev {UPLINK} altname enp9s0")
    yield "enp9s0"
    ip(f"link property del dev {UPLINK} altname enp9s0")


def test_a_nic_attached_by_a_further_name_of_the_uplink_is_the_same_nic(guest1, further_name):
    changed("attach", guest1.name, "--direct", further_name, "--mac", MAC)
    assert guest1.running[0].attachment == guest1.defined[0].attachment == ("direct", UPLINK, "bridge")
    for name in (UPLINK, further_name):
        assert not changed("attach", guest1.name, "--direct", name, "--mac", MAC)["applied"]
