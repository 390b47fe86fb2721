"""`vmnet list --watch`: the listing follows what libvirt and the kernel tell."""

from __future__ import annotations

import json
import os
import pty
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.e2e.world import UPLINK, changed, define, ip, make_bridge, run, tool, until
from vmnet.guest.connection import Connection
from vmnet.operations.watching import watch

MAC = "52:54:00:00:00:01"
NIC = f"<interface type='bridge'><mac address='{MAC}'/><source bridge='br0'/><model type='virtio'/></interface>"
Rows = list[dict[str, Any]]


class Watching:
    """`vmnet list --watch`, its lines read as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, so: Callable[[Rows], object], what: str) -> Rows:
        """The first listing of which `so` is true, of those that were not asked for yet."""
        said: list[Rows] = []
        while True:
            try:
                said.append(json.loads(self._lines.get(timeout=45))["nics"])
            except queue.Empty:
                raise AssertionError(f"{what}: it said {said}, {self.process.poll()}") from None
            if so(said[-1]):
                return said[-1]

    def is_quiet(self) -> bool:
        return self._lines.empty()

    def end(self) -> tuple[int, str]:
        """Its exit code and stderr, once it has ended."""
        code = self.process.wait(timeout=10)
        return code, self.process.stderr.read()

    def switches(self) -> list[str]:
        """How often it was given the processor."""
        return re.findall(r"ctxt_switches:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())


@contextmanager
def watching(*arguments: str) -> Iterator[Watching]:
    command = ["vmnet", "list", "--watch", *arguments]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            yield Watching(process)
        finally:
            process.kill()


def test_a_nic_is_seen_to_come_to_be_reached_and_to_go(guest1):
    with watching(guest1.name) as seen:
        seen.until(lambda rows: rows == [], "it begins")
        changed("attach", guest1.name, "--direct", UPLINK, "--mac", MAC)
        seen.until(lambda rows: [r["nic"]["mac"] for r in rows] == [MAC], "the NIC comes")
        seen.until(lambda rows: any(a["source"] == "agent" for r in rows for a in r["addresses"]), "it has an address")
        changed("detach", guest1.name, MAC)
        seen.until(lambda rows: rows == [], "the NIC goes")


def test_a_guest_is_seen_to_be_defined_started_stopped_and_undefined(br0):
    with watching() as seen:
        seen.until(lambda rows: rows == [], "it begins")
        guest = define("passing", extra=[NIC])
        seen.until(lambda rows: [(r["domain"], r["state"]) for r in rows] == [("passing", "shut off")], "it is defined")
        tool("virsh", "start", guest.name)
        up = seen.until(lambda rows: rows[0]["state"] == "running" and rows[0]["kernel"], "it is started")
        assert up[0]["kernel"]["on"] == br0
        tool("virsh", "suspend", guest.name)
        seen.until(lambda rows: rows[0]["state"] == "paused", "it is paused")
        tool("virsh", "destroy", guest.name)
        seen.until(lambda rows: rows[0]["documents"] == ["config"], "it is stopped")
        tool("virsh", "undefine", guest.name)
        seen.until(lambda rows: rows == [], "it is gone")


def test_what_is_done_to_a_tap_by_hand_is_seen(guest1, br0):
    target = changed("attach", guest1.name, "--bridge", br0)["nics"][0]["target"]
    make_bridge("br1", uplink=None)
    with watching() as seen:
        seen.until(lambda rows: rows[0]["notes"] == [], "it begins")
        ip(f"link set {target} master br1")
        seen.until(lambda rows: rows[0]["notes"] == [f"{target} is a port of br1, not of br0"], "the tap has moved")
        ip("link del br1")
        seen.until(lambda rows: rows[0]["notes"] == [f"{target} is a port of no bridge, not of br0"], "br1 is gone")


def test_a_nic_that_libvirt_moves_is_no_drift(guest1, br0):
    """libvirt raises no event for it, but the kernel does."""
    changed("attach", guest1.name, "--bridge", br0, "--mac", MAC)
    make_bridge("br1", uplink=None)
    with watching() as seen:
        seen.until(lambda rows: rows[0]["nic"]["bridge"] == br0, "it begins")
        changed("set", guest1.name, MAC, "--bridge", "br1")
        assert seen.until(lambda rows: rows[0]["nic"]["bridge"] == "br1", "it has moved")[0]["notes"] == []


def test_only_the_domains_named_are_watched(guest1, guest2, br0):
    with watching(guest2.name) as seen:
        seen.until(lambda rows: rows == [], "it begins")
        changed("attach", guest1.name, "--bridge", br0)
        changed("attach", guest2.name, "--bridge", br0)
        rows = seen.until(lambda rows: rows, "the second guest's NIC comes")
        assert {r["domain"] for r in rows} == {guest2.name}


def test_a_watch_that_sees_nothing_does_nothing(off):
    with watching(off.name) as seen:
        seen.until(lambda rows: rows == [], "it begins")
        looks: list[list[str]] = []

        def rests() -> bool:
            looks.append(seen.switches())
            return len(looks) > 50 and all(look == looks[-1] for look in looks[-50:])

        until(rests, "it rests for a second")
        assert seen.is_quiet()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_quietly(off, number):
    with watching(off.name) as seen:
        seen.until(lambda rows: rows == [], "it begins")
        seen.process.send_signal(number)
        assert seen.end() == (0, "")


def test_it_ends_quietly_when_nobody_reads_it_any_more(off):
    with subprocess.Popen(["vmnet", "list", "--watch", off.name], stdout=PIPE, stderr=PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


def test_a_daemon_that_goes_away_is_told(off):
    with watching(off.name) as seen:
        seen.until(lambda rows: rows == [], "it begins")
        for client in re.findall(r"^ (\d+) ", tool("virt-admin", "srv-clients-list", "libvirtd"), re.MULTILINE):
            run("virt-admin", "client-disconnect", "libvirtd", client)
        code, said = seen.end()
        assert code == 1
        assert "[libvirt-lost]" in said
        assert "Traceback" not in said


def test_a_domain_that_is_not_there_is_refused():
    done = run("vmnet", "list", "--watch", "nobody")
    assert (done.code, "[domain-unknown]" in done.err) == (1, True)


def test_a_connection_that_may_only_look_hears_as_much(guest1, br0):
    with Connection("qemu:///system", readonly=True) as connection:
        shown = watch(connection)
        assert next(shown) == []
        changed("attach", guest1.name, "--bridge", br0, "--mac", MAC)
        assert MAC in [row.nic["mac"] for row in next(shown)]
        shown.close()


def test_a_terminal_shows_one_table_that_changes(guest1, br0):
    ours, theirs = pty.openpty()
    said = b""
    with subprocess.Popen(
        ["vmnet", "list", "--watch"], stdout=theirs, stdin=theirs, env=os.environ | {"TERM": "xterm"}
    ) as p:
        os.close(theirs)
        try:
            while b"There is no NIC." not in said:
                said += os.read(ours, 65536)
            changed("attach", guest1.name, "--bridge", br0, "--mac", MAC)
            while MAC.encode() not in said:
                said += os.read(ours, 65536)
            p.send_signal(signal.SIGINT)
            assert p.wait(timeout=10) == 0
        finally:
            p.kill()
    os.close(ours)
    assert said.count(b"\x1b[H") == said.count(b"Last change ") >= 2
