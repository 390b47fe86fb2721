"""What may keep the host from being reached once its addresses have moved, though all of them arrived."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from vmnet.findings import Finding, Severity
from vmnet.host.findings import listed, named, warning
from vmnet.host.model import STACKED_ON_MAC, Host, Link

if TYPE_CHECKING:
    from vmnet.host.firewall import FirewallRule


def check_firewall(rules: Collection[FirewallRule], source: str, target: str, *, confirmed: bool) -> Iterator[Finding]:
    """What the firewall says of the link that the host's addresses leave, and not of the one that they come to.

    Args:
        rules: By `firewall.observe_firewall`.
        source: The link that they leave.
        target: The link that they come to.
        confirmed: Whether somebody is to say that the host is still reached: no neighbour meets the firewall.
    """
    known = {(rule.place, rule.words) for rule in rules}
    named_alone = (rule for rule in rules if rule.names(source) and not rule.names(target))
    if lost := [str(rule) for rule in named_alone if rule.about(target, source) not in known]:
        yield Finding(
            "H427",
            Severity.WARNING if confirmed else Severity.ERROR,
            what=f"the firewall names {source}, and not {target} in the same way: {listed(lost)}",
            why=f"What comes in or goes out by {source} does so by {target} then: what these rules accept is dropped, "
            "what they drop is accepted",
            remedy=f"Add the same for {target} first; or have somebody confirm the change: --confirm 60",
        )


def check_unasked(tables: Collection[str], *, confirmed: bool) -> Iterator[Finding]:
    """What it says of a move that rules are in force which nobody here can read.

    Args:
        tables: By `firewall.unasked`.
        confirmed: Whether somebody is to say that the host is still reached.
    """
    if tables:
        yield Finding(
            "H430",
            Severity.WARNING if confirmed else Severity.ERROR,
            what=f"nft cannot be asked what the firewall says: {listed(tables)}",
            why="It is not there, or failed. What these tables accept by a link's name may be dropped afterwards",
            remedy="Install nftables; or have somebody confirm the change: --confirm 60",
        )


def check_peers(
    source: str, gateways: Collection[str], *, asked: bool, answered: bool, confirmed: bool
) -> Iterator[Finding]:
    """What it says of a move that nobody on the LAN can be asked whether the host is still reached.

    Args:
        source: The link that the host's addresses leave.
        gateways: The gateways behind it.
        asked: Whether anybody behind it could be asked.
        answered: Whether anybody did answer.
        confirmed: Whether somebody is to say that the host is still reached.
    """
    if answered:
        return
    if gateways:
        yield Finding(
            "H428",
            Severity.WARNING if confirmed else Severity.ERROR,
            what=f"no gateway behind {source} answers: {listed(gateways)}",
            why="Whether the host is still reached afterwards could not be told",
            remedy="Have somebody confirm the change: --confirm 60; or go without: --no-probe",
        )
    elif not asked and not confirmed:
        yield warning(
            "H429",
            what=f"nobody is asked whether the host is still reached behind {source}",
            why="There is no gateway and no SSH session, or nobody who can be asked as things are",
            remedy="Have somebody confirm the change: --confirm 60",
        )


def check_bound(host: Host, uplink: Link) -> Iterator[Finding]:
    """What was told to use the uplink itself, and will not find the host's routes there any more.

    Args:
        host: The observation.
        uplink: The link that they leave.
    """
    if bound := [n for n in host.uppers(uplink) if n.kind not in STACKED_ON_MAC | {"vlan"}]:
        yield warning(
            "H436",
            what=f"links are bound to {uplink.name} by its index: {named(bound)}",
            why="The kernel looks up their way out by that link, which has no addresses and routes any more",
            remedy="Make them anew over the bridge afterwards, or without naming a link",
        )
