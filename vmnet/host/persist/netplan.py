"""netplan: one YAML file, which is merged with those before it (netplan(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vmnet.filling import fill
from vmnet.findings import Finding
from vmnet.host.managers import Manager
from vmnet.host.persist import common
from vmnet.host.persist.common import clash, destination, each, fields
from vmnet.host.persist.model import Format, Lasting, LastingAddress, NativeFile, Port, Texts
from vmnet.host.persist.seal import sealed
from vmnet.values import dataclass

_FOLDER = Path("/etc/netplan")
_MODE = 0o600  # netplan warns of files that others can read
_TRUTH = {True: "true", False: "false"}
_SECTIONS = {None: "ethernets", "bond": "bonds", "vlan": "vlans"}
_OVERRIDDEN = frozenset({
    "dhcp4", "dhcp6", "accept-ra", "mtu", "match", "set-name", "optional", "wakeonlan", "renderer", "critical",
    "dhcp-identifier", "dhcp4-overrides", "dhcp6-overrides", "macaddress", "id", "link", "interfaces", "parameters",
})  # fmt: skip
"""What a port's definition may have besides: a later file's word counts, or it does not matter on a port.

Lists add up, so that what is in another file's ``addresses`` or ``routes`` stays.
"""


def files(bridge: Lasting, existing: Texts = MappingProxyType({})) -> tuple[NativeFile, ...]:
    """The file that has netplan make the bridge; ports that it knows keep the ids that they have."""
    known = list(_definitions(existing, _path(bridge)))
    ports: list[dict[str, Any]] = []
    for port in bridge.ports:
        found = next((d for d in known if d.is_of(port)), None)
        section = found.section if found else _SECTIONS.get(port.kind, "ethernets")
        ports.append({"section": section, "id": found.id if found else port.name, "mtu": port.mtu})
    sections = sorted({p["section"] for p in ports})
    values = common.settings(bridge, _TRUTH) | {
        "sections": [{"section": s, "ports": [p for p in ports if p["section"] == s]} for s in sections],
        "members": ports,
        "dhcp4": _TRUTH[bridge.dhcp4],
        "dhcp6": _TRUTH[bridge.dhcp6],
        "ra": _TRUTH[bridge.ra],
        "link_local": "ipv6" if bridge.ipv6 else None,
        "no_link_local": not bridge.ipv6,
        "addresses": [
            {
                "address": a.address,
                "label": a.label,
                "lifetime": 0 if a.deprecated else None,
                "special": _is_special(a),
                "plain": not _is_special(a),
            }
            for a in bridge.addresses
        ],
        "name_servers": each(bridge.name_servers, "name_server"),
        "search": each(bridge.search, "domain"),
        "routes": [
            {**fields(r), "to": r.to or (destination(r) if r.via is None else "default"), **_said(r)}
            for r in bridge.routes
        ],
        "rules": [fields(r) for r in bridge.rules],
    }
    values |= {f"has_{name}": bool(values[name]) for name in ("name_servers", "search", "routes", "rules")}
    values |= {"has_addresses": bool(bridge.addresses), "has_ports": bool(ports)}
    return (NativeFile(_path(bridge), sealed(fill("host/netplan/bridge.yaml", values), bridge.name, "netplan"), _MODE),)


def _path(bridge: Lasting) -> Path:
    return _FOLDER / f"90-vmnet-{bridge.name}.yaml"


def _said(route: Any) -> dict[str, str | None]:
    return {"onlink": "true" if route.onlink else None, "scope": route.scope}


def _is_special(address: LastingAddress) -> bool:
    return bool(address.label or address.deprecated)


def clashes(bridge: Lasting, existing: Texts) -> Iterator[Finding]:
    """Definitions that ours cannot make void, and files that cannot be read here but name what is ours."""
    own = _path(bridge)
    for path, text in existing.items():
        if path == own:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if _is_opaque(line) and any(_names(line, n) for n in _ours(bridge)):
                yield clash(
                    f"{path}:{number}",
                    "is written in a way that vmnet does not read, and names what is the bridge's",
                    "It may give the port addresses, and lists of several files add up",
                    "Write it in lines of their own, without braces, and say it again",
                )
    for d in _definitions(existing, own):
        port = next((p for p in bridge.ports if d.is_of(p)), None)
        if d.id == bridge.name or (d.path.name > own.name and port):
            what = "defines" if d.id == bridge.name else f"comes after {own.name}, and defines"
            yield clash(
                f"{d.path}:{d.line}",
                f"{what} {d.id}",
                "netplan takes what both files say together",
                f"Remove {d.id} there, from line {d.line} on",
            )
        elif port and (adding := {key: at for key, at in d.keys.items() if key not in _OVERRIDDEN}):
            key, at = next(iter(adding.items()))
            yield clash(
                f"{d.path}:{at}",
                f"gives {d.id} {', '.join(adding)}",
                "netplan adds lists of several files up, so that no later file takes it from the port",
                f"Remove {key} of {d.id} there" + (f", and {', '.join(list(adding)[1:])}" if len(adding) > 1 else ""),
            )


def claims(bridge: Lasting, existing: Texts) -> Iterator[str]:
    """The definitions of the bridge and its ports."""
    for d in _definitions(existing):
        if d.id == bridge.name or any(d.is_of(p) for p in bridge.ports):
            yield f"{d.path}:{d.line}"


def leases(bridge: Lasting, existing: Texts) -> str:
    """The definition that has IPv4 leased there."""
    for d in _definitions(existing):
        ours = d.id == bridge.name or any(d.is_of(p) for p in bridge.ports)
        if ours and d.values.get("dhcp4", "").lower() in ("true", "yes", "on", "y"):
            return f"{d.path}:{d.line}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Definition:
    """One link in one file.

    Args:
        path: The file.
        line: Where it begins.
        section: Of what kind it is: ``ethernets``.
        id: What it is called.
        keys: What is said of it, and in which line.
        values: The same, and what is said, where that is one word.
        match: What it is to be known by.
    """

    path: Path
    line: int
    section: str
    id: str
    keys: dict[str, int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    match: dict[str, str] = field(default_factory=dict)

    def is_of(self, port: Port) -> bool:
        """Whether it is a port's: by what it is to match, else by its id."""
        if "set-name" in self.values and self.values["set-name"] == port.name:
            return True
        if self.match:
            by_name = fnmatchcase(port.name, self.match["name"]) if "name" in self.match else True
            by_mac = self.match["macaddress"].lower() == port.mac if "macaddress" in self.match else True
            return by_name and by_mac
        return self.id == port.name


