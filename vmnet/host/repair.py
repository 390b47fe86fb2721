"""Taps of running guests go back to the bridge that their documents name: it was deleted, and made again without them.

A tap stays when its bridge goes, and is a port of nothing; libvirt neither sees it nor does anything about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vmnet.change.plan import Plan, Step
from vmnet.errors import VmnetError
from vmnet.findings import Finding
from vmnet.host import netlink, rtnetlink
from vmnet.host.findings import error, listed, named, note, warning
from vmnet.host.model import Host, Identity, Link
from vmnet.host.planner import unless_refused
from vmnet.host.readback import compare, same
from vmnet.host.steps import HostStep, Unlearn
from vmnet.host.wire import Line
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Port:
    """What a running guest's live document says of a tap.

    Args:
        domain: The domain's name.
        mac: The NIC's MAC.
        target: The tap's name.
        isolated: Whether it is to be cut off from other isolated ports.
        tagged: Whether libvirt gave it VLANs of the bridge's.
        running: Whether the guest's CPUs run: libvirt has the tap down while they do not.
    """

    domain: str
    mac: str
    target: str
    isolated: bool = False
    tagged: bool = False
    running: bool = True


@dataclass(frozen=True, slots=True)
class PutBack(HostStep):
    """Make a running guest's tap a port of its bridge again.

    Args:
        port: What the guest's document says of it.
        tap: The tap.
        bridge: The bridge's name.
        before: The name of the bridge that it is a port of now; empty for none.
    """

    port: Port
    tap: Identity
    bridge: str
    before: str = ""

    @property
    def touches(self) -> tuple[str, ...]:
        """The tap and the bridge."""
        return (self.tap.name, self.bridge)

    def summary(self) -> str:
        """What the step does."""
        isolated = ", isolated" if self.port.isolated else ""
        return f"Put {self.tap.name} of {self.port.domain} back on bridge {self.bridge}{isolated}"


def plan_repair(host: Host, name: str, ports: Iterable[Port]) -> Plan:
    """The plan to have taps on the bridge that their guests' documents name.

    Args:
        host: The observation.
        name: The bridge's name.
        ports: The taps that are to be its ports.
    """
    return unless_refused(Plan.of(_parts(host, name, tuple(ports))))


def is_in_place(host: Host, bridge: Link, port: Port) -> bool:
    """Whether a tap is as its guest's document says."""
    tap = host.link(port.target)
    return (
        tap is not None
        and tap.master == bridge.index
        and (tap.up or not port.running)
        and (tap.isolated or not port.isolated)
    )


def put_back(line: Line, step: PutBack) -> None:
    """Do the step and read it back.

    Raises:
        VmnetError: As `applier.HostWing.apply`.
    """
    host = Host(rtnetlink.links())
    tap, bridge = same(host, step.tap), host.link(step.bridge)
    if bridge is None or not bridge.is_bridge:
        raise VmnetError("host-changed", f"there is no bridge {step.bridge} any more", remedy="Run the command again")
    wished = [netlink.set_master(tap.index, bridge.index)] if tap.master != bridge.index else []
    wished += [netlink.set_isolated(tap.index)] if step.port.isolated else []
    wished += [netlink.set_up(tap.index, True, tap.name)] if step.port.running and not tap.up else []
    line.do(wished)
    now = Host(rtnetlink.links()).by_index(tap.index)
    compare(
        tap.name,
        master=(bridge.index, now and now.master),
        isolated=(True, bool(now and now.isolated) or not step.port.isolated),
        up=(True, bool(now and now.up) or not step.port.running),
    )


def _parts(host: Host, name: str, ports: Sequence[Port]) -> Iterator[Step | Finding]:
    bridge = host.link(name)
    if bridge is None:
        waiting = listed(f"{p.target} of {p.domain}" for p in ports)
        yield error(
            "H470",
            what=f"there is no bridge {name} on this host",
            why=f"These wait for it: {waiting}" if waiting else "",
            remedy=f"Make it first: vmnet bridge prepare {name} --uplink DEV",
        )
        return
    if not bridge.is_bridge:
        yield error("H471", what=f"{named([bridge])} is not a bridge", remedy="Name a bridge: vmnet bridge list")
        return
    astray = [p for p in ports if not is_in_place(host, bridge, p)]
    for port in astray:
        yield from _back(host, bridge, port)
    if astray and not bridge.up:
        yield warning(
            "H474",
            what=f"bridge {bridge.name} is down",
            why="A guest on it reaches nobody",
            remedy=f"ip link set {bridge.name} up",
        )


def _back(host: Host, bridge: Link, port: Port) -> Iterator[Step | Finding]:
    tap = host.link(port.target)
    if tap is None or tap.kind != "tun":
        yield warning(
            "H472",
            what=f"{port.domain} has no tap {port.target} in the kernel",
            why="Somebody deleted or renamed it: what the guest sends goes nowhere",
            remedy=f"Detach the NIC and attach it again: vmnet detach {port.domain} {port.mac}",
        )
        return
    before = host.by_index(tap.master) if tap.master != bridge.index else None
    if before:
        yield note(
            "H473",
            what=f"{tap.name} of {port.domain} is a port of {before.name} now",
            why=f"The guest's document says {bridge.name}",
            remedy=f"If it is to stay there: vmnet set {port.domain} {port.mac} --bridge {before.name}",
        )
    if port.tagged:
        yield warning(
            "H475",
            what=f"the VLANs of {tap.name} of {port.domain} are not put back",
            why="libvirt gave them to the port of the bridge that was deleted",
            remedy=f"See what it has: bridge vlan show dev {tap.name}; or detach the NIC and attach it again",
        )
    yield PutBack(port, tap.identity, bridge.name, before.name if before else "")
    if before:
        yield Unlearn(port.domain, port.mac, bridge.name)
