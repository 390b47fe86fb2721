"""NetworkManager: a keyfile for the bridge, and one for each port (nm-settings-keyfile(5))."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from vmnet.filling import fill
from vmnet.findings import Finding
from vmnet.host.managers import Manager
from vmnet.host.persist import common
from vmnet.host.persist.common import clash, destination, overtaken, settings_of
from vmnet.host.persist.model import Format, Lasting, LastingRoute, LastingRule, NativeFile, Texts
from vmnet.host.persist.seal import sealed

_FOLDER = Path("/etc/NetworkManager/system-connections")
_FOLDERS = (
    "/etc/NetworkManager/system-connections",
    "/run/NetworkManager/system-connections",
    "/usr/lib/NetworkManager/system-connections",
)
_MODE = 0o600  # NetworkManager does not read what others can
_PRIORITY = 999  # the highest: of several profiles for a device the one with the highest is taken at boot
_TRUTH = {True: "true", False: "false"}
_NOWHERE = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - no next hop, not an address to listen on
_SCOPES = {"global": 0, "link": 253, "host": 254}


def files(bridge: Lasting, _existing: Texts = MappingProxyType({})) -> tuple[NativeFile, ...]:
    """The profiles that have NetworkManager make the bridge."""
    values = common.settings(bridge, _TRUTH) | {
        "uuid": _uuid(bridge.name),
        "priority_of_ours": _PRIORITY,
        "families": [_ipv4(bridge), _ipv6(bridge)],
    }
    made = {bridge.name: fill("host/networkmanager/bridge.nmconnection", values)}
    for port in bridge.ports:
        values = {
            "bridge": bridge.name,
            "port": port.name,
            "mtu": port.mtu,
            "uuid": _uuid(bridge.name, port.name),
            "type": port.kind if port.kind in ("bond", "vlan", "team") else "ethernet",
            "master": _uuid(bridge.name),
            "priority_of_ours": _PRIORITY,
        }
        made[f"{bridge.name}-{port.name}"] = fill("host/networkmanager/port.nmconnection", values)
    return tuple(
        NativeFile(_FOLDER / f"vmnet-{name}.nmconnection", sealed(text, bridge.name, "networkmanager"), _MODE)
        for name, text in made.items()
    )


def _uuid(*names: str) -> str:
    """The same for the same names: what a profile is known by."""
    return str(uuid5(NAMESPACE_URL, "/".join(("vmnet:persist", *names))))


def _ipv4(bridge: Lasting) -> dict[str, Any]:
    given = any(a.family == 4 for a in bridge.addresses)
    method = "auto" if bridge.dhcp4 else "manual" if given else "disabled"
    return {**_family(bridge, 4), "family": "ipv4", "method": method, "addr_gen_mode": None}


def _ipv6(bridge: Lasting) -> dict[str, Any]:
    """Without an advertisement `auto` keeps no address of its own from being used."""
    given = any(a.family == 6 for a in bridge.addresses)
    if not bridge.ipv6:
        method = "disabled"
    elif bridge.ra:
        method = "auto"
    else:
        method = "dhcp" if bridge.dhcp6 else "manual" if given else "link-local"
    return {
        **_family(bridge, 6),
        "family": "ipv6",
        "method": method,
        "may_fail": "true" if bridge.ipv6 else None,
        "addr_gen_mode": 0 if bridge.ipv6 else None,  # eui64: by the MAC, as the kernel does
    }


def _family(bridge: Lasting, family: int) -> dict[str, Any]:
    addresses = [a for a in bridge.addresses if a.family == family]
    routes = [r for r in bridge.routes if r.family == family]
    rules = [r for r in bridge.rules if r.family == family]
    leased = bridge.dhcp4 if family == 4 else bridge.dhcp6 or bridge.ra
    servers = [n for n in bridge.name_servers if (":" in n) == (family == 6)]
    has = bool(addresses) or leased
    return {
        "may_fail": None,
        "route_metric": 0 if addresses and not leased else None,  # the kernel's own: else that of NetworkManager
        "addresses": [{"number": n, "address": a.address} for n, a in enumerate(addresses, 1)],
        "routes": [
            {
                "number": n,
                "to": destination(r),
                "via": r.via or _NOWHERE[family],
                "metric": r.metric or (0 if family == 4 else 1024),
                "options": _options(r),
            }
            for n, r in enumerate(routes, 1)
        ],
        "rules": [{"number": n, "rule": _rule(r)} for n, r in enumerate(rules, 1)],
        "dns": ";".join(servers) + ";" if servers and has else None,
        "search": ";".join(bridge.search) + ";" if bridge.search and servers and has else None,
    }


def _options(route: LastingRoute) -> str | None:
    said = {
        "table": route.table,
        "onlink": "true" if route.onlink else None,
        "src": route.source,
        "scope": None if route.scope is None else _SCOPES[route.scope],
        "mtu": route.mtu,
    }
    return ",".join(f"{key}={value}" for key, value in said.items() if value is not None) or None


def _rule(rule: LastingRule) -> str:
    parts = [f"priority {rule.priority}"]
    parts += [f"from {rule.source}"] if rule.source else ["from 0.0.0.0/0" if rule.family == 4 else "from ::/0"]
    parts += [f"to {rule.to}"] if rule.to else []
    parts += [f"fwmark {rule.mark}"] if rule.mark else []
    parts += [f"iif {rule.incoming}"] if rule.incoming else []
    parts += [f"oif {rule.outgoing}"] if rule.outgoing else []
    return " ".join([*parts, f"table {rule.table}"])


def clashes(bridge: Lasting, existing: Texts) -> Iterator[Finding]:
    """What keeps NetworkManager from its links; profiles that weigh as much as ours, and those that weigh less."""
    own = {file.path.name for file in files(bridge)}
    for path, text in existing.items():
        if path.suffix == ".conf":
            yield from _unmanaged(bridge, path, text)
        elif path.name not in own and (about := _about(bridge, text)):
            said = {(s.section, s.key): s.value for s in settings_of(text)}
            if _number(said.get(("connection", "autoconnect-priority"))) >= _PRIORITY:
                yield clash(
                    str(path),
                    f"is for {about} too, and weighs as much",
                    f"Of two profiles with autoconnect-priority {_PRIORITY} the one that was used last is taken",
                    f"Give it less: nmcli connection modify {_known_by(said, path)} connection.autoconnect-priority 0",
                )
            else:
                yield overtaken(
                    str(path),
                    f"is for {about} too",
                    f"vmnet's profile has autoconnect-priority {_PRIORITY}",
                )


def claims(bridge: Lasting, existing: Texts) -> Iterator[str]:
    """The profiles that are bound to a port or the bridge."""
    for path, text in existing.items():
        if path.suffix != ".conf" and _about(bridge, text):
            yield str(path)


def leases(bridge: Lasting, existing: Texts) -> str:
    """The profile that has IPv4 leased there."""
    for place in claims(bridge, existing):
        if any((s.section, s.key, s.value) == ("ipv4", "method", "auto") for s in settings_of(existing[Path(place)])):
            return place
    return ""


def _unmanaged(bridge: Lasting, path: Path, text: str) -> Iterator[Finding]:
    for s in settings_of(text):
        for name, mac in ((bridge.name, bridge.mac), *((p.name, p.mac or "") for p in bridge.ports)):
            told = s.value.lower().replace("=", ":").replace(",", ";").split(";")
            if s.key == "unmanaged-devices" and {name, f"interface-name:{name}", mac, f"mac:{mac}"} & set(told):
                yield clash(
                    f"{path}:{s.line}",
                    f"has NetworkManager leave {name} alone",
                    "It would not make the bridge at boot",
                    f"Take {name} out of unmanaged-devices",
                )


def _about(bridge: Lasting, text: str) -> str:
    """The port or the bridge that a profile is bound to, if to any."""
    said = {(s.section, s.key): s.value for s in settings_of(text)}
    for name, mac in ((bridge.name, None), *((p.name, p.mac) for p in bridge.ports)):
        macs = {(said.get((section, "mac-address")) or "").lower() for section in ("ethernet", "802-3-ethernet")}
        if said.get(("connection", "interface-name")) == name or (mac and mac in macs):
            return name
    return ""


def _known_by(said: dict[tuple[str, str], str], path: Path) -> str:
    return said.get(("connection", "uuid")) or path.stem


def _number(text: str | None) -> int:
    try:
        return int(text or "0")
    except ValueError:
        return 0


FORMAT = Format(
    name="networkmanager",
    managers=frozenset({Manager.NETWORK_MANAGER}),
    reads=(
        *((folder, "*") for folder in _FOLDERS),
        ("/etc/NetworkManager", "NetworkManager.conf"),
        *((f"{folder}/NetworkManager/conf.d", "*.conf") for folder in ("/etc", "/run", "/usr/lib")),
    ),
    says=common.ROUTE | common.RULE | common.BRIDGE
    | {"rule.incoming", "rule.outgoing", "rule.mark"}
    | {f"bridge.{n}" for n in ("multicast_snooping", "vlan_filtering", "hello_time", "max_age", "priority")}
    | {f"bridge.{n}" for n in ("group_fwd_mask", "multicast_querier", "vlan_default_pvid")},
    files=files,
    clashes=clashes,
    claims=claims,
    leases=leases,
    effect="nmcli connection reload has NetworkManager read it, and touches nothing that runs; nmcli connection up "
    "vmnet-{bridge} would make the bridge anew",
)  # fmt: skip
