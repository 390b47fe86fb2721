"""Read the host's network once; needs no root."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vmnet.host import rtnetlink
from vmnet.host.model import Host, Link

_SYSFS = Path("/sys/class/net")


def observe() -> Host:
    """Every link, address, route and neighbour of this network namespace.

    Raises:
        VmnetError: The kernel did not answer (``netlink-...``).
    """
    host = rtnetlink.read()
    return replace(host, links=tuple(_with_hints(link) for link in host.links))


def observe_ends() -> Host:
    """Links and neighbours alone, without hints: all of the host that a guest's NIC meets. Raises as `observe`."""
    return rtnetlink.ends()


def _with_hints(link: Link) -> Link:
    """The link with what only sysfs tells: rtnetlink does not say that a link is 802.11."""
    if link.kind is not None or link.loopback:
        return link
    folder = _SYSFS / link.name
    wireless = any((folder / sign).exists() for sign in ("phy80211", "wireless"))
    return replace(link, wireless=True) if wireless and _is_same(folder, link) else link


def _is_same(folder: Path, link: Link) -> bool:
    """Whether sysfs speaks of this link: it shows the namespace that mounted it, which may be another."""
    try:
        return int((folder / "ifindex").read_text()) == link.index
    except (OSError, ValueError):
        return False
