"""Fields of a NIC change where they are, live where the guest can take it; nothing else of the NIC does."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.e2e.world import (
    CONSOLES,
    UPLINK,
    changed,
    documents,
    links,
    make_bridge,
    photograph,
    tool,
    unchanged_world,
    vmnet,
)


@pytest.fixture
def macvtap(guest1):
    """A macvtap NIC of the running guest1, which reaches the LAN."""
    nic = changed("attach", guest1.name, "--direct", UPLINK)["nics"][0]
    guest1.reaches_lan(nic["mac"])
    return nic


@pytest.fixture
def tap(guest1, br0):
    """A bridge NIC of the running guest1, which reaches the LAN."""
    nic = changed("attach", guest1.name, "--bridge", br0)["nics"][0]
    guest1.reaches_lan(nic["mac"])
    return nic


def test_the_link_goes_down_and_up_under_the_guest(guest1, macvtap):
    before = documents(guest1)
    with guest1.told("lan eth0 down"):
        changed("set", guest1.name, macvtap["mac"], "--link", "down")
    assert "down" in tool("virsh", "domif-getlink", guest1.name, macvtap["target"])
    assert "down" in tool("virsh", "domif-getlink", guest1.name, macvtap["mac"], "--config")
    with guest1.told("lan eth0 up"):
        changed("set", guest1.name, macvtap["mac"], "--unset", "link")
    assert documents(guest1) == before


@pytest.mark.parametrize(
    ("option", "field", "path"),
    [
        (("--isolated",), "isolated", "port/@isolated"),
        (("--set", "coalesce=16"), "coalesce", "coalesce/rx/frames/@max"),
        (("--link", "down"), "link", "link/@state"),
    ],
)
def test_a_field_that_is_set_and_unset_leaves_both_documents_as_they_were(guest1, tap, option, field, path):
    before = documents(guest1)
    changed("set", guest1.name, tap["mac"], *option)
    for nic in (guest1.running[0], guest1.defined[0]):
        assert nic.element.xpath(path)
    changed("set", guest1.name, tap["mac"], "--unset", field)
    assert documents(guest1) == before


def test_an_isolated_port_is_isolated_in_the_kernel(guest1, tap):
    changed("set", guest1.name, tap["mac"], "--isolated")
    assert links()[tap["target"]]["linkinfo"]["info_slave_data"]["isolated"] is True


@pytest.mark.parametrize("mode", ["vepa", "private"])
def test_a_macvtap_mode_changes_in_the_kernel_without_a_replug(guest1, macvtap, mode):
    changed("set", guest1.name, macvtap["mac"], "--mode", mode)
    assert links()[macvtap["target"]]["linkinfo"]["info_data"]["mode"] == mode
    assert guest1.defined[0].attachment == ("direct", UPLINK, mode)
    guest1.reaches_lan(macvtap["mac"])


def test_a_mode_set_by_the_kernel_outlives_a_replug(guest1, macvtap):
    changed("set", guest1.name, macvtap["mac"], "--mode", "private")
    changed("set", guest1.name, macvtap["mac"], "--queues", "2", "--replug")
    (nic,) = guest1.running
    assert links()[nic.target]["linkinfo"]["info_data"]["mode"] == "private"


def test_a_tap_moves_to_another_bridge_without_losing_its_guest(guest1, tap):
    make_bridge("br1", uplink=None)
    changed("set", guest1.name, tap["mac"], "--bridge", "br1")
    assert links()[tap["target"]]["master"] == "br1"
    changed("set", guest1.name, tap["mac"], "--bridge", "br0")
    guest1.reaches_lan(tap["mac"])
    assert [nic.attachment[1] for nic in (*guest1.running, *guest1.defined)] == ["br0", "br0"]


def test_a_bridge_that_is_not_there_is_refused_before_anything_changes(guest1, tap):
    with unchanged_world():
        done = vmnet("set", guest1.name, tap["mac"], "--bridge", "br9", "--json")
    assert (done.code, done.error["findings"][-1]["code"]) == (1, "H103")


@pytest.mark.parametrize("option", [("--queues", "2"), ("--model", "e1000e"), ("--alias", "ua-web")])
def test_what_needs_a_replug_is_refused_without_the_word(guest1, macvtap, option):
    with unchanged_world():
        done = vmnet("set", guest1.name, macvtap["mac"], *option, "--json")
    assert done.code == 1
    assert "G311" in [f["code"] for f in done.error["findings"]]


def test_a_replug_gives_the_guest_the_same_nic_with_the_new_value(guest1, macvtap):
    was = guest1.running[0]
    changed("set", guest1.name, macvtap["mac"], "--queues", "2", "--replug")
    (live,), (config,) = guest1.running, guest1.defined
    assert live.same_in_both == config.same_in_both == was.same_in_both
    assert [n.element.xpath("driver/@queues") for n in (live, config)] == [["2"], ["2"]]
    guest1.reaches_lan(macvtap["mac"])


def test_a_replug_that_fails_gives_the_old_nic_back(guest1, macvtap):
    was = [nic.same_in_both for nic in (*guest1.running, *guest1.defined)]
    done = vmnet("set", guest1.name, macvtap["mac"], "--model", "nonsense", "--replug", "--json")
    assert done.code == 3
    assert [nic.same_in_both for nic in (*guest1.running, *guest1.defined)] == was
    guest1.reaches_lan(macvtap["mac"])


def test_the_definition_alone_takes_everything(guest1, macvtap):
    before = photograph()["links"]
    changed("set", guest1.name, macvtap["mac"], "--config", "--queues", "2", "--model", "virtio")
    assert guest1.defined[0].element.xpath("driver/@queues") == ["2"]
    assert not guest1.running[0].element.xpath("driver")
    assert photograph()["links"].keys() == before.keys()


def test_what_is_so_already_changes_nothing(guest1, macvtap):
    with unchanged_world():
        assert changed("set", guest1.name, macvtap["mac"], "--mode", "bridge")["steps"] == []


def test_a_dry_run_with_a_diff_shows_the_lines_and_does_nothing(guest1, tap):
    with unchanged_world():
        done = vmnet("set", guest1.name, tap["mac"], "--isolated", "--dry-run", "--diff")
    assert done.code == 0
    assert done.out.count('+  <port isolated="yes"/>') == 2


def test_elements_that_vmnet_does_not_know_stay(guest1, br0):
    nic = "<interface type='bridge'><source bridge='br0'/><mac address='52:54:00:00:00:66'/><model type='virtio'/>"
    tool(
        "virsh", "attach-device", guest1.name, write(f"{nic}<tune><sndbuf>1600</sndbuf></tune></interface>"), "--config"
    )
    changed("set", guest1.name, "52:54:00:00:00:66", "--mtu", "1400")
    (after,) = guest1.defined
    assert after.element.findtext("tune/sndbuf") == "1600"
    assert after.element.xpath("mtu/@size") == ["1400"]


def write(xml: str) -> str:
    file = CONSOLES / "nic.xml"
    file.write_text(etree.tostring(etree.fromstring(xml), encoding="unicode"))
    return str(file)


def test_a_field_changes_after_the_kernel_was_given_another_mode(guest1, macvtap):
    changed("set", guest1.name, macvtap["mac"], "--mode", "private")
    with guest1.told("lan eth0 down"):
        changed("set", guest1.name, macvtap["mac"], "--link", "down")
    assert links()[macvtap["target"]]["linkinfo"]["info_data"]["mode"] == "private"


def test_the_word_replug_does_not_replug_what_the_kernel_changes(guest1, macvtap):
    changed("set", guest1.name, macvtap["mac"], "--mode", "vepa", "--replug")
    assert links()[macvtap["target"]]["linkinfo"]["info_data"]["mode"] == "vepa"


def test_bandwidth_and_another_field_are_two_changes_of_one_nic(guest1, macvtap):
    with unchanged_world():
        plan = changed("set", guest1.name, macvtap["mac"], "--inbound", "1000", "--link", "down", "--dry-run")
    assert [step["fields"] for step in plan["steps"]] == [["inbound"], ["link"], ["link", "inbound"]]
    assert {c["field"]: c["verdict"] for c in plan["nics"][0]["changes"]} == {"inbound": "live", "link": "live"}


@pytest.mark.parametrize(
    ("attachment", "code"),
    [
        (("--direct", "nope"), "H301"),
        (("--direct", UPLINK), "H303"),
        (("--bridge", "br9"), "H103"),
    ],
)
def test_a_nic_is_not_let_go_of_for_a_link_that_cannot_take_it(guest1, tap, attachment, code):
    with unchanged_world():
        done = vmnet("set", guest1.name, tap["mac"], *attachment, "--replug", "--json")
    assert done.code == 1
    assert code in [finding["code"] for finding in done.error["findings"]]


def test_a_passthrough_beside_another_guest_is_refused_before_the_uplink_gets_its_mac(guest1, guest2, macvtap):
    changed("attach", guest2.name, "--direct", UPLINK)
    with unchanged_world():
        done = vmnet("set", guest1.name, macvtap["mac"], "--mode", "passthrough", "--replug", "--json")
    assert (done.code, "H306" in [f["code"] for f in done.error["findings"]]) == (1, True)


def test_a_bridge_nic_becomes_a_macvtap_and_comes_back(guest1, tap):
    was = guest1.running[0].same_in_both
    tool("ip", "link", "set", UPLINK, "nomaster")
    changed("set", guest1.name, tap["mac"], "--direct", UPLINK, "--replug")
    assert [nic.attachment for nic in (*guest1.running, *guest1.defined)] == [("direct", UPLINK, "bridge")] * 2
    guest1.reaches_lan(tap["mac"])
    changed("set", guest1.name, tap["mac"], "--bridge", "br0", "--replug")
    assert [nic.same_in_both for nic in (*guest1.running, *guest1.defined)] == [was] * 2


def test_a_mac_address_of_another_guest_is_refused(guest1, guest2, macvtap):
    other = changed("attach", guest2.name, "--direct", UPLINK)["nics"][0]
    with unchanged_world():
        done = vmnet("set", guest1.name, macvtap["mac"], "--mac", other["mac"], "--replug", "--json")
    assert (done.code, done.error["code"]) == (1, "mac-in-use")
