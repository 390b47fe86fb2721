"""Find a running guest's link in the kernel, and see that it is where its XML says."""

from __future__ import annotations

import time
from collections.abc import Callable

from vmnet.errors import VmnetError
from vmnet.host import rtnetlink
from vmnet.host.model import Host, Link
from vmnet.host.steps import VerifyPort
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode

DEADLINE = 2.0
"""Seconds in which the kernel's links settle after libvirt has answered."""


def verify_port(step: VerifyPort) -> None:
    """See that exactly one link is the guest's NIC as `step` says.

    Raises:
        VmnetError: None is within `DEADLINE`, or several are (``port-readback``).
    """
    host = Host()

    def settled() -> bool:
        nonlocal host
        host = Host(rtnetlink.links())
        return len(_right(host, step)) == 1

    if wait_until(settled):
        return
    right = _right(host, step)
    found = [_described(host, n) for n in (right or _candidates(host, step))]
    raise VmnetError(
        "port-readback",
        f"NIC {step.mac} of {step.domain} is not in the kernel as its XML says",
        why=f"Expected: one link, {_expected(step)}. Found: {'; '.join(found) or 'no link with this MAC'}",
        remedy="Another link may have the same MAC: vmnet list shows every NIC" if len(found) > 1 else "",
    )


def wait_until(so: Callable[[], bool], timeout: float | None = None) -> bool:
    """Whether `so` comes true within `timeout` seconds (`DEADLINE`); looked at now, and whenever a link changes."""
    if so():
        return True
    deadline = time.monotonic() + (DEADLINE if timeout is None else timeout)
    with rtnetlink.LinkEvents() as events:
        while not (true := so()) and time.monotonic() < deadline:
            events.wait(deadline - time.monotonic())
    return true


def _candidates(host: Host, step: VerifyPort) -> list[Link]:
    return [n for n in host.guest_ends(step.mac) if n.index not in step.others]


def _right(host: Host, step: VerifyPort) -> list[Link]:
    return [n for n in _candidates(host, step) if (n.up or not step.up) and _is_there(host, n, step.attachment)]


def _is_there(host: Host, link: Link, attachment: Direct | Bridge) -> bool:
    match attachment:
        case Bridge(name):
            bridge = host.link(name)
            return link.kind == "tun" and bridge is not None and link.master == bridge.index
        case Direct(dev, mode):
            lower = host.link(dev)
            if link.kind != "macvtap" or lower is None or link.lower_netns is not None:
                return False
            shares_mac = mode != MacvtapMode.PASSTHROUGH or lower.mac == link.mac
            return link.lower == lower.index and link.mode == mode and shares_mac


def _expected(step: VerifyPort) -> str:
    up = ", up" if step.up else ""
    match step.attachment:
        case Bridge(name):
            return f"a tap, port of {name}{up}"
        case Direct(dev, mode):
            return f"a macvtap on {dev}, mode {mode.value}{up}"


def _described(host: Host, link: Link) -> str:
    def called(index: int | None) -> str:
        other = host.by_index(index)
        return other.name if other else "nothing" if index is None else f"link {index}"

    where = f"on {called(link.lower)}, mode {link.mode}" if link.kind == "macvtap" else f"port of {called(link.master)}"
    return f"{link.name} ({link.mac}), {where}, {'up' if link.up else 'down'}"
