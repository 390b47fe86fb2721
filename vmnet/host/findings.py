"""Findings of the host's preflights: what several of them have in common, and how they name links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeAlias, TypeVar

from vmnet.findings import Finding, Severity
from vmnet.host.model import Host, Link

error = partial(Finding, severity=Severity.ERROR)
warning = partial(Finding, severity=Severity.WARNING)
note = partial(Finding, severity=Severity.NOTE)

_NAMED_AT_MOST = 8

Wish = TypeVar("Wish")
Rule: TypeAlias = Callable[[Wish], Iterator[Finding]]
"""What speaks against a wish, or must be known of it."""


def judged(wish: Wish, rules: Iterable[Rule[Wish]]) -> list[Finding]:
    """What all the rules have to say of a wish."""
    return [finding for rule in rules for finding in rule(wish)]


def unknown_link(code: str, host: Host, name: str) -> Finding:
    """The error that there is no such link, with the names that come near it, else with those there are."""
    from difflib import get_close_matches

    names = [link.name for link in host.links if not link.loopback]
    near = get_close_matches(name, names, cutoff=0.5)
    return error(
        code,
        what=f"there is no link {name} on this host",
        remedy=f"Did you mean {' or '.join(near)}?" if near else f"There are: {listed(names) or 'none'}",
    )


def is_a_port(code: str, host: Host, link: Link, why: str) -> Finding:
    """The error that a link has a master."""
    master = host.by_index(link.master)
    name = f"{master.kind or 'link'} {master.name}" if master else f"link {link.master}"
    instead = f"Use {name} itself, or take" if master else "Take"
    return error(
        code,
        what=f"{link.name} is a port of {name}",
        why=why,
        remedy=f"{instead} {link.name} out of it first",
    )


def is_wireless(code: str, link: Link, why: str) -> Finding:
    """The error that a link is an 802.11 station, whose access point knows no MAC but its own."""
    return error(
        code,
        what=f"{link.name} is wireless",
        why=why,
        remedy="Use a wired NIC, or a NAT network of libvirt (virsh net-start default)",
    )


def named(links: Iterable[Link]) -> str:
    """Links in words: ``macvtap0 (macvtap, 52:54:00:00:00:01), eth0.10 (vlan)``."""
    return listed(
        f"{n.name} ({', '.join(w for w in (n.kind, n.mac if n.kind == 'macvtap' else None) if w)})"
        if n.kind
        else n.name
        for n in links
    )


def listed(words: Iterable[str]) -> str:
    """The first few, and how many more."""
    words = list(words)
    more = len(words) - _NAMED_AT_MOST
    return ", ".join(words[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
