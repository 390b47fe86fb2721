"""What the tests do to the host and its gateway, and how they have a bridge prepared and dismantled."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.host.processes import set_namespace
from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.host.applier import HostWing
from vmnet.host.carried import Carried, observe_carried
from vmnet.host.model import BridgeOptions
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare
from vmnet.host.wire import Line
from vmnet.lab.namespaces import Namespace


def run(*commands: str) -> str:
    """Commands that must succeed, one after the other; what they say."""
    said = ""
    for command in commands:
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr.strip()}"
        said += done.stdout
    return said


def at_the_gateway(process: int, *commands: str) -> None:
    """The same, where the gateway lives."""
    run(*(f"nsenter -t {process} -n {command}" for command in commands))


@contextmanager
def the_first_namespace() -> Iterator[None]:
    """Where the kernel has made the machine's own NICs; only in a machine that is ours alone."""
    assert socket.gethostname() == "vmnet-vm"
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    first = os.open("/proc/1/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    set_namespace(first, Namespace.NET)
    try:
        yield
    finally:
        set_namespace(home, Namespace.NET)
        os.close(first)
        os.close(home)


def same(after: dict[str, Any], before: dict[str, Any]) -> None:
    """What the host shows is what it showed, table by table."""
    for table in before:
        assert after[table] == before[table], table


def carried(*names: str) -> dict[str, Carried]:
    with Line() as line:
        return observe_carried(line, names)


def plan_to_prepare(uplink: str = "up0", **options: object) -> Plan:
    return plan_prepare(observe(), carried(uplink), "br0", uplink, BridgeOptions(**options))


def plan_to_dismantle() -> Plan:
    return plan_dismantle(observe(), carried("br0"), "br0")


def do(plan: Plan) -> None:
    """Carry a plan out, which there must be."""
    plan.refuse()
    assert plan.steps
    execute(plan, {"host": HostWing()}, lambda step: None)


def told(plan: Plan) -> dict[str, str]:
    """What a plan says, by code."""
    return {f.code: f.what for f in plan.findings}
