"""A lab keeps to itself: beside other labs, beside the user's own libvirt, and when it is killed."""

from __future__ import annotations

import os
import signal

import pytest

from tests.lab.outside import children, in_pid_namespace, lab, line, said, script, started, traces, until

WAITING = ("sh", "-c", "vmnet attach guest1 --direct up0; exec sleep 60")


def test_two_labs_at_once_with_the_same_names_both_work(tmp_path):
    one, two = os.fspath(tmp_path / "one"), os.fspath(tmp_path / "two")
    with (
        started("--guests", "1", "--", *script("attached.py", one, two)) as first,
        started("--guests", "1", "--", *script("attached.py", two, one)) as second,
    ):
        answers = [process.communicate(timeout=60) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], answers
    lines = [out.split() for out, _ in answers]
    assert lines[0] == lines[1]  # the same guest, macvtap, and even the same index: /dev/tapN would be one file
    assert lines[0][-1] == "True"


def test_a_lab_beside_a_running_libvirtd_sees_none_of_its_domains_and_the_other_way_round(tmp_path):
    """The outer lab is the host of a user, with a libvirtd and guests of its own; the inner one is the lab."""
    inner = "vmnet lab run --guests 1 -- sh -c 'virsh list --all --name; vmnet attach guest1 --direct up0'"
    world = "(ip link | grep -o '^[0-9]*: [^:]*'; virsh dumpxml guest2)"
    done = lab("--guests", "2", "--", "sh", "-ec", (
        f"vmnet attach guest2 --direct up0; {world} >before; echo inner; {inner}; "
        f"echo outer; virsh list --name; {world} >after; diff before after"
    ), cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    inside, outside = done.stdout.split("inner\n")[1].split("outer\n")
    assert inside.split()[0] == "guest1"
    assert "Attached" in inside
    assert outside.split() == ["guest1", "guest2"]


@pytest.mark.parametrize("moment", ["running", "at once"])
def test_a_lab_that_is_killed_leaves_nothing_within_a_second(moment):
    before = traces()
    with started("--guests", "1", "--", *WAITING) as process:
        (init,) = until(lambda: children(process.pid), "the lab's PID 1", 10)
        alive = in_pid_namespace(init)
        if moment == "running":
            assert line(process).startswith("Attached")
            assert any("qemu-system" in command for command in alive())
            assert any(command.startswith("libvirtd") for command in alive())
        process.send_signal(signal.SIGKILL)
        until(lambda: not alive(), "every process of the lab has ended", 1)
        until(lambda: traces() == before, "no mount, link or node is left", 1)


def test_the_hosts_own_network_is_the_same_while_a_lab_runs():
    before = traces()
    with started("--guests", "1", "--", *WAITING) as process:
        assert line(process).startswith("Attached")
        assert traces() == before


def test_a_lab_starts_without_what_an_earlier_one_did():
    one_guest = ("--guests", "1", "--", "sh", "-ec")
    said(*one_guest, "vmnet attach guest1 --direct up0; virsh destroy guest1; ip link add left type bridge")
    shown = said(*one_guest, "virsh list --state-running --name; vmnet list; ip -br link show type bridge")
    assert shown.split() == ["guest1", "There", "is", "no", "NIC."]


def test_a_restart_of_libvirtd_keeps_the_nics_and_vmnet_goes_on_with_them():
    assert said("--guests", "1", "--", *script("restarted.py")).strip() == "kept"
