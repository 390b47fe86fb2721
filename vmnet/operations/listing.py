"""Every NIC of every domain: what libvirt says, what the kernel says, and where the guest is reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from vmnet.guest.addresses import Addresses, Asking, Known
from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Source, State
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.networks import Network as Definition
from vmnet.guest.networks import resolve
from vmnet.guest.observe import observe, observe_each
from vmnet.host.model import Host, Link
from vmnet.host.observe import observe_ends
from vmnet.nic.field import shown
from vmnet.nic.model import Nic
from vmnet.values import dataclass

_ATTACHMENT = ("direct", "bridge", "network", "mode", "portgroup")
"""Fields that say how a NIC is attached; on a NIC of a libvirt network the live ones are the network's doing."""

_DOCUMENTS = {(live, config): ("live",) * live + ("config",) * config for live in (0, 1) for config in (0, 1)}
_SAME: Mapping[str, tuple[Any, Any]] = {}


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the kernel has for a running guest's NIC.

    Args:
        link: The tap or macvtap.
        on: The bridge that it is a port of, or the link below it; None for nothing.
        mode: The mode of a macvtap.
        up: Whether it is set up.
    """

    link: str
    on: str | None
    mode: str | None
    up: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One NIC of one domain.

    Args:
        domain: The domain's name.
        uuid: Its UUID.
        state: What it is doing.
        number: The NIC's number, from 1, by which a command can name it.
        nic: Its fields, as the guest has them now or will have them at its next start.
        type: ``direct``, ``bridge``, ``network`` or whatever libvirt says.
        network: The libvirt network it belongs to, and what that resolves to.
        documents: Which of ``live`` and ``config`` have it.
        differs: Fields that differ between the two: live value, then config value.
        kernel: The kernel's view; None where there is none, or where it cannot be seen.
        notes: What is not as it should be, a sentence each.
        addresses: The guest's IP addresses.
    """

    domain: str
    uuid: str
    state: State
    number: int
    nic: Mapping[str, Any]
    type: str
    network: Definition | None
    documents: tuple[str, ...]
    differs: Mapping[str, tuple[Any, Any]]
    kernel: Kernel | None
    notes: tuple[str, ...]
    addresses: tuple[Known, ...]

    def document(self) -> dict[str, Any]:
        """The row as a JSON-able mapping with stable keys."""
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "network": self.network and asdict(self.network),
            "kernel": self.kernel and asdict(self.kernel),
            "addresses": [asdict(known) for known in self.addresses],
        }


def listing(connection: Connection, names: Sequence[str] = ()) -> list[Row]:
    """The NICs of the domains named, else of all: each domain once, by name.

    Args:
        connection: A connection; a read-only one knows no agent's addresses.
        names: Names, UUIDs or ids.

    Raises:
        VmnetError: ``domain-unknown``, or what libvirt says.
    """
    found = {handle.uuid: handle for handle in map(connection.domain, names)}
    named = sorted(found.values(), key=lambda handle: handle.name)
    asking = Asking(connection)
    networks: dict[str, Definition] = {}
    rows: list[Row] = []
    for domain in map(observe, named) if names else observe_each(connection):
        asking.about(domain)
        rows += rows_of(connection, domain, networks)
    known = asking.answers()
    host = observe_ends() if connection.is_local else None
    return [as_seen(row, host, known) for row in rows]


def rows_of(connection: Connection, domain: Domain, networks: dict[str, Definition]) -> Iterator[Row]:
    """The NICs of one domain as libvirt has them: nothing of its documents is kept.

    Args:
        connection: Where a network is looked up.
        domain: The domain.
        networks: Those that were looked up already, by name; what is new is added.
    """
    for number, pair in enumerate(domain.nics, 1):
        live = pair.live.values() if pair.live else {}
        config = pair.config.values() if pair.config else {}
        # A live NIC keeps its network's name although its type is that of the real attachment.
        network = pair.live.text("source/@network") if pair.live else None
        differs = _differs(live, config, network) if pair.live and pair.config else _SAME
        yield Row(
            domain=domain.name,
            uuid=domain.uuid,
            state=domain.state,
            number=number,
            nic=live if pair.live else config,
            type=pair.nic.text("@type") or "",
            network=_network(connection, network or config.get("network"), networks),
            documents=_DOCUMENTS[bool(pair.live), bool(pair.config)],
            differs=differs,
            kernel=None,
            notes=tuple(_notes(domain, pair, differs)),
            addresses=(),
        )


