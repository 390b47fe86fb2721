"""Pictures of what links are to carry: one takes over what another carries, and that one is left bare; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from vmnet.host.carried import GEN_MODE, Carried
from vmnet.host.entry import Entry
from vmnet.host.model import Link

NO_ADDRESS = "1"
"""IN6_ADDR_GEN_MODE_NONE: the kernel gives the link no address of its own making."""

ARP_IGNORE = "ipv4/conf/arp_ignore"
"""The setting by which the kernel answers at any link for the addresses of all, or at each for its own alone."""


def moved(source: Carried, target: Carried) -> Carried:
    """The picture of `target` once it carries what `source` does too."""
    a, b = known_by(source), known_by(target)

    def onto(entries: Iterable[Entry], own: tuple[Entry, ...]) -> tuple[Entry, ...]:
        return beyond(tuple(e.onto(a, b) for e in entries), own) + own

    return replace(
        target,
        at=source.at,
        addresses=onto(source.addresses, target.addresses),
        routes=onto(as_may_be(source.routes) if a != b else source.routes, target.routes),
        rules=onto(source.rules, target.rules),
        neighbours=onto(source.neighbours, target.neighbours),
        seen=onto(source.seen, target.seen),
        order=tuple(e.onto(a, b) for e in source.order) or target.order,
        token=source.token or target.token,
        resolver=source.resolver or target.resolver,
        sysctls={**source.sysctls, **target.sysctls} if _is_addressless(source) else source.sysctls,
    )


def bare(carried: Carried) -> Carried:
    """The picture of a link once it carries nothing, and is given nothing by the kernel either."""
    return replace(
        carried,
        addresses=(),
        routes=(),
        rules=(),
        neighbours=(),
        seen=(),
        order=(),
        resolver=None if carried.resolver is None else {},
        sysctls={key: NO_ADDRESS if key == GEN_MODE else value for key, value in carried.sysctls.items()},
    )


def enslaved(uplink: Carried, bridge: Carried) -> tuple[Carried, Carried]:
    """The picture of a bridge that carries what its uplink did, and of the uplink."""
    port = replace(bare(uplink), link=replace(uplink.link, master=bridge.link.index))
    return moved(uplink, bridge), port


def released(bridge: Carried, uplink: Carried, *, lro: bool = False) -> tuple[Carried, Carried]:
    """The picture of an uplink that carries what its bridge did, with LRO if it had that, and of the bridge."""
    free = replace(uplink.link, master=None)
    return replace(moved(bridge, uplink), link=free, lro=lro or uplink.lro), bare(bridge)


def stacked(uplink: Carried, hostlink: Carried) -> tuple[Carried, Carried]:
    """The picture of a hostlink that carries what its uplink did, and of the uplink, which answers for it no more.

    What the uplink's settings were, the hostlink keeps.
    """
    silent = {**bare(uplink).sysctls, ARP_IGNORE: "1"}
    return replace(moved(uplink, hostlink), sysctls=uplink.sysctls), replace(bare(uplink), sysctls=silent)


def unstacked(hostlink: Carried, uplink: Carried) -> tuple[Carried, Carried]:
    """The picture of an uplink that carries what its hostlink did, and of the hostlink."""
    return replace(moved(hostlink, uplink), sysctls=hostlink.sysctls), bare(hostlink)


def wanted_on(carried: Carried, link: Link) -> Carried:
    """The picture of a link that has been renamed since, or made anew with another index."""
    if known_by(carried) == (link.name, link.index):
        return carried
    now = replace(carried.link, index=link.index, name=link.name)
    return moved(carried, replace(bare(carried), link=now, sysctls=carried.sysctls))


def lasting(goal_of: Sequence[Carried], now: Collection[Carried]) -> tuple[Carried, ...]:
    """The pictures, with what any of the links has now to last as long as it does now: it may have been renewed."""
    found = []
    for c in goal_of:
        here: dict[Any, tuple[Entry, float]] = {}
        for n in now:
            for e in n.entries:
                here[e.onto(known_by(n), known_by(c)).place()] = e, n.at - c.at
        told = {
            kind: tuple(e.lasting_as(*here[e.place()]) if e.place() in here else e for e in getattr(c, kind))
            for kind in ("addresses", "routes")
        }
        found.append(replace(c, addresses=told["addresses"], routes=told["routes"]))
    return tuple(found)


def _is_addressless(carried: Carried) -> bool:
    """Whether it is a bridge of ours on which the host was to have no address: its settings are nobody's wish."""
    link = carried.link
    return link.is_bridge and link.is_ours and carried.sysctls.get(GEN_MODE) == NO_ADDRESS


def as_may_be(routes: Sequence[Entry], there: Collection[Any] = ()) -> tuple[Entry, ...]:
    """The routes, those that the kernel alone can make as copies, unless they are there already (by their keys).

    What was such a copy gives way to the newer one.
    """
    advertised = [e for e in routes if e.advertised]
    number = {e.place(): n for n, e in enumerate(advertised, 1)}
    return tuple(
        e if not e.advertised or e.key() in there else e.copied(number[e.place()])
        for e in routes
        if e.advertised or e.place() not in number
    )


def known_by(carried: Carried) -> tuple[str, int]:
    """What entries know a link by: its name and its index."""
    return carried.link.name, carried.link.index


def beyond(entries: Sequence[Entry], others: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries that the others do not have, each as often as it is there more often."""
    have = Counter(e.key() for e in others)
    more = []
    for e in entries:
        key = e.key()
        if have[key]:
            have[key] -= 1
        else:
            more.append(e)
    return tuple(more)
