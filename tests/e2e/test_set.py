"""Fields of a NIC change where they are, live where the guest can take it; nothing else of the NIC does."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.e2e.world import (
    CONSOLES,
    UPLINK,
    changed,
    define_with_three_nics,
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
        (("--network", "nope"), "G316"),
        (("--address", "0000:1f:00.0"), "G318"),
        (("--model", "e1000e", "--queues", "2"), "N102"),
    ],
)
def test_a_nic_is_not_let_go_of_for_what_cannot_be(guest1, tap, attachment, code):
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


@pytest.fixture
def ordered(br0):
    """A shut-off guest with three NICs, of which the second alone has a boot order."""
    return define_with_three_nics("ordered")


@pytest.mark.parametrize(
    ("wish", "seen"),
    [
        (("--mac", "52:54:00:00:00:99"), lambda nic: nic.mac == "52:54:00:00:00:99"),
        (("--alias", "ua-web"), lambda nic: nic.alias == "ua-web"),
        (("--address", "0000:07:00.0"), lambda nic: nic.address[2] == "0x07"),
    ],
)
def test_a_nic_whose_identity_changes_keeps_its_place_in_the_definition(ordered, wish, seen):
    changed("set", ordered.name, "2", *wish)
    assert [seen(nic) for nic in ordered.defined] == [False, True, False]
    assert [nic.element.xpath("boot/@order") for nic in ordered.defined] == [[], ["1"], []]


def test_a_mac_address_changes_back_to_the_very_definition_that_was_and_metadata_stays_as_it_is_written(ordered):
    tool("virsh", "metadata", ordered.name, "urn:x", "--key", "x", "--set", "<a><b/> text\n <c> </c></a>", "--config")
    was, before = ordered.defined[1].mac, documents(ordered)[1]
    changed("set", ordered.name, "2", "--mac", "52:54:00:00:00:99")
    assert documents(ordered)[1] == before.replace(was, "52:54:00:00:00:99")
    changed("set", ordered.name, "2", "--mac", was)
    assert documents(ordered)[1] == before


@pytest.fixture
def networks(br0):
    """Libvirt networks on bridges of the host's, and one of libvirt's own; two with port groups."""
    make_bridge("br1", uplink=None)
    groups = "<portgroup name='sales'/><portgroup name='dev'/>"
    for name, body in {
        "lan0": f"<forward mode='bridge'/><bridge name='br0'/>{groups}",
        "lan1": f"<forward mode='bridge'/><bridge name='br1'/>{groups}",
        "also0": "<forward mode='bridge'/><bridge name='br0'/>",
        "island": "<bridge name='br2' stp='off'/>",
        "direct": f"<forward mode='bridge'><interface dev='{UPLINK}'/></forward>",
    }.items():
        file = CONSOLES / "network.xml"
        file.write_text(f"<network><name>{name}</name>{body}</network>")
        tool("virsh", "net-define", str(file))
        tool("virsh", "net-start", name)


@pytest.fixture
def networked(guest1, networks):
    """A NIC of the running guest1 in a libvirt network, which reaches the LAN."""
    nic = changed("attach", guest1.name, "--network", "lan0", "--set", "portgroup=sales")["nics"][0]
    guest1.reaches_lan(nic["mac"])
    return nic


@pytest.mark.parametrize(
    ("wish", "bridge"),
    [
        (("--network", "lan1"), "br1"),
        (("--network", "also0"), "br0"),
        (("--network", "island"), "br2"),
        (("--bridge", "br1"), "br1"),
    ],
)
def test_a_tap_moves_between_networks_and_bridges_without_a_replug(guest1, networked, wish, bridge):
    alias = guest1.running[0].alias
    done = changed("set", guest1.name, networked["mac"], *wish, "--unset", "portgroup")
    assert [step["action"] for step in done["steps"]] == ["Update", "Unlearn", "VerifyPort", "Update"]
    (live,), (config,) = guest1.running, guest1.defined
    for nic in (live, config):
        assert nic.element.xpath(f"source/@{wish[0][2:]}") == [wish[1]]
        assert not nic.element.xpath("source/@portgroup")
    assert links()[live.target]["master"] == bridge
    assert (live.alias, live.target) == (alias, networked["target"])
    changed("set", guest1.name, networked["mac"], "--network", "lan0", "--set", "portgroup=sales")
    assert links()[live.target]["master"] == "br0"
    assert guest1.running[0].element.xpath("source/@portgroup") == ["sales"]
    guest1.reaches_lan(networked["mac"])


def test_a_tap_that_would_become_a_macvtap_needs_a_replug(guest1, networked):
    with unchanged_world():
        done = vmnet("set", guest1.name, networked["mac"], "--network", "direct", "--json")
    assert (done.code, done.error["findings"][0]["code"]) == (1, "G311")


@pytest.mark.parametrize("how", [("--config", "--dry-run"), ("--replug", "--dry-run"), ("--config",), ("--replug",)])
def test_a_port_group_alone_changes_on_a_running_nic_of_a_network(guest1, networked, how):
    done = changed("set", guest1.name, networked["mac"], "--set", "portgroup=dev", *how)
    assert (done["nics"][0]["network"], done["nics"][0]["portgroup"]) == ("lan0", "dev")
    wanted = "sales" if "--dry-run" in how else "dev"
    assert guest1.defined[0].element.xpath("source/@portgroup") == [wanted]


@pytest.mark.parametrize("how", [("--live",), ("--config",), ()])
def test_a_network_that_libvirt_does_not_have_is_refused_before_anything_is_done(guest1, how):
    with unchanged_world():
        done = vmnet("attach", guest1.name, "--network", "nope", *how, "--json")
    assert (done.code, [f["code"] for f in done.error["findings"]]) == (1, ["G316"])


def test_a_network_that_is_not_started_takes_no_running_nic_and_may_be_defined(guest1, networks):
    tool("virsh", "net-destroy", "lan1")
    with unchanged_world():
        done = vmnet("attach", guest1.name, "--network", "lan1", "--json")
    assert (done.code, [f["code"] for f in done.error["findings"]]) == (1, ["G317"])
    changed("attach", guest1.name, "--network", "lan1", "--config")


@pytest.mark.parametrize("wish", [("--queues", "1"), ("--set", "coalesce=0")])
def test_what_libvirt_does_not_keep_is_as_if_it_were_unset(guest1, tap, wish):
    changed("set", guest1.name, "1", "--queues", "2", "--set", "coalesce=8", "--replug")
    done = changed("set", guest1.name, "1", *wish, "--replug")
    assert done["applied"]
    for nic in (*guest1.running, *guest1.defined):
        gone = "driver/@queues" if "--queues" in wish else "coalesce/rx/frames/@max"
        assert not nic.element.xpath(gone)
    assert not changed("set", guest1.name, "1", *wish, "--replug")["steps"]


def test_a_nic_keeps_its_number_through_a_replug(guest1, tap):
    changed("attach", guest1.name, "--bridge", "br0")
    changed("set", guest1.name, "1", "--mtu", "1400", "--replug")
    assert changed("set", guest1.name, "1", "--mtu", "1400", "--replug")["steps"] == []


@pytest.mark.parametrize("how", [("--live",), ("--config",), ()])
@pytest.mark.parametrize("verb", ["attach", "set"])
def test_a_filter_that_libvirt_does_not_have_is_refused_before_anything_is_done(guest1, tap, verb, how):
    rest = ("--bridge", "br0") if verb == "attach" else (tap["mac"],)
    with unchanged_world():
        done = vmnet(verb, guest1.name, *rest, "--filter", "nope", *how, "--json")
    assert done.code == 1
    assert [f["code"] for f in done.error["findings"] if f["severity"] == "error"] == ["G313"]


def test_a_filter_that_is_gone_bars_only_what_would_bring_it(guest1, br0):
    tool("virsh", "nwfilter-define", write("<filter name='mine'/>"))
    nic = changed("attach", guest1.name, "--bridge", br0, "--filter", "mine", "--config")["nics"][0]
    tool("virsh", "nwfilter-undefine", "mine")
    changed("set", guest1.name, nic["mac"], "--link", "down")  # the filter is none of this change's
    with unchanged_world():
        done = vmnet(
            "attach", guest1.name, "--bridge", br0, "--mac", nic["mac"], "--filter", "mine", "--live", "--json"
        )
    assert (done.code, done.error["findings"][-1]["code"]) == (1, "G313")
