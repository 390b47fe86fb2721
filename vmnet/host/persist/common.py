"""What the formats share: how values are said, and how the files of sections and settings are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from vmnet.findings import Finding
from vmnet.host.findings import error, note
from vmnet.host.persist.model import Lasting, LastingRoute
from vmnet.values import dataclass

ADDRESS = frozenset({"address.peer", "address.label", "address.scope", "address.metric", "address.broadcast"})
ROUTE = frozenset({"route.metric", "route.table", "route.onlink", "route.source", "route.scope", "route.mtu"})
RULE = frozenset({"rule", "rule.source", "rule.to"})
BRIDGE = frozenset({"bridge.stp", "bridge.forward_delay", "bridge.ageing"})

_TIMES = ("hello_time", "max_age")


def words(value: bool) -> str:
    """``yes`` or ``no``."""
    return "yes" if value else "no"


def seconds(centiseconds: int) -> str:
    """Seconds as a number without needless zeros."""
    return f"{centiseconds / 100:g}"


def settings(bridge: Lasting, truth: Mapping[bool, str], delay: str | None = None) -> dict[str, Any]:
    """The values of a bridge itself, by the names that templates use.

    Args:
        bridge: The bridge.
        truth: How true and false are written.
        delay: The forward delay, if it is to be another than the bridge's.
    """
    own = bridge.settings
    further = {n: seconds(v) if n in _TIMES else v for n, v in bridge.further.items()}
    return {
        **dict.fromkeys(_FURTHER),
        **further,
        "bridge": bridge.name,
        "mac": bridge.mac,
        "mtu": bridge.mtu,
        "stp": truth[own.stp],
        "forward_delay": delay or seconds(own.forward_delay),
        "ageing": seconds(own.ageing),
        "multicast_snooping": truth[own.multicast_snooping],
        "vlan_filtering": truth[True] if own.vlan_filtering else None,  # some kernels cannot be told `no` either
    }


_FURTHER = (
    "hello_time", "max_age", "priority", "group_fwd_mask", "multicast_querier", "multicast_router",
    "vlan_default_pvid",
)  # fmt: skip


def each(values: Sequence[str], name: str) -> list[dict[str, str]]:
    """Several values as a template repeats them."""
    return [{name: value} for value in values]


def destination(route: LastingRoute) -> str:
    """Where a route leads, also where that is everywhere."""
    return route.to or ("0.0.0.0/0" if route.family == 4 else "::/0")


def fields(one: Any) -> dict[str, Any]:
    """The fields of a value, by name."""
    return asdict(one)


@dataclass(frozen=True, slots=True)
class Setting:
    """A line ``key=value`` of a file of sections."""

    section: str
    key: str
    value: str
    line: int


def settings_of(text: str) -> Iterator[Setting]:
    """The settings of such a file, as systemd and NetworkManager have them."""
    section = ""
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;" and "=" in line:
            key, _, value = line.partition("=")
            yield Setting(section, key.strip(), value.strip(), number)


def clash(place: str, what: str, why: str, remedy: str) -> Finding:
    """The error that another file would have it otherwise at boot."""
    return error("H456", what=f"{place} would have it otherwise at boot: it {what}", why=why, remedy=remedy)


def overtaken(place: str, what: str, why: str) -> Finding:
    """The note that another file counts no more."""
    return note("H457", what=f"{place} is overruled at boot: it {what}", why=why)
