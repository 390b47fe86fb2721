"""A guest that does not let go: what stands then is told, and the definition waits."""

from __future__ import annotations

import re
import signal

import pytest
from lxml import etree

from tests.e2e.world import CONSOLES, UPLINK, Guest, Waiting, changed, make_bridge, tool, unchanged_world, until, vmnet
from vmnet.change.plan import Step
from vmnet.errors import NotRolledBack
from vmnet.guest.connection import Connection
from vmnet.guest.planner import Attach, Detach
from vmnet.operations.change import Run
from vmnet.operations.choice import Choice
from vmnet.operations.detach import detach
from vmnet.operations.edit import edit


@pytest.fixture
def stubborn(guest1: Guest) -> Guest:
    """A guest with a NIC that it does not give up, for it is paused."""
    nic = changed("attach", guest1.name, "--direct", UPLINK)["nics"][0]
    guest1.reaches_lan(nic["mac"])
    tool("virsh", "suspend", guest1.name)
    return guest1


@pytest.fixture
def deaf(off: Guest) -> Guest:
    """A running guest with a NIC that it does not give up: its firmware finds nothing to boot, and waits."""
    root = etree.fromstring(tool("virsh", "dumpxml", off.name, "--inactive"))
    for tag in ("kernel", "initrd", "cmdline"):
        root.find("os").remove(root.find(f"os/{tag}"))
    file = CONSOLES / "domain.xml"
    file.write_bytes(etree.tostring(root))
    tool("virsh", "define", str(file))
    tool("virsh", "start", off.name)
    changed("attach", off.name, "--direct", UPLINK)
    return off


def assert_nothing_else_changed(guest: Guest) -> None:
    assert len(guest.running) == len(guest.defined) == 1
    assert guest.running[0].same_in_both == guest.defined[0].same_in_both


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_detach_says_what_stands_and_leaves_the_definition(stubborn, ending):
    with Waiting("Unplug", "detach", stubborn.name, "1") as detaching:
        detaching.at_rest()
        detaching.send(ending)
        done = detaching.end()
    assert done.code == 4
    assert "unplug-pending" in done.err
    assert "The request stands" in done.err
    assert "Traceback" not in done.err
    assert_nothing_else_changed(stubborn)


def test_an_interrupt_at_any_moment_is_told_in_a_sentence(stubborn):
    for _ in range(5):
        with Waiting("Unplug", "detach", stubborn.name, "1") as detaching:
            detaching.send(signal.SIGINT)
            done = detaching.end()
        assert done.code in (1, 4)
        assert "Traceback" not in done.err
        assert_nothing_else_changed(stubborn)


def test_a_guest_that_does_not_answer_in_time_is_given_up_and_may_still_follow(stubborn):
    with Connection("qemu:///system") as connection, pytest.raises(NotRolledBack) as told:
        detach(connection, Choice([stubborn.name]), "1", run=Run(unplug_seconds=0.5))
    assert told.value.code == "unplug-pending"
    assert_nothing_else_changed(stubborn)

    tool("virsh", "resume", stubborn.name)
    until(lambda: not stubborn.running, "the request that stood is followed")
    changed("detach", stubborn.name, "1")
    assert stubborn.defined == []


def test_a_second_request_waits_for_the_first(stubborn):
    with Connection("qemu:///system") as connection, pytest.raises(NotRolledBack):
        detach(connection, Choice([stubborn.name]), "1", run=Run(unplug_seconds=0.1))
    with Waiting("Unplug", "detach", stubborn.name, "1") as second:
        tool("virsh", "resume", stubborn.name)
        assert second.end().code == 0
    assert (stubborn.running, stubborn.defined) == ([], [])


def test_a_paused_guest_can_be_given_a_nic_and_feels_it_when_it_goes_on(guest1):
    tool("virsh", "suspend", guest1.name)
    nic = changed("attach", guest1.name, "--direct", UPLINK)["nics"][0]
    tool("virsh", "resume", guest1.name)
    guest1.reaches_lan(nic["mac"])


def test_a_guest_that_is_shut_off_while_it_is_asked_has_let_go(guest1):
    changed("attach", guest1.name, "--direct", UPLINK)
    tool("virsh", "suspend", guest1.name)
    with Waiting("Unplug", "detach", guest1.name, "1") as detaching:
        tool("virsh", "destroy", guest1.name)
        assert detaching.end().code == 0
    assert guest1.defined == []


