"""What it takes for links to carry what they are to carry: pure, from pictures of the host to messages.

A move is not a list of inverse steps but a picture of both links as they are to be; so is an undo. Whatever lies
between now and the picture is made, and then what is too much is taken away: make before break.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from vmnet.host import netlink
from vmnet.host.carried import GEN_MODE, Carried
from vmnet.host.entry import Entry, Kind, joined
from vmnet.host.model import Link
from vmnet.host.wire import Message, attributes, packed
from vmnet.values import dataclass

NO_ADDRESS = "1"
"""IN6_ADDR_GEN_MODE_NONE: the kernel gives the link no address of its own making."""

LOOSE = "2"
"""Of rp_filter: what comes in anywhere is taken; the larger of it and that of all links counts."""

ANNOUNCING = {"ipv4/conf/arp_notify": "1", "ipv6/conf/ndisc_notify": "1"}
"""Settings by which the kernel tells the LAN of a link's addresses (gratuitous ARP, unsolicited NA) when the link is
given its MAC, be it the same; it forgets the link's neighbours then, those that somebody put down too (Linux 6.18).
"""

ARP_IGNORE = "ipv4/conf/arp_ignore"
"""The setting by which the kernel answers at any link for the addresses of all, or at each for its own alone."""

_NODAD = 0x02  # IFA_F_NODAD
_INET6 = 10
_NOT_SET = {*range(10, 20), 21, 47, 48}
"""What a bridge only shows (IFLA_BR_ROOT_ID to GC_TIMER, MCAST_QUERIER_STATE, FDB_N_LEARNED); FDB_FLUSH is an act."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What one link has, and is to have.

    Args:
        now: What it carries.
        wanted: What it is to carry.
    """

    now: Carried
    wanted: Carried

    @property
    def missing(self) -> tuple[Entry, ...]:
        """What is to come."""
        return _beyond(self.wanted.entries, self.now.entries)

    @property
    def surplus(self) -> tuple[Entry, ...]:
        """What is to go."""
        return _beyond(self.now.entries, self.wanted.entries)

    @property
    def elapsed(self) -> float:
        """Seconds that have passed since the picture was taken."""
        return self.now.at - self.wanted.at

    @property
    def sysctls(self) -> dict[str, str]:
        """Settings to be given, by `carried.read_sysctls`'s names."""
        return {
            key: value for key, value in self.wanted.sysctls.items() if self.now.sysctls.get(key) not in (None, value)
        }

    @property
    def resolver(self) -> Mapping[str, str] | None:
        """What systemd-resolved is to know of the link; None where it does, or is not there to be told."""
        now, wanted = self.now.resolver, self.wanted.resolver
        return None if now is None or wanted is None or dict(now) == dict(wanted) else wanted

    @property
    def is_to_join_frames(self) -> bool:
        """Whether LRO is to be switched on, which the kernel keeps off on a port."""
        return self.wanted.lro and not self.now.lro and not self.wanted.link.master

    def expected(self) -> tuple[Entry, ...]:
        """Of what is missing, what has not expired meanwhile."""
        return tuple(e for e in self.missing if e.add(self.elapsed))

    def words(self) -> Iterator[str]:
        """What differs, for people."""
        name = self.wanted.link.name
        yield from (f"{name} lacks {e.text()}" for e in self.expected())
        yield from (f"{name} still has {e.text()}" for e in self.surplus)
        yield from (f"{name} has {key} {self.now.sysctls[key]}, not {value}" for key, value in self.sysctls.items())
        if self.resolver is not None:
            yield f"{name} has other name servers"
        if list(link_changes(self)):
            yield f"{name} is not the link that it was"


