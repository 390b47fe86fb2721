"""What the host needs before a NIC can be attached: pure, from an observation to findings and steps.

The host is changed only where an uplink is named: without one, a bridge is used as it is found.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from vmnet.change.plan import Plan, Step
from vmnet.findings import Finding
from vmnet.host.direct import check_direct
from vmnet.host.findings import error, named, warning
from vmnet.host.model import Host, Link
from vmnet.host.steps import CreateBridge, Enslave, KeepUp, SetUp
from vmnet.host.uplink import check_uplink
from vmnet.nic.attachment import Attachment, Bridge, Direct, MacvtapMode

__all__ = ["check_direct", "plan_attachment", "plan_bridge", "plan_release", "real_name"]


def real_name(host: Host, name: str) -> str:
    """The name that the kernel, libvirt and people will meet, where `name` may be a further name of the link."""
    link = host.link(name)
    return link.name if link else name


def plan_attachment(
    host: Host,
    attachment: Direct | Bridge,
    mac: str | None,
    uplink: str | None,
    *,
    target: str | None = None,
    own: Collection[str] = (),
) -> Plan:
    """What must be so on the host for a NIC with this attachment.

    Args:
        host: The observation.
        attachment: Where the NIC is to be attached.
        mac: The NIC's MAC, when it is decided.
        uplink: The link that is to connect a bridge to the LAN; without it the host is not changed.
        target: The name that is wished for the host's end of the NIC.
        own: Names of the links that this very NIC has already.

    Returns:
        Findings, and the steps; no step if a finding is an error.
    """
    parts: list[Step | Finding] = list(_target_is_taken(host, target, own))
    match attachment:
        case Direct():
            parts += check_direct(host, attachment, mac, own)
        case Bridge(name):
            parts += _bridge_parts(host, name, uplink)
    return _unless_refused(Plan.of(parts))


def plan_release(host: Host, attachment: Attachment, mac: str | None) -> Plan:
    """What is to be done on the host once a guest has let go of a NIC with this attachment and MAC."""
    match attachment:
        case Direct(dev, MacvtapMode.PASSTHROUGH) if (lower := host.link(dev)) and lower.up:
            own = lower.permanent if lower.permanent != mac else None
            return Plan((KeepUp(lower.name, lower.index, mac, own),))
    return Plan()


def plan_bridge(host: Host, name: str, uplink: str | None) -> Plan:
    """The plan to have bridge `name`, with `uplink` as a port if one is named."""
    return _unless_refused(Plan.of(_bridge_parts(host, name, uplink)))


def _unless_refused(plan: Plan) -> Plan:
    return Plan(findings=plan.findings) if any(f.is_error for f in plan.findings) else plan


def _target_is_taken(host: Host, target: str | None, own: Collection[str]) -> Iterator[Finding]:
    link = host.link(target) if target else None
    if link and link.name not in own:
        yield error(
            "H314",
            what=f"the name {target} is that of a link on this host already: {named([link])}",
            why="libvirt would fail to make the guest's link, in mode passthrough after it changed the uplink's MAC",
            remedy="Choose another --target, or leave it out",
        )


def _bridge_parts(host: Host, name: str, uplink: str | None) -> Iterator[Step | Finding]:
    bridge = host.link(name)
    if bridge is None:
        yield from _missing(host, name, uplink)
    elif not bridge.is_bridge:
        yield error(
            "H102",
            what=f"{named([bridge])} is not a bridge",
            why="libvirt would fail with: Unable to add bridge port",
            remedy=f"Use --direct {bridge.name}, or name a bridge",
        )
    else:
        yield from _existing(host, bridge, uplink)


def _missing(host: Host, name: str, uplink: str | None) -> Iterator[Step | Finding]:
    """A bridge that is to be made: with the uplink's MAC and MTU, so that the LAN sees no new station."""
    if why := _unfit_name(name):
        yield error(
            "H101",
            what=f"{name!r} cannot be the name of a bridge",
            why=why,
            remedy="Choose another, such as br0",
        )
    elif uplink is None:
        yield error(
            "H103",
            what=f"there is no bridge {name} on this host",
            remedy=f"Name the NIC to make it over: vmnet attach --uplink DEV{_bridges(host)}",
        )
    else:
        yield from check_uplink(host, uplink, name)
        if link := host.link(uplink):
            yield CreateBridge(name, link.mac, link.mtu)
            yield from _connect(link, name)


def _existing(host: Host, bridge: Link, uplink: str | None) -> Iterator[Step | Finding]:
    """A bridge that is there: someone else's to shape, so it is only set up, and only given the uplink."""
    if bridge.bridge and bridge.bridge.stp:
        yield warning(
            "H105",
            what=f"bridge {bridge.name} speaks STP",
            why=f"A guest hears nothing for the first {2 * bridge.bridge.forward_delay / 100:g} s on it",
            remedy=f"Give it time, or switch STP off: ip link set {bridge.name} type bridge stp_state 0",
        )
    if uplink is None:
        if not bridge.up:
            yield warning(
                "H104",
                what=f"bridge {bridge.name} is down",
                why="A guest on it reaches nobody, and libvirt does not set it up",
                remedy=f"ip link set {bridge.name} up",
            )
        return
    if not bridge.up:
        yield SetUp(bridge.identity)
    link = host.link(uplink)
    if link is None or link.master != bridge.index:
        yield from check_uplink(host, uplink, bridge.name)
    if link:
        yield from _connect(link, bridge.name, already=link.master == bridge.index)


def _connect(uplink: Link, bridge: str, *, already: bool = False) -> Iterator[Step]:
    """The uplink becomes a port first and goes up then, so that it takes no address of its own meanwhile."""
    if not already:
        yield Enslave(uplink.identity, bridge)
    if not uplink.up:
        yield SetUp(uplink.identity)


def _bridges(host: Host) -> str:
    names = [link.name for link in host.links if link.is_bridge]
    return f"; there are: {', '.join(names)}" if names else ""


_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")
_RESERVED = {".", "..", "all", "default"}


def _unfit_name(name: str) -> str:
    """Why the kernel, or libvirt's schema, does not take this name for a new link; empty when it does."""
    if len(name) > 15:
        return "The kernel takes at most 15 characters"
    if name in _RESERVED:  # the kernel's own words under /proc/sys/net (Linux 6.18)
        return "The kernel keeps that name for itself"
    if not _NAME.fullmatch(name):
        return "Letters, digits, '_', '.' and '-' make a name, and it does not begin with '-'"
    return ""
