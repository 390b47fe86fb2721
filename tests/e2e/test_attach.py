"""A NIC comes and goes: every attachment, on a guest that runs and on one that does not."""

from __future__ import annotations

import pytest

from tests.e2e.world import (
    ATTACHMENTS,
    GATEWAY,
    UPLINK,
    UPLINK_MAC,
    Guest,
    changed,
    create,
    links,
    make_bridge,
    tool,
    unchanged_world,
    vmnet,
)

every_attachment = pytest.mark.parametrize("kind", ATTACHMENTS)
KERNEL_MODES = {"passthrough": "passthru"}


def attach(guest: Guest, kind: str, *more: str) -> dict:
    """Attach a NIC of that kind, on a host that is ready for it; the NIC as vmnet tells it."""
    if kind == "bridge-existing":
        make_bridge("br0")
    (nic,) = changed("attach", guest.name, *ATTACHMENTS[kind], *more)["nics"]
    return nic


def expected(kind: str) -> tuple[str, str, str]:
    how, detail = kind.split("-")
    return ("direct", UPLINK, detail) if how == "macvtap" else ("bridge", "br0", "")


def assert_link_of(nic: dict, kind: str) -> None:
    """The kernel has the NIC's link, and has it where the attachment says."""
    found = links()
    link = found[nic["target"]]
    assert "UP" in link["flags"]
    how, detail = kind.split("-")
    if how == "macvtap":
        assert (link["linkinfo"]["info_kind"], link["link"]) == ("macvtap", UPLINK)
        assert link["linkinfo"]["info_data"]["mode"] == KERNEL_MODES.get(detail, detail)
        assert link["address"] == nic["mac"]
    else:
        assert (link["linkinfo"]["info_kind"], link["master"]) == ("tun", "br0")
        assert found[UPLINK]["master"] == "br0"


@every_attachment
def test_a_running_guest_gets_a_nic_now_and_for_ever_and_gives_it_back(guest1, kind):
    nic = attach(guest1, kind)
    (live,), (config,) = guest1.running, guest1.defined
    assert live.same_in_both == config.same_in_both
    assert (live.mac, live.model, live.attachment) == (nic["mac"], "virtio", expected(kind))
    assert live.alias.startswith("ua-")
    assert live.target == nic["target"]
    assert_link_of(nic, kind)
    guest1.reaches_lan(nic["mac"])

    with guest1.told(rf"lab: nic- \w+ {nic['mac']}"):
        changed("detach", guest1.name, nic["mac"])
        assert (guest1.running, guest1.defined) == ([], [])
        assert nic["target"] not in links()


@every_attachment
def test_a_guest_that_is_off_gets_a_nic_in_its_definition_and_gives_it_back(off, kind):
    nic = attach(off, kind)
    (config,) = off.defined
    assert (config.mac, config.attachment) == (nic["mac"], expected(kind))
    assert config.alias.startswith("ua-")
    assert all(config.address)
    assert set(links()) == {"lo", UPLINK} | ({"br0"} if kind.startswith("bridge") else set())
    if kind == "bridge-made":
        assert links()[UPLINK]["master"] == "br0"

    changed("detach", off.name, nic["mac"])
    assert off.defined == []


@pytest.mark.parametrize("kind", ["macvtap-bridge", "bridge-made"])
def test_a_guest_that_was_off_reaches_the_lan_when_it_starts(off, kind):
    nic = attach(off, kind)
    tool("virsh", "start", off.name)
    off.has_booted()
    off.reaches_lan(nic["mac"])
    (live,), (config,) = off.running, off.defined
    assert live.same_in_both == config.same_in_both
    assert vmnet("list", off.name, "--json").json["nics"][0]["differs"] == {}


def test_a_made_bridge_is_the_uplink_to_the_lan_and_outlives_its_guest(guest1):
    nic = attach(guest1, "bridge-made")
    bridge = links()["br0"]
    assert (bridge["address"], bridge["mtu"]) == (UPLINK_MAC, links()[UPLINK]["mtu"])
    assert bridge["linkinfo"]["info_data"]["stp_state"] == 0
    assert bridge["linkinfo"]["info_data"]["forward_delay"] == 0
    changed("detach", guest1.name, nic["mac"])
    assert links()[UPLINK]["master"] == "br0"


