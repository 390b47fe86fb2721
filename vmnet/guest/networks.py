"""What a libvirt network resolves to: pure, from its definition."""

from __future__ import annotations

from vmnet.nic import xml
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """A libvirt network, as a NIC sees it.

    Args:
        name: Its name.
        forward: Its forward mode: nat, route, bridge, private, vepa, passthrough, ...; ``isolated`` for none; None
            where there is no such network.
        bridge: The bridge that its taps become ports of.
        uplinks: The links that its macvtaps are made on.
    """

    name: str
    forward: str | None = None
    bridge: str | None = None
    uplinks: tuple[str, ...] = ()


def resolve(name: str, definition: str | None) -> Network:
    """The network of a definition.

    Args:
        name: Its name.
        definition: Its XML, None where there is no such network.
    """
    if definition is None:
        return Network(name)
    root = xml.parse(definition)
    forward = root.find("forward")
    if forward is None:
        return Network(name, "isolated", xml.get(root, "bridge/@name"))
    pool = tuple(dev for e in forward.iterfind("interface") if (dev := e.get("dev")))
    return Network(name, forward.get("mode", "nat"), xml.get(root, "bridge/@name"), pool)