_KEY = re.compile(r"(\s*)(?:\"([^\"]+)\"|'([^']+)'|([^\s\"'#:{}\[\]-][^:#]*?))\s*:(?:\s+(.*))?$")


def _definitions(existing: Mapping[Path, str], own: Path | None = None) -> Iterator[_Definition]:
    """What the files define, as far as they are written in lines of their own; netplan's order is by name."""
    for path in sorted((p for p in existing if p != own), key=lambda p: p.name):
        yield from _of_file(path, existing[path])


def _of_file(path: Path, text: str) -> Iterator[_Definition]:
    above: list[tuple[int, str]] = []
    current: _Definition | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not (found := _KEY.match(line)):
            continue
        indent, name = len(found[1]), found[2] or found[3] or found[4]
        value = (found[5] or "").split(" #")[0].strip().strip("\"'")
        above = [(deep, key) for deep, key in above if deep < indent]
        keys = [key for _, key in above]
        match keys:
            case ["network", section]:
                if current:
                    yield current
                current = _Definition(path=path, line=number, section=section, id=name) if not value else None
            case ["network", _, _] if current:
                current.keys[name] = number
                current.values[name] = value
            case ["network", _, _, "match"] if current:
                current.match[name] = value
        above.append((indent, name))
    if current:
        yield current


def _ours(bridge: Lasting) -> list[str]:
    return [bridge.name, *(p.name for p in bridge.ports), *(p.mac for p in bridge.ports if p.mac)]


def _names(line: str, name: str) -> bool:
    return bool(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", line, re.IGNORECASE))


def _is_opaque(line: str) -> bool:
    return "{" in line.partition(" #")[0] or bool(re.search(r"[:\s][&*]\w", line))


FORMAT = Format(
    name="netplan",
    managers=frozenset({Manager.NETPLAN}),
    reads=tuple((folder, "*.yaml") for folder in ("/run/netplan", "/etc/netplan", "/usr/lib/netplan", "/lib/netplan")),
    says=common.ROUTE | common.RULE | common.BRIDGE
    | {"address.label", "address.deprecated", "bridge.hello_time", "bridge.max_age", "bridge.priority"},
    files=files,
    clashes=clashes,
    claims=claims,
    leases=leases,
    effect="netplan generate checks it; netplan try has the manager take {bridge} over at once",
)  # fmt: skip
