"""Several domains at once: one plan, all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.world import UPLINK, changed, define, tool, unchanged_world, vmnet

DIRECT = ("--direct", UPLINK)


@pytest.fixture
def three():
    """Three domains that are shut off."""
    return [define(f"ci-{number}") for number in (1, 2, 3)]


def test_running_guests_and_a_definition_get_a_nic_each_over_one_bridge_that_is_made_once(guest1, guest2, off):
    done = changed("attach", guest1.name, guest2.name, off.name, "--bridge", "br0", "--uplink", UPLINK)
    assert [nic["domain"] for nic in done["nics"]] == [guest1.name, guest2.name, off.name]
    assert [step["action"] for step in done["steps"]].count("CreateBridge") == 1
    macs = {nic["mac"] for nic in done["nics"]}
    assert {guest.defined[0].mac for guest in (guest1, guest2, off)} == macs
    assert len(macs) == 3
    for guest in (guest1, guest2):
        guest.reaches_lan(guest.running[0].mac)


def test_a_nic_is_taken_from_each_that_has_one_of_that_name_and_the_others_are_passed_over(guest1, three, off):
    names = [guest.name for guest in three]
    changed("attach", guest1.name, *names, *DIRECT, "--alias", "ua-test")
    done = changed("detach", "--all", "ua-test")
    assert {nic["domain"] for nic in done["nics"]} == {guest1.name, *names}
    assert {off.name, "guest2"} <= set(done["passed_over"])
    assert not any(guest.defined for guest in (guest1, *three))
    assert not guest1.running


def test_a_pattern_finds_domains_by_name(three, off):
    done = changed("attach", "--match", "ci-[12]", *DIRECT)
    assert [nic["domain"] for nic in done["nics"]] == ["ci-1", "ci-2"]
    assert [len(guest.defined) for guest in (*three, off)] == [1, 1, 0, 0]


def test_a_field_is_set_in_each_and_what_is_so_already_is_told_apart(three):
    changed("attach", "--match", "ci-*", *DIRECT)
    changed("set", "ci-2", "1", "--link", "down")
    done = changed("set", "--match", "ci-*", "1", "--link", "down")
    assert [nic["documents"] for nic in done["nics"]] == [["config"], [], ["config"]]
    said = vmnet("set", "--match", "ci-*", "1", "--link", "up").out
    assert said.splitlines()[-1] == "3 of 3 NICs changed"


@pytest.fixture
def definition_that_cannot_be_written(three) -> Iterator[str]:
    """The file of one domain's definition is a mount point, which libvirt cannot put another file in place of."""
    file = f"/etc/libvirt/qemu/{three[1].name}.xml"
    tool("mount", "--bind", file, file)
    yield three[1].name
    tool("umount", file)


def test_what_fails_in_one_is_undone_in_all(guest1, definition_that_cannot_be_written):
    names = (guest1.name, "ci-1", definition_that_cannot_be_written, "ci-3")
    with unchanged_world():
        done = vmnet("attach", *names, *DIRECT, "--json")
    assert done.code == 3, done.error
    assert definition_that_cannot_be_written in done.error["what"]
    assert f"off {guest1.name} (live) again" in done.error["remedy"]
    assert "off ci-1 (config) again" in done.error["remedy"]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("attach", *DIRECT), 2, "no-domain-said"),
        (("detach", "1"), 2, "no-domain-said"),
        (("attach", "--match", "nobody-*", *DIRECT), 1, "no-domain-matches"),
        (("attach", "guest1", "nobody", *DIRECT), 1, "domain-unknown"),
        (("detach", "--all", "ua-nobody"), 1, "nic-unknown"),
        (("detach", "guest1", "ua-nobody"), 1, "nic-unknown"),
        (("attach", "--all", *DIRECT, "--mac", "52:54:00:00:00:01"), 2, "one-for-many"),
        (("attach", "--all", *DIRECT, "--target", "mynic"), 2, "one-for-many"),
        (("attach", "guest1", "guest2", *DIRECT, "--mode", "passthrough"), 1, "refused"),
    ],
)
def test_what_cannot_be_for_several_is_refused(arguments, code, error):
    with unchanged_world():
        done = vmnet(*arguments, "--json")
    assert (done.code, done.error["code"]) == (code, error)


def test_a_named_domain_without_the_nic_stops_all(three):
    changed("attach", "ci-1", *DIRECT, "--alias", "ua-test")
    with unchanged_world():
        done = vmnet("detach", "ci-1", "ci-2", "ci-3", "ua-test", "--json")
    assert (done.code, done.error["code"]) == (1, "nic-unknown")
    assert "ci-2" in done.error["why"]
    assert "ci-3" in done.error["why"]


def test_a_domain_that_is_named_twice_or_matches_too_gets_one_nic(three):
    done = changed("attach", "ci-1", "ci-1", "--match", "ci-1", *DIRECT)
    assert len(done["nics"]) == len(three[0].defined) == 1


def test_domains_that_do_not_run_are_passed_over_where_all_running_guests_are_meant(guest1, guest2, three):
    done = changed("attach", "--all", *DIRECT, "--live")
    assert {nic["domain"] for nic in done["nics"]} == {guest1.name, guest2.name}
    assert set(done["passed_over"]) == {guest.name for guest in three}
    assert not any(guest.defined for guest in three)
