"""What a host is not ready for is refused, with the culprit's name and a remedy, before anything is touched."""

from __future__ import annotations

import pytest

from tests.e2e.world import HOST_ADDRESS, UPLINK, changed, define, ip, make_bridge, tool, unchanged_world, vmnet

OVER_UPLINK = ("--bridge", "br0", "--uplink", UPLINK)
DIRECT = ("--direct", UPLINK)

HOSTS = [
    # what the host has, the wish, the finding, who is to blame
    ([f"addr add {HOST_ADDRESS}/24 dev {UPLINK}"], OVER_UPLINK, "H203", HOST_ADDRESS),
    ([f"addr add 2001:db8::1/64 dev {UPLINK} nodad"], OVER_UPLINK, "H203", "2001:db8::1"),
    ([f"route add 192.0.2.0/24 dev {UPLINK}"], OVER_UPLINK, "H204", "192.0.2.0/24"),
    ([f"link add taken link {UPLINK} type macvtap mode bridge"], OVER_UPLINK, "H205", "taken"),
    (["link add other type bridge", f"link set {UPLINK} master other"], OVER_UPLINK, "H207", "other"),
    (["link add other type bridge", f"link set {UPLINK} master other"], DIRECT, "H303", "other"),
    ([f"link add br0 link {UPLINK} type macvlan"], OVER_UPLINK, "H102", "br0"),
    ([f"link add whole link {UPLINK} type macvtap mode passthru"], DIRECT, "H305", "whole"),
    ([f"link add taken link {UPLINK} type macvtap"], (*DIRECT, "--mode", "passthrough"), "H306", "taken"),
    ([f"addr add {HOST_ADDRESS}/24 dev {UPLINK}"], (*DIRECT, "--mode", "passthrough"), "H313", HOST_ADDRESS),
    ([], ("--bridge", "br0", "--uplink", "lo"), "H202", "lo"),
    (["link add exist0 type bridge"], (*DIRECT, "--mode", "passthrough", "--target", "exist0"), "H314", "exist0"),
    (["link add br0 type bridge"], ("--bridge", "br0", "--target", "br0"), "H314", "br0"),
]


@pytest.mark.parametrize(("host", "wish", "code", "culprit"), HOSTS)
def test_a_host_that_is_not_ready_is_refused_by_name_and_left_alone(guest1, host, wish, code, culprit):
    for command in host:
        ip(command)
    with unchanged_world():
        done = vmnet("attach", guest1.name, *wish, "--json")
    assert done.code == 1
    finding = next(f for f in done.error["findings"] if f["code"] == code)
    assert finding["severity"] == "error"
    assert culprit in finding["what"]
    assert finding["remedy"]


def test_an_uplink_with_a_guest_on_it_is_not_bridged_under_that_guest(guest1, guest2):
    nic = changed("attach", guest1.name, *DIRECT)["nics"][0]
    with unchanged_world():
        done = vmnet("attach", guest2.name, *OVER_UPLINK, "--json")
    assert done.code == 1
    assert nic["target"] in done.error["what"]


def test_who_uses_an_uplink_now_is_no_matter_to_a_guest_that_starts_later(guest1, off):
    changed("attach", guest1.name, *DIRECT, "--mode", "passthrough")
    plan = changed("attach", off.name, *DIRECT)
    assert "warning" in [f["severity"] for f in plan["findings"] if f["code"] == "H305"]
    assert len(off.defined) == 1


def test_a_dry_run_shows_the_whole_plan_and_does_none_of_it(guest1):
    with unchanged_world():
        plan = changed("attach", guest1.name, *OVER_UPLINK, "--dry-run")
        shown = vmnet("attach", guest1.name, *OVER_UPLINK, "--dry-run", "--mac", "seed:x").out
    actions = [s["action"] for s in plan["steps"]]
    assert actions == ["CreateBridge", "Enslave", "Attach", "VerifyPort", "Attach"]
    assert not plan["applied"]
    assert [line[:3] for line in shown.splitlines()] == ["1. ", "2. ", "3. ", "4. ", "5. "]


def test_a_refused_plan_is_refused_in_a_dry_run_too(guest1):
    make_bridge("other")
    assert vmnet("attach", guest1.name, *OVER_UPLINK, "--dry-run").code == 1


def test_a_fifth_nic_finds_no_free_slot_and_is_told_what_to_do():
    guest = define("full")
    for _ in range(4):
        changed("attach", guest.name, *DIRECT)
    tool("virsh", "start", guest.name, "--paused")
    with unchanged_world():
        done = vmnet("attach", guest.name, *DIRECT, "--json")
    assert done.code == 1
    assert [f["code"] for f in done.error["findings"] if f["severity"] == "error"] == ["G304"]
    assert "--config" in done.error["remedy"]


def test_without_a_free_slot_the_definition_still_takes_a_nic(guest1):
    guest = define("full")
    macs = [changed("attach", guest.name, *DIRECT)["nics"][0]["mac"] for _ in range(5)]
    assert [nic.mac for nic in guest.defined] == macs
    tool("virsh", "start", guest.name, "--paused")
    assert [nic.mac for nic in guest.running] == macs


@pytest.mark.parametrize(
    ("option", "code"),
    [(("--boot-order", "1"), "N201"), (("--address", "0000:02:00.0"), "N203"), (("--alias", "ua-x"), "N204")],
)
def test_what_clashes_with_the_rest_of_the_domain_is_refused_before_libvirt_is_asked(guest1, option, code):
    changed("attach", guest1.name, "--direct", UPLINK, "--alias", "ua-x", "--address", "0000:02:00.0")
    with unchanged_world():
        done = vmnet("attach", guest1.name, "--direct", UPLINK, *option, "--json")
    assert done.code == 1
    assert code in [finding["code"] for finding in done.error["findings"]]
