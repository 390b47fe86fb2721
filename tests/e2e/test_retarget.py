"""A running guest's tap moves from bridge to bridge: what is lost on the way, frame by frame."""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.world import Guest, changed, ip, links, make_bridge, tool, until

ECHO_REQUEST, ECHO_REPLY = 8, 0
ALL_PROTOCOLS = 3
FORCE_RECEIVE_BUFFER = 33


@pytest.fixture
def br1(br0: str) -> Iterator[str]:
    """A second bridge on the LAN, over an uplink of its own. No bridge here learns where a MAC address is.

    One that had would send what is for the guest to where it was until the guest speaks: that is lost by no move.
    """
    ip("link add up1 type veth peer name port9 netns lan")
    ip("link set up1 up")
    ip("-n lan link set port9 master lan0 up")
    make_bridge("br1", uplink="up1")
    for bridge in ("link set br0", "link set br1", "-n lan link set lan0"):
        ip(f"{bridge} type bridge ageing_time 0")
    yield "br1"
    ip("-n lan link set lan0 type bridge ageing_time 30000")


class Echoes:
    """Who saw which echo requests and replies: the pinger on the LAN, and this host at the guest's tap."""

    def __init__(self, tap: str, address: str) -> None:
        self.requests: set[int] = set()
        """Those that reached the tap."""
        self.replies: set[int] = set()
        """Those that the guest gave to the tap."""
        self._address = socket.inet_aton(address)
        self._tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
        self._tap.setsockopt(socket.SOL_SOCKET, FORCE_RECEIVE_BUFFER, 1 << 24)
        self._tap.bind((tap, ALL_PROTOCOLS))
        self._tap.settimeout(0.1)
        self._ended = False
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ended:
            try:
                frame = self._tap.recv(2048)
            except TimeoutError:
                continue
            if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_ICMP:
                continue
            kind, sequence = frame[34], struct.unpack("!H", frame[40:42])[0]
            if kind == ECHO_REQUEST and frame[30:34] == self._address:
                self.requests.add(sequence)
            elif kind == ECHO_REPLY and frame[26:30] == self._address:
                self.replies.add(sequence)

    def end(self) -> None:
        self._ended = True
        self._thread.join()
        self._tap.close()

    def lost_outside_the_guest(self, received: set[int]) -> set[int]:
        """Sequence numbers that went missing before the tap or behind it, given what the pinger got back.

        Those between, in QEMU and the guest, are none of the move's; nor is what was under way at the end.
        """
        last = max(received)
        return {n for n in range(1, last) if n not in self.requests or (n in self.replies and n not in received)}


@contextmanager
def pinged(address: str, tap: str) -> Iterator[set[int]]:
    """The guest is pinged from the LAN each millisecond, well before and after the block; what was lost, at last."""
    echoes = Echoes(tap, address)
    lost: set[int] = set()
    with tempfile.TemporaryFile("w+") as said:
        pinger = subprocess.Popen(["ip", "netns", "exec", "lan", "ping", "-n", "-i", "0.001", address], stdout=said)
        try:
            until(lambda: len(echoes.replies) > 300, f"{address} answers")
            yield lost
            seen = len(echoes.replies)
            until(lambda: len(echoes.replies) > seen + 300, f"{address} answers after it")
        finally:
            pinger.send_signal(signal.SIGINT)
            pinger.wait(30)
            echoes.end()
        said.seek(0)
        lost |= echoes.lost_outside_the_guest({int(n) for n in re.findall(r"icmp_seq=(\d+)", said.read())})


def test_a_running_guest_moves_from_bridge_to_bridge_and_loses_one_ping_in_a_millisecond_at_most(
    guest1: Guest, br1: str
) -> None:
    nic = changed("attach", guest1.name, "--bridge", "br0")["nics"][0]
    address = guest1.address(nic["mac"])
    tool("ip", "netns", "exec", "lan", "ping", "-c", "1", address)  # its neighbour entry, for the first is slow
    for bridge in (br1, "br0") * 3:
        with pinged(address, nic["target"]) as lost:
            changed("set", guest1.name, nic["mac"], "--bridge", bridge)
        assert links()[nic["target"]]["master"] == bridge
        assert len(lost) <= 1
