"""What fails on the way is put back as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.world import (
    ATTACHMENTS,
    CONSOLES,
    UPLINK,
    UPLINK_MAC,
    changed,
    define_with_three_nics,
    ip,
    links,
    make_bridge,
    tool,
    unchanged_world,
    until,
    vmnet,
)

MADE = ATTACHMENTS["bridge-made"]
DEFINITIONS = "/etc/libvirt/qemu"


@pytest.fixture
def definitions_cannot_be_written() -> Iterator[None]:
    """libvirt keeps definitions on a file system that is read-only: it changes running guests, and no definition."""
    tool("mount", "--bind", DEFINITIONS, DEFINITIONS)
    tool("mount", "-o", "remount,bind,ro", DEFINITIONS)
    yield
    tool("umount", DEFINITIONS)


def test_a_nic_that_qemu_refuses_leaves_no_bridge_and_a_free_uplink(guest1):
    with unchanged_world():
        done = vmnet("attach", guest1.name, *MADE, "--model", "nonsense", "--json")
        assert "br0" not in links()
        assert "master" not in links()[UPLINK]
    assert done.code == 3
    assert "not a valid device model" in done.error["why"]
    assert "bridge br0 deleted" in done.error["remedy"]


def test_an_uplink_that_was_given_to_an_existing_bridge_is_taken_back(guest1):
    make_bridge("br0")
    ip(f"link set {UPLINK} nomaster")
    until(lambda: links()["br0"]["operstate"] == "DOWN", "a bridge that has lost its port has no carrier")
    with unchanged_world():
        done = vmnet("attach", guest1.name, *MADE, "--model", "nonsense")
    assert done.code == 3


def test_a_refusal_before_any_change_says_that_nothing_was_changed(guest1):
    with unchanged_world():
        done = vmnet("attach", guest1.name, "--direct", UPLINK, "--model", "nonsense")
    assert done.code == 1


@pytest.mark.parametrize("kind", ["bridge-made", "macvtap-bridge", "macvtap-passthrough"])
def test_a_definition_that_cannot_be_written_takes_the_live_nic_back_too(guest1, definitions_cannot_be_written, kind):
    with unchanged_world():
        done = vmnet("attach", guest1.name, *ATTACHMENTS[kind], "--json")
    assert done.code == 3
    assert "Read-only file system" in done.error["why"]
    assert "off guest1 (live) again" in done.error["remedy"]


def test_a_detach_whose_definition_cannot_be_written_gives_the_nic_back(guest1, request):
    nic = changed("attach", guest1.name, "--direct", UPLINK)["nics"][0]
    guest1.reaches_lan(nic["mac"])
    was = guest1.running[0].same_in_both
    request.getfixturevalue("definitions_cannot_be_written")
    done = vmnet("detach", guest1.name, nic["mac"], "--json")
    assert done.code == 3
    assert [n.same_in_both for n in guest1.running] == [was]
    assert [n.same_in_both for n in guest1.defined] == [was]
    guest1.reaches_lan(nic["mac"])


@pytest.mark.parametrize("network", ["lan1", "also0"])
def test_a_tap_that_moved_to_another_network_goes_back_to_its_own(guest1, br0, request, network):
    make_bridge("br1", uplink=None)
    for name, bridge in {"lan0": "br0", "lan1": "br1", "also0": "br0"}.items():
        file = CONSOLES / "network.xml"
        file.write_text(f"<network><name>{name}</name><forward mode='bridge'/><bridge name='{bridge}'/></network>")
        tool("virsh", "net-create", str(file))
    nic = changed("attach", guest1.name, "--network", "lan0")["nics"][0]
    request.getfixturevalue("definitions_cannot_be_written")
    done = vmnet("set", guest1.name, nic["mac"], "--network", network, "--json")
    assert done.code == 3
    for seen in (*guest1.running, *guest1.defined):
        assert seen.element.xpath("source/@network") == ["lan0"]
    assert links()[nic["target"]]["master"] == "br0"


def test_an_uplink_that_a_passthrough_guest_gives_back_is_as_it_was(guest1):
    """libvirt sets the lower link of a passthrough macvtap down when it goes (qemuInterfaceStopDevice, 9.0)."""
    with unchanged_world():
        nic = changed("attach", guest1.name, "--direct", UPLINK, "--mode", "passthrough")["nics"][0]
        changed("detach", guest1.name, nic["mac"])


@pytest.fixture
def container_on_uplink() -> Iterator[None]:
    """A macvlan of the uplink's in another namespace, where vmnet does not see it."""
    ip(f"link add container link {UPLINK} type macvlan mode bridge")
    ip("link set container netns lan")
    yield
    tool("ip", "-n", "lan", "link", "del", "container")


def test_an_uplink_that_cannot_be_taken_whole_gets_its_mac_back(guest1, container_on_uplink):
    """libvirt changes the uplink's MAC before the kernel refuses to make the macvtap, and does not change it back."""
    with unchanged_world():
        done = vmnet("attach", guest1.name, *ATTACHMENTS["macvtap-passthrough"], "--json")
    assert done.code == 3
    assert f"{UPLINK} has its MAC {UPLINK_MAC} again" in done.error["remedy"]


@pytest.mark.parametrize("command", [("set", "--alias", "ua-web"), ("set", "--unset", "boot_order"), ("detach",)])
def test_what_was_done_to_a_definition_is_undone_where_the_nic_was(br0, command):
    """The second domain's definition is a mount point, which libvirt cannot put another file in place of."""
    off, other = define_with_three_nics("off"), define_with_three_nics("other")
    file = f"{DEFINITIONS}/{other.name}.xml"
    tool("mount", "--bind", file, file)
    try:
        with unchanged_world():
            verb, *wish = command
            done = vmnet(verb, off.name, other.name, "2", *wish, "--json")
    finally:
        tool("umount", file)
    assert done.code == 3
    assert done.error["remedy"].count("on off (config)") == 1
