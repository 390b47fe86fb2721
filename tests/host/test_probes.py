"""Who on the LAN answers is known by asking, and one who no longer does is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tests.host.processes import Child, soon
from vmnet.errors import VmnetError
from vmnet.host.observe import observe
from vmnet.host.probes import Peer, Role, answering, peers, ssh_session, verify_peers
from vmnet.lab.namespaces import Namespace, unshare

V4, V6 = Peer("10.1.0.1", Role.GATEWAY, "up0"), Peer("fe80::1", Role.GATEWAY, "up0")
NEAR, FAR = Peer("10.1.0.1", Role.SSH), Peer("192.0.2.7", Role.SSH)
NOBODY = Peer("10.1.0.9", Role.SSH)


@pytest.fixture
def router(uplink, ip):
    """A router at the other end of the uplink, and this host's addresses and routes."""

    def body(pause):
        unshare(Namespace.NET)
        pause("there")
        for command in (
            "link set lan0 address 02:00:00:00:00:01 up",
            "addr add 10.1.0.1/24 dev lan0",
            "addr add fe80::1/64 dev lan0 nodad",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        pause("ready")
        signal.pause()
        return 0

    child = Child(body)
    assert child.word() == "there"
    ip(f"link set lan0 netns {child.pid}")
    child.go_on()
    assert child.word() == "ready"
    ip(f"addr add 10.1.0.2/24 dev {uplink}")
    ip(f"addr add fe80::2/64 dev {uplink} nodad")
    ip(f"route add default via 10.1.0.1 dev {uplink}")
    ip(f"-6 route add default via fe80::1 dev {uplink}")
    assert soon(lambda: observe().link(uplink).operstate == "up")
    yield child
    if child.alive:
        child.kill(signal.SIGKILL)
        child.status()


def state_of(ip, address):
    return {state for n in ip("-j neigh show") if n["dst"] == address for state in n["state"]}


def test_the_gateways_of_both_families_and_the_ssh_peer_are_to_be_asked(router):
    assert peers(observe(), "192.0.2.7 50000 10.1.0.2 22") == (V4, V6, FAR)


@pytest.mark.parametrize("session", ["", "nonsense", "fe80::1%up0 1 fe80::2 22", "\x1b 1 2 3", "10.1 1 2 3"])
def test_a_session_from_no_address_that_can_be_asked_is_none(router, session):
    assert peers(observe(), session) == (V4, V6)


def test_who_is_there_answers_at_once_and_who_is_not_does_not(router):
    began = time.monotonic()
    assert answering((V4, V6, NEAR, FAR)) == (V4, V6, NEAR, FAR)
    assert time.monotonic() - began < 1
    assert answering((V4, NOBODY)) == (V4,)


def test_an_answer_of_before_does_not_count(router):
    assert answering((V4, V6)) == (V4, V6)
    subprocess.run(["nsenter", "-t", str(router.pid), "-n", "ip", "addr", "flush", "dev", "lan0"], check=True)
    assert answering((V4, V6), 1) == ()


def test_one_who_is_known_is_asked_without_being_forgotten(router, ip, uplink):
    ip(f"neigh replace 10.1.0.1 lladdr 02:00:00:00:00:01 dev {uplink} nud stale")
    seen = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as traffic:
        traffic.setblocking(False)
        for _ in range(20):
            assert answering((V4,)) == (V4,)
            assert traffic.sendto(b"x", ("10.1.0.1", 9))
            seen |= state_of(ip, "10.1.0.1")
    assert seen <= {"REACHABLE", "PROBE"}


def test_who_has_another_mac_now_is_silent_until_it_is_asked_anew(router, ip, uplink):
    ip(f"neigh replace 10.1.0.1 lladdr 02:00:00:00:00:77 dev {uplink} nud stale")
    verify_peers((V4,), 10)
    assert state_of(ip, "10.1.0.1") == {"REACHABLE"}


def test_a_neighbour_that_somebody_wrote_down_for_good_is_left_so(router, ip, uplink):
    ip(f"neigh replace 10.1.0.1 lladdr 02:00:00:00:00:01 dev {uplink} nud permanent")
    assert answering((V4,)) == ()
    assert state_of(ip, "10.1.0.1") == {"PERMANENT"}


def test_all_answer_through_a_bridge_that_took_the_uplink(router, ip, uplink):
    known = answering((V4, V6, FAR))
    ip("link add br0 address 02:00:00:00:00:10 type bridge")
    ip("link set br0 up")
    ip(f"link set {uplink} master br0")
    for address in ("10.1.0.2/24", "fe80::2/64 nodad"):
        ip(f"addr add {address} dev br0")
    ip(f"addr flush dev {uplink}")
    ip("route replace default via 10.1.0.1 dev br0")
    ip("-6 route replace default via fe80::1 dev br0")
    verify_peers(replace(peer, link=peer.link and "br0") for peer in known)


def test_the_gateways_of_a_route_over_several_are_asked_each(router, ip, uplink):
    ip(f"route del default dev {uplink}")
    ip(f"route add default nexthop via 10.1.0.1 dev {uplink} nexthop via 10.1.0.9 dev {uplink}")
    other = replace(V4, address="10.1.0.9")
    assert peers(observe()) == (V4, other, V6)
    assert answering((V4, other), 1.5) == (V4,)


def test_a_gateway_is_one_on_its_link_alone(router, ip, uplink):
    """fe80::1 is the gateway on every other LAN."""
    ip("link add other0 type veth peer name other1")
    ip("link set other0 up")
    ip("link set other1 up")
    ip("-6 route add default via fe80::1 dev other0 metric 2000")
    assert soon(lambda: observe().link("other0").operstate == "up")
    other = replace(V6, link="other0")
    assert peers(observe()) == (V4, V6, other)
    assert answering((V6, other), 1.5) == (V6,)
    with pytest.raises(VmnetError) as told:
        verify_peers((replace(V6, link="br0"),), 0.3)
    assert told.value.code == "peer-silent"


def test_who_does_not_answer_any_more_is_told(router, ip, uplink):
    ip(f"route del default dev {uplink}")
    with pytest.raises(VmnetError) as told:
        verify_peers((V4, V6, FAR), 0.3)
    assert told.value.code == "peer-silent"
    assert "10.1.0.1 (gateway of the default route)" in told.value.what
    assert "192.0.2.7" in told.value.what
    assert "fe80" not in told.value.what


def test_nobody_to_ask_is_no_failure(uplink):
    assert peers(observe()) == ()
    verify_peers(())


ASK = "from vmnet.host.probes import ssh_session; print(ssh_session())"


def test_the_session_is_found_behind_sudo():
    """sudo keeps SSH_CONNECTION from what it starts; the shell that it was typed in has it."""
    shell = [sys.executable, "-c", "import subprocess, sys, os; os.environ.clear(); subprocess.run(sys.argv[1:])"]
    here = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "SSH_CONNECTION": "192.0.2.7 50000 10.1.0.2 22"}
    ask = f"import sys; sys.path[:] = {sys.path}; {ASK}"
    done = subprocess.run([*shell, sys.executable, "-c", ask], env=here, capture_output=True, text=True, check=True)
    assert done.stdout == "192.0.2.7 50000 10.1.0.2 22\n"


def test_the_session_of_this_process_comes_first():
    assert ssh_session({"SSH_CONNECTION": "192.0.2.8 1 10.1.0.2 22"}).startswith("192.0.2.8")
