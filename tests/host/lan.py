"""A LAN for tests: a gateway in a namespace of its own that echoes UDP and TCP, and what the host shows of itself."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vmnet.host.port import wait_until
from vmnet.host.rtnetlink import links

CLONE_NEWNET = 0x40000000
PORT = 7
FLOWS = {
    "IPv4 gateway": (socket.AF_INET, "10.1.0.1"),
    "IPv4 routed": (socket.AF_INET, "192.168.50.1"),
    "IPv6 gateway": (socket.AF_INET6, "fd00::1"),
}


def ip(command: str) -> None:
    """One iproute2 command, which must succeed."""
    done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {command}: {done.stderr.strip()}"


@contextmanager
def gateway() -> Iterator[int]:
    """A NIC ``up0`` whose other end is a gateway that echoes; yields the gateway's process.

    The gateway is 10.1.0.1, fd00::1 and fe80::1, and 192.168.50.1 behind itself.
    """
    ip("link add up0 address 06:00:00:00:00:10 type veth peer name gw0 address 06:00:00:00:00:01")
    said, says = os.pipe()
    heard, tell = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            _be_the_gateway(says, heard)
        finally:
            os._exit(1)
    try:
        assert os.read(said, 1) == b"1"
        ip(f"link set gw0 netns {process}")
        ip("link set lo up")
        ip("link set up0 up")
        os.write(tell, b"1")
        assert os.read(said, 1) == b"2"
        assert wait_until(lambda: all(n.operstate == "up" for n in links() if n.name == "up0"), 10)
        yield process
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        for end in (said, says, heard, tell):
            os.close(end)


def _be_the_gateway(says: int, heard: int) -> None:
    assert ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0
    os.write(says, b"1")
    os.read(heard, 1)
    for command in (
        "link set lo up",
        "link set gw0 up",
        "addr add 10.1.0.1/24 dev gw0",
        "addr add fd00::1/64 dev gw0 nodad",
        "addr add fe80::1/64 dev gw0 nodad",
        "addr add 192.168.50.1/32 dev lo",
    ):
        ip(command)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("::", PORT))
    tcp = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=_echo_stream, args=(tcp,), daemon=True).start()
    os.write(says, b"2")
    while True:
        data, who = udp.recvfrom(2048)
        udp.sendto(data, who)


def _echo_stream(server: socket.socket) -> None:
    while True:
        stream, _ = server.accept()
        with stream:
            while data := stream.recv(1 << 16):
                stream.sendall(data)


class Meter:
    """Counts what is lost of UDP echoes, flow by flow, while it is entered.

    Args:
        every: Seconds between two.
    """

    def __init__(self, every: float = 0.001) -> None:
        self._every = every

    def __enter__(self) -> Meter:
        self.lost: dict[str, int] = {}
        self._stop = threading.Event()
        self._flows = [threading.Thread(target=self._run, args=(name, *to)) for name, to in FLOWS.items()]
        for flow in self._flows:
            flow.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for flow in self._flows:
            flow.join()

    def _run(self, name: str, family: int, to: str) -> None:
        sent, back = 0, set()
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.setblocking(False)
            while not self._stop.wait(self._every):
                sent += 1
                try:
                    udp.sendto(b"%d" % sent, (to, PORT))
                    while True:
                        back.add(udp.recv(100))
                except OSError:
                    continue
            udp.settimeout(0.3)
            try:
                while len(back) < sent:
                    back.add(udp.recv(100))
            except OSError:
                pass
        self.lost[name] = sent - len(back)


def shown(*, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """All that the host shows of itself by iproute2, with lifetimes as finite or not.

    Args:
        but: Names of links that are left out.
    """
    addresses = [n for n in _json("-d addr show") if n["ifname"] not in but]
    told = {
        "links": [{k: v for k, v in n.items() if k not in ("addr_info", "operstate", *_COUNTED)} for n in addresses],
        "addresses": {n["ifname"]: n["addr_info"] for n in addresses},
        "IPv4 routes": _json("-d -4 route show table all"),
        "IPv6 routes": _of_no_order([_unordered(route) for route in _json("-d -6 route show table all")]),
        "IPv4 rules": _json("-4 rule show"),
        "IPv6 rules": _json("-6 rule show"),
        "neighbours": sorted(_json("neigh show nud permanent"), key=str),
        "proxies": sorted(_json("neigh show proxy") + _json("-6 neigh show proxy"), key=str),
        "settings": {n["ifname"]: _settings(n["ifname"]) for n in addresses},
    }
    return {key: _plain(value, but) for key, value in told.items()}


_COUNTED = ("promiscuity", "allmulti", "linkinfo")


def _json(command: str) -> list[Any]:
    done = subprocess.run(["ip", "-j", *command.split()], capture_output=True, text=True, check=True)
    return json.loads(done.stdout or "[]")


def _unordered(route: dict[str, Any]) -> dict[str, Any]:
    """An IPv6 route over several links, which are in no order for who uses it."""
    return route | ({"nexthops": sorted(route["nexthops"], key=str)} if "nexthops" in route else {})


def _of_no_order(routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every link has its own route to these, of the kernel's making, and whoever goes there names the link."""
    local = sorted((r for r in routes if r["dst"].startswith("fe80:") or r["dst"] == "ff00::/8"), key=str)
    return [r for r in routes if r not in local] + local


def _settings(name: str) -> dict[str, str]:
    found = {}
    for room in ("ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"):
        for file in sorted(Path("/proc/sys/net", room, name).glob("*")):  # a link may have no IPv6
            try:
                found[f"{room}/{file.name}"] = file.read_text().strip()
            except OSError:
                found[f"{room}/{file.name}"] = "not set"
    return found


def _plain(value: Any, but: tuple[str, ...]) -> Any:
    match value:
        case dict():
            finite = ("valid_life_time", "preferred_life_time")
            return {
                key: (each == 0xFFFFFFFF if key in finite else bool(each) if key == "expires" else _plain(each, but))
                for key, each in value.items()
                if key not in ("used", "metrics_ssthresh", "linkdown")
            }
        case list():
            return [_plain(each, but) for each in value if not (isinstance(each, dict) and each.get("dev") in but)]
    return value


def until_settled(seconds: float = 10.0) -> None:
    """Wait until the kernel listens for every IPv6 address: it is asked about, and gets its local route, later."""
    deadline = time.monotonic() + seconds
    while _unheard() and time.monotonic() < deadline:
        time.sleep(0.02)


def _unheard() -> set[str]:
    addresses = {a["local"] for n in _json("-6 addr show up") for a in n["addr_info"]}
    return addresses - {r["dst"] for r in _json("-6 route show table local type local")}
