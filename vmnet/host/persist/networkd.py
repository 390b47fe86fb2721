"""systemd-networkd: a .netdev and a .network for the bridge, a .network for each port (systemd.network(5))."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from vmnet.filling import fill
from vmnet.findings import Finding
from vmnet.host.managers import Manager
from vmnet.host.persist import common
from vmnet.host.persist.common import Setting, clash, destination, each, fields, overtaken, settings_of, words
from vmnet.host.persist.model import Format, Lasting, NativeFile, Texts
from vmnet.host.persist.seal import sealed

_FOLDER = Path("/etc/systemd/network")
_FOLDERS = ("/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network")
_FIRST = "05-vmnet-"  # the file that sorts first is a link's; netplan's begin with 10
_MODE = 0o644
_TRUTH = {True: "yes", False: "no"}
_DHCP = {(True, True): "yes", (True, False): "ipv4", (False, True): "ipv6", (False, False): "no"}
_TYPES = {"ether": True, "bridge": False}


def files(bridge: Lasting, _existing: Texts = MappingProxyType({})) -> tuple[NativeFile, ...]:
    """The files that have networkd make the bridge."""
    stem = f"{_FIRST}{bridge.name}"
    values = common.settings(bridge, _TRUTH)
    made = {
        f"{stem}.netdev": fill("host/networkd/bridge.netdev", values),
        f"{stem}.network": fill("host/networkd/bridge.network", _bridge(bridge)),
    }
    for port in bridge.ports:
        values = {"port": port.name, "mtu": port.mtu, "bridge": bridge.name}
        made[f"{stem}-{port.name}.network"] = fill("host/networkd/port.network", values)
    return tuple(
        NativeFile(_FOLDER / name, sealed(text, bridge.name, "networkd"), _MODE) for name, text in made.items()
    )


def _bridge(bridge: Lasting) -> dict[str, object]:
    return {
        "bridge": bridge.name,
        "mtu": bridge.mtu,
        "dhcp": _DHCP[bridge.dhcp4, bridge.dhcp6],
        "ra": words(bridge.ra),
        "link_local": "ipv6" if bridge.ipv6 else "no",
        "name_servers": each(bridge.name_servers, "name_server"),
        "search": each(bridge.search, "domain"),
        "addresses": [
            # networkd 252 sets an address again without end that has no broadcast where it should have one.
            {
                **fields(a),
                "broadcast": "no" if a.silent else a.broadcast,
                "prefix_route": "no" if a.bare else None,
                "preferred": 0 if a.deprecated else None,
            }
            for a in bridge.addresses
        ],
        "routes": [{**fields(r), "to": destination(r), "onlink": "yes" if r.onlink else None} for r in bridge.routes],
        "rules": [{**fields(r), "family": f"ipv{r.family}"} for r in bridge.rules],
    }


def clashes(bridge: Lasting, existing: Texts) -> Iterator[Finding]:
    """Files that sort before ours and match what is ours; and those that ours come before."""
    own = {file.path.name for file in files(bridge)}
    for path in _counting(existing, own):
        settings = list(settings_of(existing[path]))
        names = [p.name for p in bridge.ports]
        mine = [
            name for name in (bridge.name, *names) if path.suffix == ".network" and _matches(settings, bridge, name)
        ]
        if path.suffix == ".netdev":
            mine = [s.value for s in settings if (s.section, s.key, s.value) == ("NetDev", "Name", bridge.name)]
        if not mine:
            continue
        if path.name < _FIRST:
            yield clash(
                str(path),
                f"comes before vmnet's files, and is for {', '.join(mine)}",
                "systemd-networkd takes the first file that matches a link, in the order of their names",
                f"Give it a name that sorts after {_FIRST}{bridge.name}, or remove it: {path}",
            )
        elif not set(names).isdisjoint(mine) or path.suffix == ".netdev":
            yield overtaken(str(path), f"is for {', '.join(mine)} too", "vmnet's file comes before it")


def claims(bridge: Lasting, existing: Texts) -> Iterator[str]:
    """The files that are for a port or the bridge."""
    for path in _counting(existing, set()):
        if path.suffix == ".network" and "/lib/" not in str(path):
            settings = list(settings_of(existing[path]))
            if any(_matches(settings, bridge, name) for name in (bridge.name, *(p.name for p in bridge.ports))):
                yield str(path)


def leases(bridge: Lasting, existing: Texts) -> str:
    """The file that has networkd lease IPv4 there."""
    for place in claims(bridge, existing):
        for s in settings_of(existing[Path(place)]):
            if (s.section, s.key) == ("Network", "DHCP") and s.value.lower() in (
                "yes",
                "ipv4",
                "true",
                "1",
                "on",
                "both",
            ):
                return place
    return ""


def _counting(existing: Texts, own: set[str]) -> list[Path]:
    """The files in networkd's order: by name, of equal names the one in the weightier folder."""
    first: dict[str, Path] = {}
    for path in existing:
        first.setdefault(path.name, path)
    return [first[name] for name in sorted(first) if name not in own]


def _matches(settings: list[Setting], bridge: Lasting, name: str) -> bool:
    """Whether a file may be for a link; what cannot be told here counts as a match."""
    port = next((p for p in bridge.ports if p.name == name), None)
    mac = (port.mac if port else bridge.mac) or ""
    for s in settings:
        if s.section != "Match":
            continue
        match s.key:
            case "Name":
                wanted = s.value.split()
                inverted = wanted[:1] != [] and wanted[0].startswith("!")
                patterns = [w.removeprefix("!") for w in wanted]
                if any(fnmatchcase(name, p) for p in patterns) == inverted:
                    return False
            case "MACAddress" | "PermanentMACAddress":
                if mac not in s.value.lower().replace("-", ":").split():
                    return False
            case "Type":
                if s.value in _TYPES and _TYPES[s.value] == (port is None):
                    return False
            case "Kind":
                if s.value == "bridge" and port is not None:
                    return False
                if s.value != "bridge" and port is None:
                    return False
            case "WLANInterfaceType" | "SSID" | "BSSID":
                return False
    return True


FORMAT = Format(
    name="networkd",
    managers=frozenset({Manager.NETWORKD}),
    reads=tuple((folder, pattern) for folder in _FOLDERS for pattern in ("*.network", "*.netdev")),
    says=common.ADDRESS | common.ROUTE | common.RULE | common.BRIDGE
    | {"address.bare", "address.deprecated", "rule.incoming", "rule.outgoing", "rule.mark"}
    | {f"bridge.{n}" for n in ("multicast_snooping", "vlan_filtering", "hello_time", "max_age", "priority")}
    | {f"bridge.{n}" for n in ("group_fwd_mask", "multicast_querier", "vlan_default_pvid")},
    files=files,
    clashes=clashes,
    claims=claims,
    leases=leases,
    effect="networkctl reload has systemd-networkd take {bridge} over at once, with what it is told and no more",
)  # fmt: skip
