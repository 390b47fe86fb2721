"""Say what a bridge is to be at every boot, by what it is now; and what of it is somebody else's to bring."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from vmnet.filling import is_name
from vmnet.findings import Finding
from vmnet.host.carried import Carried
from vmnet.host.entry import Entry
from vmnet.host.findings import error, listed, note, warning
from vmnet.host.model import PLAIN
from vmnet.host.persist import decoding
from vmnet.host.persist.model import Lasting, Port
from vmnet.values import dataclass

_LOCAL_TABLES = frozenset({253, 254, 255})
_BOOKED = frozenset({decoding.BOOT, decoding.STATIC})
_OF_ITS_MANAGER = frozenset({"accept_ra", "addr_gen_mode", "disable_ipv6", "mtu", "stable_secret", "disable_policy"})
"""Settings that every manager has its own way with, and that are written as such."""
_VIRTUAL = frozenset({"bond", "team", "vlan", "macvlan", "vxlan", "dummy"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A bridge as it is now, with all around it that says what it is to be.

    Args:
        bridge: What it carries.
        ports: What its ports that lead to a LAN carry.
        rules: All routing rules of the host.
        defaults: What the settings of a new link are (``ipv6/conf/accept_ra`` and value).
        leased_by: By what else than an end of its address it is known that IPv4 is leased; empty if by nothing.
        name_servers: Whom the host asks for names.
        search: In which domains.
    """

    bridge: Carried
    ports: tuple[Carried, ...] = ()
    rules: tuple[Entry, ...] = ()
    defaults: Mapping[str, str] | None = None
    leased_by: str = ""
    name_servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()


def describe(seen: Seen) -> tuple[Lasting, tuple[Finding, ...]]:
    """What the bridge is to be, and what of it is left to others, or lost in every format."""
    link, routes = seen.bridge.link, seen.bridge.routes
    mac = link.mac or ""
    assert link.bridge is not None, "it is a bridge"
    addresses = [e for e in seen.bridge.addresses if not decoding.is_own(e, mac)]
    ra = any(map(decoding.is_of_router, addresses)) or any(e.header[5] == decoding.RA for e in routes)
    given = [e for e in addresses if not decoding.is_leased(e) and not decoding.is_of_router(e)]
    lent = [e for e in addresses if e not in given]
    dhcp4 = any(e.family == socket.AF_INET for e in lent) or any(_is_leased_route(e) for e in routes)
    presumed = [e for e in given if e.family == socket.AF_INET][:1] if not dhcp4 and seen.leased_by else []
    dhcp4 = dhcp4 or bool(seen.leased_by)
    dhcp6 = any(e.family == socket.AF_INET6 and not decoding.is_of_router(e) for e in lent)
    given = [e for e in given if e not in presumed]
    own_v4 = any(e.family == socket.AF_INET for e in given)
    kept = [e for e in routes if e.header[5] in _BOOKED and not (dhcp4 and not own_v4 and _is_default4(e))]
    rules = [e for e in seen.rules if _is_about(e, link.name, routes)]
    sysctls = seen.bridge.sysctls
    changing = decoding.is_changing(seen.bridge.data)
    lasting = Lasting(
        name=link.name,
        mac=mac,
        mtu=link.mtu,
        settings=replace(link.bridge, ageing=PLAIN.ageing) if changing else link.bridge,
        further=decoding.further_settings(seen.bridge.data),
        ports=tuple(Port(p.link.name, p.link.mac, p.link.mtu, p.link.kind) for p in seen.ports),
        addresses=tuple(decoding.address(e, link.name, routes) for e in given),
        routes=tuple(map(decoding.route, kept)),
        rules=tuple(map(decoding.rule, rules)),
        dhcp4=dhcp4,
        dhcp6=dhcp6,
        ra=ra or _listens(sysctls),
        ipv6=sysctls.get("ipv6/conf/disable_ipv6", "0") == "0",
        name_servers=() if dhcp4 or dhcp6 else seen.name_servers,
        search=() if dhcp4 or dhcp6 else seen.search,
    )
    left = [*lent, *(e for e in routes if e not in kept and e.header[5] != decoding.KERNEL)]
    return lasting, tuple(_findings(seen, lasting, left, presumed))


