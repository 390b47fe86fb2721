"""Each test here has a network namespace of its own, made and left in this process."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmnet.host.port import wait_until

CLONE_NEWNET = 0x40000000
OWN_NAMESPACE = Path("/proc/thread-self/ns/net")
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(autouse=True)
def private_namespace() -> Iterator[None]:
    """An empty namespace while the test runs, so that nothing it does can reach the machine's own links."""
    if os.geteuid() != 0:
        pytest.fail("tests/host change links in network namespaces of their own: run them as root", pytrace=False)
    home = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    _call("unshare", CLONE_NEWNET)
    try:
        assert OWN_NAMESPACE.stat().st_ino != os.fstat(home).st_ino
        yield
    finally:
        _call("setns", home, CLONE_NEWNET)
        os.close(home)


@pytest.fixture
def ip() -> Callable[..., Any]:
    """iproute2, as a second opinion: ``ip("link add v0 type veth")``, ``ip("-j link")`` decoded."""

    def run(command: str) -> Any:
        done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"ip {command}: {done.stderr.strip()}", pytrace=False)
        return json.loads(done.stdout or "[]") if command.startswith("-") else done.stdout

    return run


@pytest.fixture
def kernel_says() -> Callable[[str], str]:
    """What the kernel answers to an ip command: its error text, empty when it obeys."""

    def run(command: str) -> str:
        done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
        return done.stderr.removeprefix("RTNETLINK answers: ").strip()

    return run


@pytest.fixture
def uplink(ip: Callable[..., Any]) -> str:
    """A NIC that leads to a LAN: ``up0``, with its other end ``lan0``, both up, without addresses."""
    ip("link add up0 address 02:00:00:00:00:10 mtu 1400 type veth peer name lan0")
    for name in ("up0", "lan0"):
        ip(f"link set {name} addrgenmode none")
        ip(f"link set {name} up")
    assert wait_until(lambda: all(n["operstate"] == "UP" for n in ip("-j link show type veth")))
    return "up0"


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
