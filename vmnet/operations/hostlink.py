"""The host's own ends beside macvtaps: make one, take it away again, and see what there is."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Any

from vmnet.change.plan import Plan
from vmnet.errors import UsageError
from vmnet.host.carried import drops_detours, observe_carried
from vmnet.host.hostlink import HostlinkOptions, hostlinks, name_of, plan_add, plan_remove, unfit_address
from vmnet.host.hostlink_steps import GiveAddresses
from vmnet.host.managers import observe_owners
from vmnet.host.model import Host, Link
from vmnet.host.observe import observe
from vmnet.host.planner import real_name
from vmnet.host.wire import Line
from vmnet.operations.bridge import Terms, carry_out
from vmnet.operations.change import Run
from vmnet.rights import may_change_links
from vmnet.values import dataclass

_ANSWER_SECONDS = 1.5
"""How long somebody on the LAN may take to say that an address is theirs: the kernel asks twice by then."""


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
        UsageError: ``bad-value``: an address or the MAC is none, or none that a host can have.
        Refused: Something speaks against it; nothing was touched.
        VmnetError: ``address-in-use``: somebody on the LAN has an address; nothing was touched.
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
        _refuse_taken(host, uplink, plan)
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


def _refuse_taken(host: Host, uplink: str, plan: Plan) -> None:
    """Ask the LAN for the IPv4 addresses that are to be given; of those of IPv6 the kernel asks by itself, once given.

    Where a hostlink carries the uplink's addresses it is asked on that: the uplink has none to ask from.
    """
    from vmnet.host.probes import Peer, Role, answering
    from vmnet.host.stacking import address_in_use

    given = [ip_interface(text).ip for step in plan.steps if isinstance(step, GiveAddresses) for text in step.addresses]
    gateways = {gateway for route in host.routes for _, gateway in route.gateways}
    if known := [str(ip) for ip in given if str(ip) in gateways]:
        raise address_in_use(known)
    lower = host.link(uplink)
    carrying = (n.name for n in hostlinks(host) if lower and n.lower == lower.index and n.carries_uplinks)
    on = next(carrying, uplink)
    asked = [Peer(str(ip), Role.NEIGHBOUR, on) for ip in given if ip.version == 4] if may_change_links() else []
    if answered := answering(asked, _ANSWER_SECONDS):
        raise address_in_use(peer.address for peer in answered)


def _checked(options: HostlinkOptions) -> HostlinkOptions:
    """The options with addresses and MAC as the kernel writes them."""
    from dataclasses import replace

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
            one = ip_interface(text)
            why = unfit_address(one)
        except ValueError as error:
            why = str(error)
        if why:
            raise UsageError("bad-value", f"--address cannot be {text!r}", why=why, remedy="Such as 192.0.2.3/24")
        addresses.append(str(one))
    mac = Nic.mac.parse(options.mac) if options.mac else None
    return replace(options, addresses=tuple(dict.fromkeys(addresses)), mac=mac)
