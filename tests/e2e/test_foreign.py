"""NICs that vmnet did not attach: libvirt named them, two have one MAC address, or one document alone has them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.world import CONSOLES, UPLINK, Guest, Waiting, changed, ip, tool, unchanged_world, vmnet
from vmnet.change.locks import locked

DEFINITIONS = "/etc/libvirt/qemu"


def plug(guest: Guest, bridge: str, *options: str) -> None:
    """Attach a NIC by virsh, which leaves all names to libvirt."""
    tool("virsh", "attach-interface", guest.name, "bridge", bridge, "--model", "virtio", *options)


@pytest.fixture
def two(guest1: Guest, br0: str) -> Guest:
    """guest1 with two NICs of libvirt's own naming."""
    for _ in range(2):
        plug(guest1, br0, "--live", "--config")
    for nic in guest1.running:
        guest1.reaches_lan(nic.mac)
    return guest1


@pytest.fixture
def unwritable(request: pytest.FixtureRequest) -> Iterator[None]:
    """guest1's definition is a mount point, which libvirt cannot put another file in place of; to be asked for late."""
    file = f"{DEFINITIONS}/guest1.xml"
    tool("mount", "--bind", file, file)
    yield
    tool("umount", file)


def test_a_nic_that_libvirt_named_is_replugged_and_may_get_another_name(two: Guest) -> None:
    first, second = two.running
    changed("set", two.name, "1", "--queues", "2", "--replug")
    assert {nic.mac: nic.element.xpath("string(driver/@queues)") for nic in two.running} == {
        first.mac: "2",
        second.mac: "",
    }
    assert [nic.element.xpath("string(driver/@queues)") for nic in two.defined] == ["2", ""]
    two.reaches_lan(first.mac)


def test_a_nic_that_libvirt_named_comes_back_when_its_detach_fails(two: Guest, request: pytest.FixtureRequest) -> None:
    places = {nic.mac: nic.address for nic in two.running}
    first = two.running[0].mac
    request.getfixturevalue("unwritable")
    done = vmnet("detach", two.name, "1", "--json")
    assert done.code == 3, done.error
    assert {nic.mac: nic.address for nic in two.running} == places
    two.reaches_lan(first)


@pytest.mark.parametrize(
    ("forward", "attachment", "name"),
    [
        ("<forward mode='bridge'/><bridge name='br0'/>", ("--bridge", "br0", "--target", "tap7"), "tap7"),
        (
            f"<forward mode='private'><interface dev='{UPLINK}'/></forward>",
            ("--direct", UPLINK, "--target", "mynic"),
            "mynic",
        ),
    ],
)
def test_a_replug_onto_a_network_is_undone_though_a_running_nic_shows_what_the_network_came_to(
    guest1: Guest, request: pytest.FixtureRequest, forward: str, attachment: tuple[str, ...], name: str
) -> None:
    if "br0" in attachment:
        request.getfixturevalue("br0")
    file = CONSOLES / "network.xml"
    file.write_text(f"<network><name>lab</name>{forward}</network>")
    tool("virsh", "net-define", str(file))
    tool("virsh", "net-start", "lab")
    nic = changed("attach", guest1.name, *attachment)["nics"][0]
    guest1.reaches_lan(nic["mac"])
    was = guest1.running[0]
    request.getfixturevalue("unwritable")
    done = vmnet("set", guest1.name, "1", "--network", "lab", "--replug", "--json")
    assert done.code == 3, done.error
    (is_,) = guest1.running
    assert is_.same_in_both == was.same_in_both
    assert is_.target == name
    assert is_.element.find("source").get("network") is None
    guest1.reaches_lan(nic["mac"])


def test_a_field_that_this_libvirt_ignores_on_a_running_nic_is_undone_by_a_replug(
    guest1: Guest, request: pytest.FixtureRequest
) -> None:
    """libvirt before 10.0 answers success to an update of trustGuestRxFilters, and does nothing."""
    nic = changed("attach", guest1.name, "--direct", UPLINK)["nics"][0]
    guest1.reaches_lan(nic["mac"])
    request.getfixturevalue("unwritable")
    done = vmnet("set", guest1.name, "1", "--trust-rx", "--replug", "--json")
    assert done.code == 3, done.error
    assert guest1.running[0].element.get("trustGuestRxFilters") is None
    guest1.reaches_lan(nic["mac"])


@pytest.fixture
def live_only(guest1: Guest, br0: str) -> Guest:
    """guest1 with a NIC that its definition has not got."""
    plug(guest1, br0, "--live")
    return guest1


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("set", "guest1", "1", "--boot-order", "7"), 1, "refused"),
        (("set", "guest1", "1", "--link", "down", "--config"), 1, "nic-unknown"),
        (("set", "--all", "1", "--link", "down", "--config"), 1, "nic-unknown"),
        (("set", "guest1", "1"), 2, "no-field-said"),
        (("attach", "--match", "off", "--direct", UPLINK, "--live"), 1, "no-domain-in-scope"),
        (("detach", "--match", "off", "1", "--live"), 1, "no-domain-in-scope"),
    ],
)
def test_what_would_change_nothing_is_refused_and_not_told_as_done(
    live_only: Guest, off: Guest, arguments: tuple[str, ...], code: int, error: str
) -> None:
    with unchanged_world():
        done = vmnet(*arguments, "--json")
    assert (done.code, done.json.get("error", {}).get("code")) == (code, error)


def test_of_several_domains_a_refusal_says_which_is_meant(guest1: Guest, guest2: Guest, br0: str) -> None:
    for guest in (guest1, guest2):
        changed("attach", guest.name, "--bridge", br0, "--mtu", "1400", "--config")
    with unchanged_world():
        done = vmnet("set", guest1.name, guest2.name, "1", "--direct", UPLINK, "--config", "--json")
        told = vmnet("set", guest1.name, guest2.name, "1", "--direct", UPLINK, "--config")
    errors = [f for f in done.error["findings"] if f["severity"] == "error" and f["code"].startswith("N")]
    assert {finding["domain"] for finding in errors} == {guest1.name, guest2.name}
    assert "error: guest1: " in told.err
    assert "error: guest2: " in told.err


def test_a_link_is_locked_by_whichever_of_its_names(off: Guest) -> None:
    ip(f"link property add dev {UPLINK} altname also-up0-with-a-longer-name")
    try:
        with (
            locked([f"link {UPLINK}"]),
            Waiting("", "attach", off.name, "--direct", "also-up0-with-a-longer-name") as waiting,
        ):
            waiting.at_rest()
            assert off.defined == []
    finally:
        ip(f"link property del dev {UPLINK} altname also-up0-with-a-longer-name")
