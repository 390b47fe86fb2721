"""What those who look after a link are told, when what the link carries moves to another: pure.

Who leaves a link alone with its addresses on it can be told so, and be given back what is theirs. A DHCP client goes
along to the other link, under its own arguments. NetworkManager does not: it has profiles for links, not for addresses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from vmnet.change.plan import Plan
from vmnet.findings import Finding
from vmnet.host.findings import listed, warning
from vmnet.host.managers import UNTOLD, Manager, Owner, naming
from vmnet.host.steps import CarryToBridge, CarryToUplink, KeepAddresses, LeaveAlone, TakeUp


def told(owners: Collection[Owner]) -> tuple[Owner, ...]:
    """Those that `--take-over` tells: the others are refused, or only named, with it as without."""
    return tuple(owner for owner in owners if _can_be_told(owner) and not why_not(owner))


def why_not(owner: Owner) -> str:
    """Why `--take-over` does nothing for whoever looks after a link; empty where it does, or where nothing is to do."""
    match owner:
        case Owner(manager=Manager.NETWORKD) | Owner(manager=Manager.NETPLAN, profile=""):
            return "There is no way to have it leave a link alone without a moment in which the addresses are gone"
        case Owner(manager=manager) if manager in UNTOLD:
            return "vmnet knows no word that it understands"
        case Owner(client=client) if client:
            if client.links != (owner.link,):
                others = listed(link for link in client.links if link != owner.link) or "every NIC there is"
                return f"It serves {others} too, which would lose it"
            if client.service:
                return f"It is part of {client.service}, which would start it again where it was"
            if client.apart or not Path(client.program).is_absolute():
                return "It sees other files than this process does, so it cannot be started again from here"
            if client.missing:
                return f"{client.program} is not there any more, so it cannot be started again"
            if client.foreign:
                return f"Somebody else than root runs it, or can change {client.program}, which root would start again"
    return ""


def handed_over(plan: Plan, owners: Collection[Owner], returning: Collection[Owner] = ()) -> Plan:
    """A plan that moves what a link carries, with what those are told who look after the link.

    Before anything else they let go of it; once all has moved, its DHCP client starts on the other link. Addresses that
    nobody renews for a while are to outlast that.

    Args:
        plan: The plan; one that moves nothing tells nobody anything.
        owners: Those that are told, by `told`.
        returning: Those that left the uplink alone since it became a port, and are to have it back when it is none.
    """
    match [step for step in plan.steps if isinstance(step, CarryToBridge | CarryToUplink)]:
        case [CarryToBridge(uplink, target)]:
            source, is_bridge = uplink.name, True
        case [CarryToUplink(bridge, uplink)]:
            source, target, is_bridge = bridge.name, uplink.name, False
        case _:
            return plan
    clients = [owner for owner in owners if owner.client]
    before = [LeaveAlone(owner) for owner in owners]
    moving = [owner for owner in owners if owner.link == source]
    lasting = [KeepAddresses(target, str(owner.manager), _renews_ipv6(owner)) for owner in moving]
    along = [owner for owner in clients if owner.link == source] or clients
    after = [TakeUp(on(owner, target)) for owner in along]
    back = [] if is_bridge else [TakeUp(owner) for owner in returning if owner.link == target]
    findings = tuple(finding for owner in owners for finding in _warnings(owner, target))
    return Plan((*before, *plan.steps, *lasting, *after, *back), plan.findings + findings)


def on(owner: Owner, link: str) -> Owner:
    """A DHCP client as it is to be on another link: its own arguments, that for the link exchanged."""
    assert owner.client, "only a client goes along"
    words = naming(owner.manager, owner.client.words, owner.link, link)
    return replace(owner, link=link, client=replace(owner.client, words=words, links=(link,)))


def _renews_ipv6(owner: Owner) -> bool:
    return owner.client is None or "-6" in owner.client.words


def _can_be_told(owner: Owner) -> bool:
    return owner.manager is not Manager.IFUPDOWN


def _warnings(owner: Owner, target: str) -> Iterator[Finding]:
    match owner.manager:
        case Manager.NETWORK_MANAGER | Manager.NETPLAN:
            yield warning(
                "H441",
                what=f"NetworkManager does not look after the addresses of {owner.link} until it has the link back",
                why="A DHCP lease is not renewed meanwhile: its address stays, and once the lease has ended the server "
                "may give it to somebody else",
                remedy="Dismantling the bridge, or undoing this, gives the link back, which asks DHCP anew",
            )
        case Manager.UDHCPC:
            yield warning(
                "H442",
                what=f"the host has no address for a moment, while udhcpc asks for it on {target}",
                why="The script of udhcpc takes all addresses away when it begins",
            )
        case Manager.DHCPCD:
            yield warning(
                "H443",
                what="dhcpcd is started without the options that it was given on its command line",
                why="It writes over them, so nobody knows them any more",
                remedy="Have them in /etc/dhcpcd.conf",
            )
