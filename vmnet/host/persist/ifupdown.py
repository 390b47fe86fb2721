"""ifupdown: stanzas in a file of its own (interfaces(5), bridge-utils-interfaces(5))."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vmnet.filling import fill
from vmnet.findings import Finding
from vmnet.host.managers import Manager
from vmnet.host.persist import common
from vmnet.host.persist.common import clash
from vmnet.host.persist.model import Format, Lasting, LastingRoute, LastingRule, NativeFile, Texts
from vmnet.host.persist.seal import sealed
from vmnet.values import dataclass

_MAIN = Path("/etc/network/interfaces")
_FOLDER = Path("/etc/network/interfaces.d")
_MODE = 0o644
_STP = {True: "on", False: "off"}
_YES = {True: "yes", False: "no"}
_BY_IP = {"multicast_snooping": "mcast_snooping", "multicast_querier": "mcast_querier"}
_BY_IP |= {name: name for name in ("multicast_router", "group_fwd_mask", "vlan_default_pvid")}
_BY_IP["multicast_router"] = "mcast_router"
"""Settings that bridge-utils has no word for, and what they are called by iproute2."""


def files(bridge: Lasting, existing: Texts = MappingProxyType({})) -> tuple[NativeFile, ...]:
    """The file that has ifupdown make the bridge; ports that have a stanza need no other."""
    there = {s.link for path, text in existing.items() if path != _path(bridge) for s in _stanzas(path, text)}
    values = {
        "bridge": bridge.name,
        "ports": [{"port": p.name, "mtu": p.mtu} for p in bridge.ports if p.name not in there],
        "stanzas": _of_bridge(bridge),
    }
    text = "\n".join(line for line in fill("host/ifupdown/bridge", values).strip().splitlines()) + "\n"
    return (NativeFile(_path(bridge), sealed(text, bridge.name, "ifupdown"), _MODE),)


def _path(bridge: Lasting) -> Path:
    return _FOLDER / f"vmnet-{bridge.name.replace('.', '_')}"  # source-directory takes no names with a dot


def _of_bridge(bridge: Lasting) -> list[dict[str, Any]]:
    """The stanzas of the bridge: one an address, IPv4 first; routes and rules with the last of their family."""
    v4, v6 = ([a for a in bridge.addresses if a.family == family] for family in (4, 6))
    found: list[tuple[int, str, Any]] = [(4, "static", a) for a in v4]
    found += [(4, "dhcp", None)] if bridge.dhcp4 else []
    found = found or [(4, "manual", None)]
    found += [(6, "static", a) for a in v6]
    found += [(6, "dhcp", None)] if bridge.dhcp6 else [(6, "auto", None)] if bridge.ra and not v6 else []
    last = {family: at for at, (family, _, _) in enumerate(found)}
    stanzas = []
    for at, (family, method, address) in enumerate(found):
        given = common.fields(address) if address else {}
        said = {key: given.get(key) for key in ("address", "broadcast", "peer", "scope", "metric")}
        stanzas.append(
            {
                **dict.fromkeys(("dns", "search", "mtu", "accept_ra", "preferred", "name_servers")),
                **said,
                "preferred": 0 if family == 6 and given.get("deprecated") else None,
                "accept_ra": (int(bridge.ra) if family == 6 and method == "static" else None),
                "family": "inet" if family == 4 else "inet6",
                "method": method,
                "bridge_options": [_options(bridge)] if at == 0 else [],
                "mtu": bridge.mtu if at == 0 and method != "dhcp" else None,
                "name_servers": " ".join(bridge.name_servers) or None if at == 0 else None,
                "search": " ".join(bridge.search) or None if at == 0 else None,
                "version": family,
                "routes": _each(bridge.routes, family, _route, "route") if last.get(family) == at else [],
                "rules": _each(bridge.rules, family, _rule, "rule") if last.get(family) == at else [],
            }
        )
    return stanzas


def _options(bridge: Lasting) -> dict[str, Any]:
    values = common.settings(bridge, _YES) | {"stp": _STP[bridge.settings.stp]}
    by_ip = (
        {"multicast_snooping": int(bridge.settings.multicast_snooping)}
        if not bridge.settings.multicast_snooping
        else {}
    )
    by_ip |= {name: value for name, value in bridge.further.items() if name in _BY_IP}
    return values | {
        "port_names": " ".join(p.name for p in bridge.ports) or "none",
        "wait": None if bridge.settings.stp else 0,  # with a spanning tree bridge-utils knows how long
        "link_options": [{"option": _BY_IP[name], "value": value} for name, value in by_ip.items()],
    }


def _each(several: Sequence[Any], family: int, said: Any, name: str) -> list[dict[str, str]]:
    return [{name: said(one)} for one in several if one.family == family]


def _route(route: LastingRoute) -> str:
    parts = [route.to or "default"]
    told = {"via": route.via, "metric": route.metric, "table": route.table, "src": route.source, "scope": route.scope}
    parts += [f"{key} {value}" for key, value in told.items() if value is not None]
    parts += [f"mtu {route.mtu}"] if route.mtu else []
    parts += ["onlink"] if route.onlink else []
    return " ".join(parts)


def _rule(rule: LastingRule) -> str:
    told = {"from": rule.source, "to": rule.to, "iif": rule.incoming, "oif": rule.outgoing, "fwmark": rule.mark}
    parts = [f"{key} {value}" for key, value in told.items() if value is not None]
    return " ".join([f"priority {rule.priority}", *parts, f"table {rule.table}"])


def clashes(bridge: Lasting, existing: Texts) -> Iterator[Finding]:
    """Stanzas that give a port an address, or make the bridge; and a main file that does not read ours."""
    own = _path(bridge)
    if not _is_read(existing.get(_MAIN, ""), own):
        yield clash(
            str(_MAIN),
            f"does not have {own} read",
            "ifupdown reads that file alone, and those that it names",
            f"Add this line to it: source {_FOLDER}/*",
        )
    for s in _of_ours(bridge, {path: text for path, text in existing.items() if path != own}):
        yield clash(
            f"{s.path}:{s.line}",
            f"has ifupdown configure {s.link}: iface {s.link} {s.family} {s.method}",
            "ifupdown does what each stanza of a link says, and nothing takes one back",
            f"Remove it, or make it a comment: lines {s.line} to {s.last} of {s.path}",
        )


def claims(bridge: Lasting, existing: Texts) -> Iterator[str]:
    """The stanzas about the bridge or its ports."""
    return (f"{s.path}:{s.line}" for s in _of_ours(bridge, existing))


def leases(bridge: Lasting, existing: Texts) -> str:
    """The stanza that has IPv4 leased there."""
    leased = (s for s in _of_ours(bridge, existing) if (s.family, s.method) == ("inet", "dhcp"))
    return next((f"{s.path}:{s.line}" for s in leased), "")


@dataclass(frozen=True, slots=True)
class _Stanza:
    """An ``iface`` stanza and its lines."""

    path: Path
    line: int
    last: int
    link: str
    family: str
    method: str


def _of_ours(bridge: Lasting, existing: Texts) -> Iterator[_Stanza]:
    """Stanzas that do something with the bridge or its ports; those by the method `manual` leave a port be."""
    ports = {p.name for p in bridge.ports}
    for path, text in existing.items():
        for s in _stanzas(path, text):
            if s.link == bridge.name or (s.link in ports and s.method != "manual"):
                yield s


_HEADS = ("iface", "auto", "mapping", "source", "source-directory", "no-auto-down", "no-scripts", "template")


def _stanzas(path: Path, text: str) -> Iterator[_Stanza]:
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        match line.split():
            case ["iface", link, family, method, *_]:
                last = number
                for at in range(number, len(lines)):
                    word = (lines[at].split() or [""])[0]
                    if word in _HEADS or word.startswith("allow-"):
                        break
                    last = at + 1 if word else last
                yield _Stanza(path, number, last, link, family, method)


def _is_read(main: str, own: Path) -> bool:
    """Whether the main file has ours read: by a pattern, or as one of a folder."""
    for line in main.splitlines():
        match line.split():
            case ["source", *patterns] if any(fnmatchcase(str(own), _whole(p)) for p in patterns):
                return True
            case ["source-directory", *folders] if any(
                fnmatchcase(str(own.parent), _whole(f.rstrip("/"))) for f in folders
            ):
                return True
    return False


def _whole(pattern: str) -> str:
    return pattern if pattern.startswith("/") else f"{_MAIN.parent}/{pattern}"


FORMAT = Format(
    name="ifupdown",
    managers=frozenset({Manager.IFUPDOWN, Manager.DHCLIENT, Manager.DHCPCD, Manager.UDHCPC}),
    reads=((str(_MAIN.parent), "interfaces"), (str(_FOLDER), "*")),
    says=common.ROUTE | common.RULE | common.BRIDGE
    | {"address.peer", "address.scope", "address.metric", "address.broadcast", "address.deprecated"}
    | {"rule.incoming", "rule.outgoing", "rule.mark", "bridge.hello_time", "bridge.max_age", "bridge.priority"}
    | {"bridge.vlan_filtering", *(f"bridge.{name}" for name in _BY_IP)},
    files=files,
    clashes=clashes,
    claims=claims,
    leases=leases,
    effect="ifupdown reads it when it is called; nothing that runs is touched",
)  # fmt: skip
