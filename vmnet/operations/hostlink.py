"""The host's own ends beside macvtaps: make one, take it away again, and see what there is."""

from __future__ import annotations

from typing import Any

from vmnet.change.plan import Plan
from vmnet.errors import UsageError
from vmnet.host.carried import drops_detours, observe_carried
from vmnet.host.hostlink import HostlinkOptions, hostlinks, name_of, plan_add, plan_remove
from vmnet.host.managers import observe_owners
from vmnet.host.model import Link
from vmnet.host.observe import observe
from vmnet.host.planner import real_name
from vmnet.host.wire import Line
from vmnet.operations.bridge import Terms, carry_out
from vmnet.operations.change import Run
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class HostlinkOutcome:
    """What was planned for a hostlink, and whether it was done.

    Args:
        plan: The plan; without steps there was nothing to do.
        hostlink: The hostlink's name.
        uplink: The link below it; None if there is none here.
        transaction: The id by which it can be undone; empty where it was not applied.
    """

    plan: Plan
    hostlink: str
    uplink: str | None
    transaction: str

    @property
    def applied(self) -> bool:
        """Whether it was carried out."""
        return bool(self.transaction)

    def document(self) -> dict[str, Any]:
        """The outcome as a JSON-able mapping with stable keys."""
        about = {"applied": self.applied, "hostlink": self.hostlink, "uplink": self.uplink}
        return {**about, "transaction": self.transaction or None, **self.plan.document()}


@dataclass(frozen=True, slots=True)
class HostlinkSeen:
    """A hostlink of this host.

    Args:
        link: The macvlan.
        uplink: The link below it; None if that is in another namespace.
        addresses: The host's addresses on it.
    """

    link: Link
    uplink: str | None
    addresses: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The hostlink as a JSON-able mapping with stable keys."""
        return {
            "name": self.link.name,
            "uplink": self.uplink,
            "made_by_vmnet": self.link.is_ours,
            "carries_uplinks": self.link.carries_uplinks,
            "mode": self.link.mode,
            "up": self.link.up,
            "carrier": self.link.carrier,
            "mac": self.link.mac,
            "mtu": self.link.mtu,
            "addresses": list(self.addresses),
        }


def add(uplink: str, options: HostlinkOptions, *, terms: Terms, run: Run) -> HostlinkOutcome:
    """Have a hostlink on an uplink, with addresses of its own, or carrying what the uplink did.

    Args:
        uplink: The uplink's name.
        options: How the hostlink is wished.
        terms: On what terms the change stands.
        run: How to carry it out.

    Raises:
        UsageError: ``bad-value``: an address or the MAC is none.
        Refused: Something speaks against it; nothing was touched.
        RolledBack: It failed, nobody answered or nobody confirmed it; the host is as it was.
        VmnetError: As `execute`, or of the journal or the watchdog.
    """
    options = _checked(options)
    with run.alone_with(links=(options.name, uplink)):
        host = observe()
        uplink = real_name(host, uplink)
        name = name_of(host, uplink, options)
        with Line() as line:
            carried = observe_carried(line, [uplink])
        managers = observe_owners(link for link in map(host.link, (uplink, name)) if link)
        plan = plan_add(host, carried, uplink, options, managers=managers, strict=drops_detours(uplink))
        plan, transaction = carry_out(plan, host, (name, uplink), terms, run)
        return HostlinkOutcome(plan, name, uplink, transaction)


def remove(name: str, *, terms: Terms, run: Run) -> HostlinkOutcome:
    """Have a hostlink gone, and what was moved to it back on its uplink.

    Args:
        name: The hostlink's name.
        terms: On what terms the change stands.
        run: How to carry it out.

    Raises:
        As `add`.
    """
    with run.alone_with(links=(name,)):
        host = observe()
        name = real_name(host, name)
        link = host.link(name)
        lower = host.by_index(link.lower) if link else None
        with Line() as line:
            carried = observe_carried(line, [name])
        managers = observe_owners(n for n in (link, lower) if n)
        plan = plan_remove(host, carried, name, managers)
        plan, transaction = carry_out(plan, host, (name, *([lower.name] if lower else [])), terms, run)
        return HostlinkOutcome(plan, name, lower.name if lower else None, transaction)


def seen() -> tuple[HostlinkSeen, ...]:
    """The hostlinks of this host, by name; what others made of the kind too."""
    host = observe()
    found = []
    for link in hostlinks(host):
        lower = host.by_index(link.lower) if link.lower_netns is None else None
        addresses = tuple(a.address for a in host.addresses_on(link) if not a.link_local)
        found.append(HostlinkSeen(link, lower.name if lower else None, addresses))
    return tuple(found)


def _checked(options: HostlinkOptions) -> HostlinkOptions:
    """The options with addresses and MAC as the kernel writes them."""
    from dataclasses import replace
    from ipaddress import ip_interface

    from vmnet.nic.model import Nic

    if options.move and options.addresses:
        raise UsageError(
            "usage",
            "--address and --move-ip exclude each other",
            remedy="Give one: an address beside the uplink's, or the uplink's own",
        )
    addresses = []
    for text in options.addresses:
        try:
            addresses.append(str(ip_interface(text)))
        except ValueError as error:
            raise UsageError(
                "bad-value", f"--address cannot be {text!r}", why=str(error), remedy="Such as 192.0.2.3/24"
            ) from None
    mac = Nic.mac.parse(options.mac) if options.mac else None
    return replace(options, addresses=tuple(dict.fromkeys(addresses)), mac=mac)