def as_seen(row: Row, host: Host | None, known: Addresses) -> Row:
    """The row of a running guest's NIC with what the kernel has for it, and the addresses at which it is reached.

    Args:
        row: The NIC as libvirt has it.
        host: This host's links and neighbours; None where the guest runs on another.
        known: What agents and leases say.
    """
    if "live" not in row.documents or not (host or known):
        return row
    target = row.nic.get("target")
    link = host.link(target) if host and target else None
    return replace(
        row,
        kernel=_kernel(host, link) if host and link else None,
        notes=(*row.notes, *_drift(row, host, link)) if host and target else row.notes,
        addresses=all_addresses(row.uuid, row.nic.get("mac", ""), host, known),
    )


def _differs(live: Mapping[str, Any], config: Mapping[str, Any], network: str | None) -> Mapping[str, tuple[Any, Any]]:
    differing = {name for name in live.keys() | config.keys() if live.get(name) != config.get(name)}
    # libvirt names a NIC itself while it runs, and a network decides how its NICs are attached.
    differing -= {name for name in ("target", "alias") if name not in config}
    if network and network == config.get("network"):
        differing.difference_update(_ATTACHMENT)
    return (
        {name: (live.get(name), config.get(name)) for name in Nic.FIELDS if name in differing} if differing else _SAME
    )


def _network(connection: Connection, name: str | None, cache: dict[str, Definition]) -> Definition | None:
    if name is None:
        return None
    if name not in cache:
        cache[name] = resolve(name, connection.network_xml(name))
    return cache[name]


def _kernel(host: Host, link: Link) -> Kernel:
    on = host.by_index(link.lower if link.kind == "macvtap" else link.master)
    return Kernel(link.name, on.name if on else None, link.mode, link.up)


def _notes(domain: Domain, pair: GuestNic, differs: Mapping[str, tuple[Any, Any]]) -> Iterator[str]:
    """Where the two documents differ."""
    if domain.config and pair.config is None:
        yield "gone at the next start: the definition has no such NIC"
    if domain.live and pair.live is None:
        yield "not there before the next start: only the definition has it"
    for name, (live, config) in differs.items():
        yield f"{name} is {shown(live)} now and {shown(config)} after the next start"


def _drift(row: Row, host: Host, link: Link | None) -> Iterator[str]:
    """Where the kernel does not have what libvirt believes."""
    if link is None:
        yield f"the kernel has no link {row.nic['target']}"
        return
    seen = _kernel(host, link)
    match row.type:
        case "bridge" if seen.on != row.nic.get("bridge"):
            yield f"{link.name} is a port of {seen.on or 'no bridge'}, not of {shown(row.nic.get('bridge'))}"
        case "direct" if seen.on != row.nic.get("direct"):
            yield f"{link.name} is on {seen.on or 'no link'}, not on {shown(row.nic.get('direct'))}"
        case "direct" if seen.mode != row.nic.get("mode"):
            yield f"{link.name} is in mode {shown(seen.mode)}, not {shown(row.nic.get('mode'))}"
        case "network" if seen.on is None:
            yield f"{link.name} is a port of no bridge"
    # libvirt sets the link down while the guest is paused.
    if not link.up and row.state is State.RUNNING:
        yield f"{link.name} is down"


def astray(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The taps that are not ports of the bridge that their guests' live documents name, by that bridge."""
    found: dict[str, list[str]] = {}
    for row in rows:
        wanted = row.nic.get("bridge") or (row.network and row.network.bridge)
        is_tap = row.type in ("bridge", "network") and "virtualport" not in row.nic
        if row.kernel and is_tap and wanted and row.kernel.on != wanted:
            found.setdefault(wanted, []).append(row.kernel.link)
    return found


def all_addresses(uuid: str, mac: str, host: Host | None, known: Addresses) -> tuple[Known, ...]:
    """The addresses of a running NIC, each once and from its best source; those that lead beyond the link first.

    Args:
        uuid: The domain's UUID.
        mac: The NIC's MAC address.
        host: This host, whose neighbours are the last source.
        known: What agent and leases say.
    """
    seen = host.neighbours_at(mac) if host else ()
    once: dict[str, Known] = {}
    for one in (*known.get((uuid, mac), ()), *(Known(n.address, Source.NEIGHBOUR) for n in seen)):
        once.setdefault(one.address.partition("/")[0], one)
    return tuple(sorted(once.values(), key=lambda one: (one.is_link_local, ":" in one.address)))