def test_two_guests_share_the_bridge_that_the_first_one_brought(guest1, guest2):
    first, second = attach(guest1, "bridge-made"), attach(guest2, "bridge-made")
    guest1.reaches_lan(first["mac"])
    guest2.reaches_lan(second["mac"])
    assert guest1.pings(guest2.address(second["mac"]))


@pytest.mark.parametrize("kind", ["macvtap-bridge", "bridge-made"])
def test_a_transient_guest_has_no_definition_to_be_changed(kind):
    guest = create("passing", "--paused")
    nic = attach(guest, kind)
    (live,) = guest.running
    assert (live.mac, live.attachment) == (nic["mac"], expected(kind))
    plan = changed("attach", guest.name, *ATTACHMENTS[kind], "--dry-run")
    assert not [s for s in plan["steps"] if "definition" in s["summary"]]


def test_live_changes_the_running_guest_alone(guest1):
    nic = attach(guest1, "macvtap-bridge", "--live")
    assert (len(guest1.running), guest1.defined) == (1, [])
    guest1.reaches_lan(nic["mac"])
    changed("detach", guest1.name, nic["mac"], "--live")
    assert guest1.running == []


def test_config_changes_the_definition_alone(guest1):
    nic = attach(guest1, "macvtap-bridge", "--config")
    assert (guest1.running, len(guest1.defined)) == ([], 1)
    assert set(links()) == {"lo", UPLINK}
    changed("detach", guest1.name, nic["mac"], "--config")
    assert guest1.defined == []


def test_a_nic_in_one_document_comes_into_the_other_at_the_same_place(guest1):
    nic = attach(guest1, "macvtap-bridge", "--config")
    attach(guest1, "macvtap-bridge", "--mac", nic["mac"], "--live")
    (live,), (config,) = guest1.running, guest1.defined
    assert live.same_in_both == config.same_in_both


def test_a_detach_of_one_document_leaves_the_other(guest1):
    nic = attach(guest1, "macvtap-bridge")
    changed("detach", guest1.name, nic["mac"], "--config")
    assert (len(guest1.running), guest1.defined) == (1, [])
    changed("detach", guest1.name, nic["mac"])
    assert guest1.running == []


@pytest.mark.parametrize(("scope", "code"), [("--live", "G301"), ("--config", "G302")])
def test_a_document_that_the_domain_has_not_is_not_changed(off, scope, code):
    guest = off if scope == "--live" else create("passing", "--paused")
    with unchanged_world():
        done = vmnet("attach", guest.name, "--direct", UPLINK, scope, "--json")
    assert done.code == 1
    assert [f["code"] for f in done.error["findings"] if f["severity"] == "error"] == [code]
    assert done.error["remedy"]


def test_all_that_was_wished_is_in_both_documents_and_in_the_guest(guest1):
    wish = {"--model": "e1000e", "--mac": "seed:the-one", "--alias": "ua-front", "--address": "0000:04:00.0"}
    (nic,) = changed("attach", guest1.name, "--direct", UPLINK, "--link", "down", *sum(wish.items(), ()))["nics"]
    (live,), (config,) = guest1.running, guest1.defined
    assert live.same_in_both == config.same_in_both
    assert (live.model, live.alias, live.address[2:]) == ("e1000e", "ua-front", ("0x04", "0x00", "0x0"))
    assert (nic["mac"][:8], nic["link"]) == ("52:54:00", "down")


def test_a_carrier_that_is_down_is_down_in_the_guest(guest1):
    with guest1.told(r"lab: lan \w+ down"):
        nic = attach(guest1, "macvtap-bridge", "--link", "down")
    assert not guest1.pings(GATEWAY)
    assert nic["link"] == "down"


def test_a_nic_is_named_by_any_of_its_names(guest1):
    for name in ("mac", "alias", "target", "address", None):
        nic = attach(guest1, "macvtap-bridge", "--live")
        changed("detach", guest1.name, nic[name] if name else "1")
        assert guest1.running == []


def test_guests_whose_macs_differ_in_the_first_octet_only_share_a_bridge(guest1, guest2, br0):
    """libvirt gives their taps one MAC: it makes fe of the first octet."""
    for guest, mac in ((guest1, "52:54:00:00:00:01"), (guest2, "02:54:00:00:00:01")):
        changed("attach", guest.name, "--bridge", br0, "--mac", mac)
        guest.reaches_lan(mac)