def moved(source: Carried, target: Carried) -> Carried:
    """The picture of `target` once it carries what `source` does too."""
    a, b = (source.link.name, source.link.index), (target.link.name, target.link.index)

    def onto(entries: Iterable[Entry], own: tuple[Entry, ...]) -> tuple[Entry, ...]:
        return _beyond(tuple(e.onto(a, b) for e in entries), own) + own

    return replace(
        target,
        at=source.at,
        addresses=onto(source.addresses, target.addresses),
        routes=onto(source.routes, target.routes),
        rules=onto(source.rules, target.rules),
        neighbours=onto(source.neighbours, target.neighbours),
        seen=onto(source.seen, target.seen),
        resolver=source.resolver or target.resolver,
        sysctls={**source.sysctls, **target.sysctls} if source.sysctls.get(GEN_MODE) == NO_ADDRESS else source.sysctls,
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
    """The picture of a link that has been made anew since, with another index."""
    return moved(carried, replace(bare(carried), link=replace(carried.link, index=link.index), sysctls=carried.sysctls))


# The messages, in the order in which they go.


def addresses_to_come(differences: Sequence[Difference]) -> list[Message]:
    """Addresses come first, while the other link still has them: the kernel puts up with both.

    It shows the IPv4 addresses of a link as they came, and of the IPv6 addresses the last first.
    """
    found = []
    for d in differences:
        mine = [e for e in d.missing if e.kind is Kind.ADDRESS]
        ordered = [e for e in mine if e.family != _INET6] + [e for e in reversed(mine) if e.family == _INET6]
        found += _made(ordered, d.elapsed)
    return found


def joining(differences: Sequence[Difference]) -> list[Message]:
    """New ports come before the host's traffic does: a bridge without carrier loses what it is given to send.

    Meanwhile the host sends by the port itself, and hears by the bridge.
    """
    return [m for d in differences if d.wanted.link.master for m in link_changes(d)]


def taking_over(differences: Sequence[Difference]) -> list[Difference]:
    """The links that take an address from another whose MAC is not theirs: the LAN is to be told."""
    going = {(e.local[1], d.now.link.mac) for d in differences for e in d.surplus if e.kind is Kind.ADDRESS}
    return [
        d
        for d in differences
        if any(e.local[1] == address and d.now.link.mac != mac for e in d.wanted.addresses for address, mac in going)
    ]


def rest_to_come(differences: Sequence[Difference]) -> list[Message]:
    """Routes, rules and neighbours come while the other link still has them: both lead to the same LAN."""
    found: list[Message] = []
    for d in differences:
        found += _made((e for e in d.wanted.seen if not _knows(d.now, e)), d.elapsed)
        later = [e for e in d.missing if e.kind is not Kind.ADDRESS]
        found += _made(joined(sorted(later, key=lambda e: (e.kind is Kind.RULE, *e.order()))), d.elapsed)
    return found


def gone_again(differences: Sequence[Difference]) -> list[Message]:
    """What takes away again all that was to come."""
    return [e.delete() for d in differences for e in reversed(d.missing)]


def passing_over(differences: Sequence[Difference]) -> list[Message]:
    """The moment itself, for one send: routes go, then the links change, then addresses go; each in reverse.

    A port that is released leaves a bridge that cannot send, and the kernel sleeps over it: what the host sends goes by
    the other link before. With its last IPv4 address a link loses all IPv4 routes, in every table (Linux 6.18).
    """
    gone = [e for d in differences for e in reversed(d.surplus)]
    return [
        *(e.delete() for e in gone if e.kind is not Kind.ADDRESS),
        *(m for d in differences for m in link_changes(d)),
        *(e.delete() for e in gone if e.kind is Kind.ADDRESS),
    ]


def duplicate_detection(difference: Difference) -> list[Message]:
    """Addresses came without asking the LAN whether somebody has them; later they are as they were."""
    now = {e.key(): e for e in difference.now.addresses}
    told = []
    for e in difference.wanted.addresses:
        there = now.get(e.key())
        if (
            e.family == _INET6
            and there
            and (there.flags ^ e.flags) & _NODAD
            and (message := e.add(difference.elapsed, dad=True))
        ):
            told.append(message)
    return told


def link_changes(difference: Difference) -> Iterator[Message]:
    """What makes the link itself as it is to be."""
    now, wanted = difference.now.link, difference.wanted.link
    index = now.index
    if wanted.mtu != now.mtu:
        yield netlink.set_mtu(index, wanted.mtu)
    if wanted.mac and wanted.mac != now.mac:
        yield netlink.set_address(index, wanted.mac)
    if wanted.is_bridge and (data := _settings(difference)):
        yield netlink.set_bridge_data(index, data)
    if wanted.master != now.master:
        yield netlink.set_master(index, wanted.master)
    if wanted.up and not now.up:
        yield netlink.set_up(index, True, now.name)


def _settings(difference: Difference) -> bytes:
    """The settings of a bridge that differ."""
    now, wanted = (dict(attributes(c.data)) for c in (difference.now, difference.wanted))
    return packed((key, v) for key, v in wanted.items() if key not in _NOT_SET and now.get(key) not in (None, v))


def _made(entries: Iterable[Entry], elapsed: float) -> list[Message]:
    return [message for e in entries if (message := e.add(elapsed))]


def _knows(carried: Carried, neighbour: Entry) -> bool:
    """Whether a link has this neighbour already."""
    told = neighbour.text()
    return any(e.text() == told for e in (*carried.seen, *carried.neighbours))


def _beyond(entries: Sequence[Entry], others: Sequence[Entry]) -> tuple[Entry, ...]:
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