def test_a_detach_of_the_definition_alone_does_not_ask_the_guest(stubborn):
    assert vmnet("detach", stubborn.name, "1", "--config").code == 0
    assert (len(stubborn.running), stubborn.defined) == (1, [])


def test_a_replug_of_a_paused_guest_is_refused_and_nobody_loses_a_nic(stubborn: Guest, guest2: Guest) -> None:
    changed("attach", guest2.name, "--direct", UPLINK)
    with unchanged_world():
        done = vmnet("set", stubborn.name, guest2.name, "1", "--queues", "2", "--replug", "--json")
    assert (done.code, [f["code"] for f in done.error["findings"] if f["severity"] == "error"]) == (1, ["G315"])
    changed("set", stubborn.name, "1", "--queues", "2", "--config")


def pausing(guest: Guest) -> Run:
    """A run in which the guest is paused just before it is to let go of a NIC, for which it gets half a second."""

    def pause(step: Step) -> None:
        if isinstance(step, Detach):
            tool("virsh", "suspend", guest.name)

    return Run(unplug_seconds=0.5, progress=pause)


def test_a_replug_that_a_guest_does_not_answer_ends_with_the_nic_and_the_way_on(stubborn: Guest) -> None:
    tool("virsh", "resume", stubborn.name)
    [was] = stubborn.running
    with Connection("qemu:///system") as connection, pytest.raises(NotRolledBack) as told:
        edit(connection, Choice([stubborn.name]), "1", {"queues": "2"}, replug=True, run=pausing(stubborn))
    assert told.value.code == "unplug-pending"
    assert_nothing_else_changed(stubborn)

    tool("virsh", "resume", stubborn.name)
    until(lambda: not stubborn.running, "the request that stood is followed")
    said = re.search(
        r"virsh attach-device (\S+) FILE (--live), with this in FILE: (<interface.*</interface>)", told.value.remedy
    )
    file = CONSOLES / "nic.xml"
    file.write_text(said[3])
    tool("virsh", "attach-device", said[1], str(file), said[2])
    [live], [config] = stubborn.running, stubborn.defined
    assert live.same_in_both == config.same_in_both == was.same_in_both
    assert live.element.xpath("driver/@queues") == ["2"]
    stubborn.reaches_lan(was.mac)


def test_a_replug_that_is_interrupted_says_what_stands(deaf: Guest) -> None:
    with Waiting("Unplug", "set", deaf.name, "1", "--queues", "2", "--replug") as setting:
        setting.at_rest()
        setting.send(signal.SIGINT)
        done = setting.end()
    assert done.code == 4
    assert "unplug-pending" in done.err
    assert "queues=" in done.err
    assert_nothing_else_changed(deaf)


def test_a_replug_whose_nic_cannot_be_put_back_either_ends_with_its_xml(guest1: Guest, br0: str) -> None:
    make_bridge("br1", uplink=None)
    nic = changed("attach", guest1.name, "--bridge", "br1")["nics"][0]
    guest1.sees(nic["mac"])

    def lose_the_bridge(step: Step) -> None:
        if isinstance(step, Attach):
            tool("ip", "link", "del", "br1")

    with Connection("qemu:///system") as connection, pytest.raises(NotRolledBack) as told:
        edit(connection, Choice([guest1.name]), "1", {"queues": "2"}, replug=True, run=Run(progress=lose_the_bridge))
    assert guest1.running == []
    assert "could not be put back" in told.value.why
    said = re.search(
        r"virsh attach-device (\S+) FILE (--live), with this in FILE: (<interface.*</interface>)", told.value.remedy
    )
    make_bridge("br1", uplink=None)
    file = CONSOLES / "nic.xml"
    file.write_text(said[3])
    tool("virsh", "attach-device", said[1], str(file), said[2])
    [live], [config] = guest1.running, guest1.defined
    assert live.same_in_both == config.same_in_both


def test_a_running_guest_that_knows_no_hotplug_is_given_up_and_keeps_its_nic(deaf: Guest) -> None:
    with Connection("qemu:///system") as connection, pytest.raises(NotRolledBack) as told:
        detach(connection, Choice([deaf.name]), "1", run=Run(unplug_seconds=1))
    assert told.value.code == "unplug-pending"
    assert_nothing_else_changed(deaf)
