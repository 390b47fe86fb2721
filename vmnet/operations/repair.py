"""Put the taps of running guests back on a bridge that was deleted and made again, and see which are astray."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vmnet.change.plan import Plan
from vmnet.errors import VmnetError
from vmnet.guest.connection import Connection
from vmnet.guest.kinds import State
from vmnet.guest.model import Domain
from vmnet.guest.observe import observe, observe_each
from vmnet.host.model import Host
from vmnet.host.observe import observe as observe_host
from vmnet.host.planner import real_name
from vmnet.host.repair import Port, PutBack, is_in_place, plan_repair
from vmnet.nic.model import Nic
from vmnet.operations.change import Run
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was planned for the taps of a bridge, and whether it was done.

    Args:
        plan: The plan; without steps there was nothing to do.
        applied: Whether it was carried out.
        bridge: The bridge's name.
    """

    plan: Plan
    applied: bool
    bridge: str

    @property
    def steps(self) -> tuple[PutBack, ...]:
        """What puts the taps back."""
        return tuple(step for step in self.plan.steps if isinstance(step, PutBack))

    def document(self) -> dict[str, Any]:
        """The outcome as a JSON-able mapping with stable keys."""
        taps = [
            {"domain": s.port.domain, "mac": s.port.mac, "target": s.tap.name, "before": s.before or None}
            for s in self.steps
        ]
        return {"applied": self.applied, "bridge": self.bridge, "taps": taps, **self.plan.document()}


def repair(connection: Connection, name: str, run: Run) -> Repaired:
    """Have the taps of all running guests on the bridge that their live documents name.

    Args:
        connection: A connection to the daemon of this host.
        name: The bridge's name.
        run: How to carry it out.

    Raises:
        Refused: There is no such bridge.
        VmnetError: ``not-local``; or what libvirt says, or as `execute`.
    """
    if not connection.is_local:
        raise VmnetError(
            "not-local",
            f"the taps are on the host of {connection.uri}, not on this one",
            remedy="Run it there",
        )
    name = real_name(observe_host(), name)
    uuids = [domain.uuid for domain in observe_each(connection) if any(_ports([domain]).get(name, ()))]
    with run.alone_with(domains=uuids, links=(name,)):
        ports = _ports(_still_there(connection, uuids)).get(name, [])
        plan = plan_repair(observe_host(), name, ports)
        plan.refuse()
        run.planned(plan)
        if run.dry or not plan.steps:
            return Repaired(plan, False, name)
        from vmnet.change.executor import execute
        from vmnet.host.applier import HostWing

        execute(plan, {"host": HostWing()}, run.progress)
        return Repaired(plan, True, name)


def astray(uri: str) -> Mapping[str, Sequence[Port]]:
    """The taps that are not on their bridge, by its name; none where libvirt does not say."""
    host = observe_host()
    try:
        with Connection.to_look(uri) as connection:
            found = _ports(observe_each(connection)) if connection.is_local else {}
    except VmnetError:
        return {}
    return {name: off for name, ports in found.items() if (off := [p for p in ports if _is_astray(host, name, p)])}


def _is_astray(host: Host, name: str, port: Port) -> bool:
    bridge = host.link(name)
    return host.link(port.target) is not None and (bridge is None or not is_in_place(host, bridge, port))


def _still_there(connection: Connection, uuids: Iterable[str]) -> Iterator[Domain]:
    for uuid in uuids:
        try:
            yield observe(connection.domain(uuid))
        except VmnetError as error:
            if error.code not in ("domain-gone", "domain-unknown"):
                raise


def _ports(domains: Iterable[Domain]) -> dict[str, list[Port]]:
    """The taps of running guests, by the bridge that their live document names, be it of a libvirt network."""
    found: dict[str, list[Port]] = {}
    for domain in domains:
        for live in (pair.live for pair in domain.nics if pair.live):
            if live.target and (bridge := _bridge_of(live)):
                port = Port(
                    domain.name,
                    live.mac or "",
                    live.target,
                    isolated=live.text("port/@isolated") == "yes",
                    tagged=live.text("vlan/tag/@id") is not None,
                    running=domain.state is State.RUNNING,
                )
                found.setdefault(bridge, []).append(port)
    return found


def _bridge_of(nic: Nic) -> str | None:
    """The Linux bridge that a running NIC is to be a port of; none for a port of a switch (Open vSwitch)."""
    return None if nic.text("virtualport/@type") else nic.text("source/@bridge")