def _findings(seen: Seen, lasting: Lasting, left: Sequence[Entry], presumed: Sequence[Entry]) -> Iterator[Finding]:
    if unsafe := [name for name in (lasting.name, *(p.name for p in lasting.ports)) if not is_name(name)]:
        yield error(
            "H450",
            what=f"{unsafe[0]!r} is a name that no configuration can have",
            why="Its characters mean something else in a network manager's files",
            remedy=f"Rename it: ip link set dev {unsafe[0]} name NAME",
        )
    if left:
        yield note(
            "H451",
            what=f"not written, for others bring it at each boot: {listed(e.text() for e in left)}",
            why="A DHCP server, a router or a routing daemon gave it, and may give another",
        )
    for one in presumed:
        yield warning(
            "H452",
            what=f"{one.text()} is taken for a lease, though it has no end",
            why=f"{seen.leased_by} leases IPv4 here",
            remedy="If it is the host's own, end that, and say it again",
        )
    if not lasting.ports:
        yield warning(
            "H455",
            what=f"{lasting.name} has no port that leads to a LAN",
            why="At boot it will have none either; guests' taps come with the guests",
        )
    for port in seen.ports:
        if port.link.kind in _VIRTUAL:
            yield warning(
                "H455",
                what=f"{port.link.name} is a {port.link.kind}, which its own configuration is to make at boot",
                why=f"Only that it is a port of {lasting.name} is written",
                remedy="See that one makes it",
            )
    if decoding.is_changing(seen.bridge.data):
        yield warning(
            "H453",
            what=f"the ageing time of {lasting.name} is not told",
            why="Its spanning tree is changing, and the kernel cuts it short meanwhile",
            remedy="Say it again in a minute",
        )
    lost = [e.text() for e in seen.bridge.neighbours]
    defaults = seen.defaults or {}
    lost += [
        f"{key}={value}"
        for key, value in seen.bridge.sysctls.items()
        if defaults.get(key, value) != value and key.rpartition("/")[2] not in _OF_ITS_MANAGER
    ]
    if lost:
        yield warning(
            "H453",
            what=f"not written: {listed(lost)}",
            why=f"{lasting.name} has it now, and a network manager's configuration is no place for it",
            remedy="Settings: /etc/sysctl.d/; neighbours: ip neigh, in a unit of your own",
        )


def _is_leased_route(entry: Entry) -> bool:
    return entry.family == socket.AF_INET and entry.header[5] == decoding.DHCP


def _is_default4(entry: Entry) -> bool:
    """Whether it may be the way out that a DHCP client has set: most say no more than that it was at boot."""
    return entry.family == socket.AF_INET and entry.header[1] == 0 and decoding.table(entry) == 254


def _is_about(entry: Entry, name: str, routes: Sequence[Entry]) -> bool:
    """Whether a rule names the bridge, or looks where only its routes are."""
    return name in entry.links or decoding.table(entry) in {decoding.table(e) for e in routes} - _LOCAL_TABLES


def _listens(sysctls: Mapping[str, str]) -> bool:
    """Whether the kernel heeds routers: with forwarding only if it is told so (ip-sysctl, accept_ra)."""
    accepts, forwards = (sysctls.get(f"ipv6/conf/{key}", "0") for key in ("accept_ra", "forwarding"))
    return sysctls.get("ipv6/conf/disable_ipv6", "0") == "0" and (
        accepts == "2" or (accepts == "1" and forwards == "0")
    )


def says(lasting: Lasting, says: frozenset[str], format_name: str) -> tuple[Lasting, tuple[Finding, ...]]:
    """As much of a bridge as a format can say, and what it cannot.

    A route or a rule with a part that cannot be said would be another one, and is left out whole.

    Args:
        lasting: The bridge.
        says: What can be said (`Format.says`).
        format_name: The format, for people.
    """
    missing: list[str] = []
    grave: list[str] = []
    settings = {name: getattr(lasting.settings, name) for name in _SETTINGS}
    for name, value in settings.items():
        if value != getattr(PLAIN, name) and f"bridge.{name}" not in says and not _is_moot(name, lasting):
            missing.append(f"{name.replace('_', ' ')} {_shown(value)}")
    if lasting.settings.vlan_filtering:
        missing.append("which VLANs a port carries")
    missing += [f"{name.replace('_', ' ')} {n}" for name, n in lasting.further.items() if f"bridge.{name}" not in says]
    for one in lasting.addresses:
        missing += [
            f"{part} of {one.address}" for part in _unsaid("address", one, says, ("family", "address", "silent"))
        ]
    routes = []
    for route in lasting.routes:
        parts = [*_unsaid("route", route, says, ("family", "to", "via", "further")), *route.further]
        if not parts:
            routes.append(route)
        elif route.to is None and route.table is None:
            grave.append(f"{route.text()} ({', '.join(parts)})")
        else:
            missing.append(f"{route.text()} ({', '.join(parts)})")
    rules = []
    for rule in lasting.rules:
        parts = [*_unsaid("rule", rule, says, ("family", "priority", "table", "further")), *rule.further]
        if "rule" in says and not parts:
            rules.append(rule)
        else:
            missing.append(f"{rule.text()} ({', '.join(parts) or 'as any'})")
    findings = []
    if grave:
        findings.append(
            error(
                "H454",
                what=f"{format_name} cannot be told: {listed(grave)}",
                why="Without its way out the host would not be reached after the next boot",
                remedy="Choose another --format, or give the host a plain default route",
            )
        )
    if missing:
        findings.append(
            warning(
                "H453",
                what=f"{format_name} is not told: {listed(missing)}",
                why="There are no words for it there; after the next boot it is as the kernel has it",
                remedy="Choose another --format, or set it yourself at boot",
            )
        )
    return replace(lasting, routes=tuple(routes), rules=tuple(rules)), tuple(findings)


_SETTINGS = ("stp", "forward_delay", "vlan_filtering", "ageing", "multicast_snooping")


def _is_moot(name: str, lasting: Lasting) -> bool:
    """Whether a setting does nothing: ports forward at once where no spanning tree is spoken."""
    return name == "forward_delay" and not lasting.settings.stp


def _shown(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _unsaid(kind: str, one: Any, says: frozenset[str], always: Sequence[str]) -> list[str]:
    names = (f.name for f in fields(one) if f.name not in always)
    return [name for name in names if getattr(one, name) not in (None, False) and f"{kind}.{name}" not in says]
