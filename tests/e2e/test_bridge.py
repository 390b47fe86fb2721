"""A bridge over the host's only NIC: the host keeps its line, and has everything back when the bridge goes."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.world import (
    GATEWAY,
    HOST_ADDRESS,
    UPLINK,
    UPLINK_MAC,
    Waiting,
    changed,
    ip,
    links,
    tool,
    unchanged_world,
    until,
    vmnet,
)

PREPARE = ("bridge", "prepare", "br0", "--uplink", UPLINK)
DISMANTLE = ("bridge", "dismantle", "br0")


@pytest.fixture
def host() -> str:
    """The host's address and default route, both over the uplink."""
    ip(f"addr add {HOST_ADDRESS}/24 dev {UPLINK}")
    ip(f"route add default via {GATEWAY}")
    return HOST_ADDRESS


def device_of(address: str) -> str:
    return next(link["ifname"] for link in ip("-j addr") for a in link["addr_info"] if a["local"] == address)


@contextmanager
def pinged_from_the_lan(address: str) -> Iterator[None]:
    """One ping in 5 ms from the LAN while the block runs, of which one at most may go unanswered."""
    command = ["ip", "netns", "exec", "lan", "ping", "-q", "-i", "0.005", address]
    ping = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield
    ping.send_signal(signal.SIGINT)
    said, _ = ping.communicate(timeout=10)
    sent, received = map(int, re.findall(r"(\d+) packets transmitted, (\d+) received", said)[0])
    assert sent > 20
    assert sent - received <= 1, said


def test_the_hosts_address_and_routes_move_to_the_bridge_and_back_without_a_lost_packet(host):
    with unchanged_world(), pinged_from_the_lan(host):
        changed(*PREPARE)
        assert device_of(host) == "br0"
        assert [(r["dst"], r["dev"]) for r in ip("-j route")] == [("default", "br0"), ("10.99.0.0/24", "br0")]
        assert links()[UPLINK]["master"] == "br0"
        assert not changed(*PREPARE)["applied"]
        changed(*DISMANTLE)
        assert device_of(host) == UPLINK
        assert not changed(*DISMANTLE)["applied"]


def test_guests_on_the_bridge_reach_the_host_and_the_lan_and_keep_it_from_being_dismantled(host, guest1):
    changed(*PREPARE)
    nic = changed("attach", guest1.name, "--bridge", "br0")["nics"][0]
    guest1.reaches_lan(nic["mac"])
    assert guest1.pings(host)
    with unchanged_world():
        done = vmnet(*DISMANTLE, "--json")
    assert done.code == 1
    assert guest1.name in done.error["why"]
    changed("detach", guest1.name, nic["mac"])
    changed(*DISMANTLE)


def test_a_bridge_that_nobody_confirms_is_undone(host):
    with unchanged_world():
        done = vmnet(*PREPARE, "--confirm", "1", "--json")
    assert (done.code, done.error["code"]) == (3, "not-confirmed")


def test_a_bridge_that_is_confirmed_by_another_process_stays(host):
    with Waiting("vmnet confirm", *PREPARE, "--confirm", "60") as waiting:
        (transaction,) = [t for t in vmnet("status", "--json").json["transactions"] if t["state"] == "applied"]
        new, port, lacking = transaction["differences"]
        assert (new, port) == ("br0 is new", f"{UPLINK} is a port of br0")
        assert lacking.startswith(f"{UPLINK} lacks {host}/24, ")
        assert f"{UPLINK} is a port of br0" in vmnet("status").out
        assert vmnet("confirm", transaction["id"]).code == 0
        assert waiting.end().code == 0
    assert device_of(host) == "br0"
    changed(*DISMANTLE)


def test_a_vmnet_that_is_killed_while_it_waits_leaves_the_time_to_confirm(host):
    with unchanged_world(), Waiting("vmnet confirm", *PREPARE, "--confirm", "2") as waiting:
        waiting.send(signal.SIGKILL)
        until(lambda: device_of(host) == UPLINK and "br0" not in links(), "the watchdog puts the host back")


def test_what_was_done_can_be_undone_later(host):
    with unchanged_world():
        transaction = changed(*PREPARE)["transaction"]
        assert vmnet("undo", transaction).code == 0
    again = vmnet("undo", transaction)
    assert again.code == 0, again.err


@pytest.fixture
def port_security() -> Iterator[None]:
    """The LAN's switch takes frames of the host's own MAC only, as a switch with port security does."""
    lan = ("ip", "netns", "exec", "lan", "bridge")
    tool(*lan, "fdb", "replace", UPLINK_MAC, "dev", "port1", "master", "static")
    tool(*lan, "link", "set", "dev", "port1", "locked", "on")
    yield
    tool(*lan, "link", "set", "dev", "port1", "locked", "off")
    tool(*lan, "fdb", "del", UPLINK_MAC, "dev", "port1", "master")


def test_a_gateway_that_does_not_answer_any_more_undoes_it(host, port_security):
    with unchanged_world():
        done = vmnet(*PREPARE, "--mac", "02:00:00:00:00:77", "--json")
    assert (done.code, done.error["code"]) == (3, "peer-silent")
    assert GATEWAY in done.error["what"]
    assert tool("ping", "-c", "1", "-W", "2", GATEWAY)


def test_a_dry_run_changes_nothing_and_names_what_moves(host):
    with unchanged_world():
        plan = changed(*PREPARE, "--dry-run")
    assert [step["action"] for step in plan["steps"]] == ["CreateBridge", "CarryToBridge", "VerifyPeers"]
    assert HOST_ADDRESS in plan["steps"][1]["summary"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("prepare", "br0", "--uplink", "nope"), "H201"),
        (("prepare", "br0", "--uplink", "lo"), "H202"),
        (("prepare", "a/b", "--uplink", UPLINK), "H101"),
        (("prepare", UPLINK, "--uplink", UPLINK), "H416"),
        (("prepare", "br0", "--uplink", UPLINK, "--mtu", "9000"), "H411"),
        (("dismantle", UPLINK), "H424"),
    ],
)
def test_what_cannot_be_is_refused(host, arguments, code):
    with unchanged_world():
        done = vmnet("bridge", *arguments, "--json")
    assert done.code == 1
    assert code in [finding["code"] for finding in done.error["findings"] if finding["severity"] == "error"]
