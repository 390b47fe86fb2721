"""What a libvirt network resolves to, and the NICs that it made so: pure."""

from __future__ import annotations

from vmnet.nic import xml
from vmnet.nic.attachment import Bridge
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
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


def by_network(nic: Nic) -> Nic:
    """A NIC of a libvirt network by its network, as it can be plugged in, and not by what that made of it.

    Plugged in as it shows while it runs, it would come as a plain bridge or direct NIC, and the network would not know
    of it (libvirt 9.0 to 12.8).
    """
    network = nic.text("source/@network")
    if network is None or nic.network is not None:
        return nic
    return rewrite(nic, {"network": network, "portgroup": nic.portgroup})


def to_update(nic: Nic) -> Nic:
    """A running NIC as libvirt is to be given it for an update.

    A tap of a libvirt network goes by its network, which would lose it otherwise; a macvtap goes as it is, for an
    update by its network asks for another uplink of the pool (both libvirt 9.0).
    """
    return by_network(nic) if isinstance(nic.attachment, Bridge) else nic
