"""What it takes for links to carry what they are to carry: pure, from pictures of the host to messages.

A move is not a list of inverse steps but a picture of both links as they are to be; so is an undo. Whatever lies
between now and the picture is made, and then what is too much is taken away: make before break.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from vmnet.host import netlink
from vmnet.host.carried import Carried
from vmnet.host.entry import Entry, Kind, joined
from vmnet.host.picture import as_may_be, beyond, known_by, wanted_on
from vmnet.host.wire import CREATE, Message, attributes, packed
from vmnet.values import dataclass

LOOSE = "2"
"""Of rp_filter: what comes in anywhere is taken; the larger of it and that of all links counts."""

ANNOUNCING = {"ipv4/conf/arp_notify": "1", "ipv6/conf/ndisc_notify": "1"}
"""Settings by which the kernel tells the LAN of a link's addresses (gratuitous ARP, unsolicited NA) when the link is
given its MAC, be it the same; it forgets the link's neighbours then, those that somebody put down too (Linux 6.18).
"""

SINCE = "came in the meantime"
"""What is said of what neither the picture had nor vmnet made."""

_NODAD = 0x02  # IFA_F_NODAD
_INET6 = 10
_NOT_SET = {*range(10, 20), 21, 47, 48}
"""What a bridge only shows (IFLA_BR_ROOT_ID to GC_TIMER, MCAST_QUERIER_STATE, FDB_N_LEARNED); FDB_FLUSH is an act."""

_PORT_SET = {*range(2, 13), 25, *range(27, 35), 37, 39, 40, 42, 43, 44}
"""What a port takes (IFLA_BRPORT_PRIORITY to PROXYARP_WIFI, ... BACKUP_NHID); its state is the bridge's to say."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What links are to come to.

    Args:
        wanted: Their pictures. The first is of the link to which comes what came to any of them in the meantime.
        before: What they carried when the pictures were made. What is in neither came since: nobody but who made it
            may take it away.
    """

    wanted: tuple[Carried, ...]
    before: tuple[Carried, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What one link has, and is to have.

    Args:
        now: What it carries.
        wanted: What it is to carry.
        stays: What it has beyond that and keeps: it came since, and nothing else has it.
        coming: What came to another link since, and is to come here if the kernel takes it.
    """

    now: Carried
    wanted: Carried
    stays: tuple[Entry, ...] = ()
    coming: tuple[Entry, ...] = ()

    @property
    def missing(self) -> tuple[Entry, ...]:
        """What is to come."""
        return beyond(self.wanted.entries, self.now.entries)

    @property
    def surplus(self) -> tuple[Entry, ...]:
        """What is to go."""
        return beyond(beyond(self.now.entries, self.wanted.entries), self.stays)

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
        if in_order(self):
            yield f"rules that name {name} have changed places with others"
        if self.resolver is not None:
            yield f"{name} has other name servers"
        if list(link_changes(self)):
            yield f"{name} is not the link that it was"

    def news(self) -> Iterator[str]:
        """What came since, for people."""
        name = self.wanted.link.name
        yield from (f"{e.text()}, which {SINCE}, goes to {name}" for e in self.coming)
        yield from (f"{e.text()}, which {SINCE}, stays on {name}" for e in self.stays)


def differences(goal: Goal, now: Mapping[int, Carried]) -> list[Difference]:
    """What lies between now and a goal.

    Args:
        goal: The goal.
        now: What the links carry now, by their indexes in the goal; those that are not there are left out.
    """
    anew = {index: c.link.index for index, c in now.items()}
    found = []
    for c in goal.wanted:
        if there := now.get(c.link.index):
            master = anew.get(c.link.master or 0, c.link.master)
            picture = wanted_on(replace(c, link=replace(c.link, master=master)), there.link)
            picture = replace(picture, routes=as_may_be(picture.routes, {e.key() for e in there.routes}))
            came = _came(goal, there, picture)
            picture = replace(picture, addresses=_ranked(picture.addresses, there, came))
            found.append(Difference(there, picture, came))
    if not found:
        return []
    home, *others = found
    has = {e.place() for e in home.now.entries}
    coming: list[Entry] = []
    rest = []
    for d in others:
        onto = {e: e.onto(known_by(d.now), known_by(home.now)) for e in d.stays}
        coming += [e for e in onto.values() if e.place() not in has]
        rest.append(replace(d, stays=tuple(e for e in d.stays if onto[e].place() not in has)))
    words = {e.place() for e in home.now.routes if e.advertised}  # the kernel's own again, and the copies until then
    kept = tuple(e for e in home.surplus if e.kind is Kind.ROUTE and e.place() in words)
    wanted = replace(home.wanted, routes=home.wanted.routes + kept)
    return [replace(home, wanted=wanted, coming=tuple(coming)), *rest]


def _ranked(addresses: tuple[Entry, ...], there: Carried, came: Sequence[Entry]) -> tuple[Entry, ...]:
    """The addresses, those as they are that share a net with one that came: which was first is not theirs to say."""
    nets = {(e.family, *e.net) for e in came if e.kind is Kind.ADDRESS}
    here = {e.place(): e for e in there.addresses}
    return tuple(here.get(e.place(), e) if (e.family, *e.net) in nets else e for e in addresses)


def _came(goal: Goal, there: Carried, picture: Carried) -> tuple[Entry, ...]:
    """What a link has that it neither is to have nor any of the links had before, nor the kernel made of itself."""
    known = [*picture.entries]
    for c in goal.before:
        known += [e.onto(known_by(c), known_by(there)) for e in c.entries]
    places = {e.place() for e in known}
    fresh = [e for e in beyond(there.entries, picture.entries) if e.place() not in places]
    addresses = [e for e in fresh if e.kind is Kind.ADDRESS and not e.is_kernel_made]
    theirs, ours = ({(e.family, *e.net) for e in es if e.kind is Kind.ADDRESS} for es in (addresses, known))

    def is_made_of_itself(e: Entry) -> bool:
        net = e.family, *e.net
        return e.is_kernel_made and (e.kind is Kind.ADDRESS or net in ours or not (net in theirs or e.is_passing))

    return tuple(e for e in fresh if e.kind in (Kind.RULE, Kind.NEIGHBOUR) or not is_made_of_itself(e))


# The messages, in the order in which they go.


def addresses_to_come(differences: Sequence[Difference]) -> list[Message]:
    """Addresses come first, while the other link still has them: the kernel puts up with both.

    It shows the IPv4 addresses of a link as they came, and of the IPv6 addresses the last first.
    """
    found = []
    for d in differences:
        found += _made(_addresses(d.missing), d.elapsed)
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
        found += _made(_rest(d.missing), d.elapsed)
    return found


def newcomers(differences: Sequence[Difference]) -> list[Message]:
    """What came to a link in the meantime comes along, as far as the kernel takes it."""
    return [m for d in differences for m in _made([*_addresses(d.coming), *_rest(d.coming)], 0)]


def with_routes(carried: Carried, news: Sequence[Entry]) -> Carried:
    """The picture, with those of the routes that are by its link and not in it."""
    mine = tuple(e for e in news if carried.link.index in e.links and not e.is_bookkeeping)
    return replace(carried, routes=carried.routes + beyond(mine, carried.routes)) if mine else carried


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


def behind(difference: Difference) -> list[Message]:
    """Addresses that came go behind those of their net that were there before: else those would go with them.

    Each is gone for the moment between two messages of one send. Needs `PROMOTE`.
    """
    ours = {e.net for e in difference.wanted.addresses if e.is_secondary}
    first = [e for e in difference.stays if e.kind is Kind.ADDRESS and not e.is_secondary and e.family != _INET6]
    again = [(e.delete(), there) for e in first if e.net in ours and (there := e.add(0))]
    return [m for both in again for m in both]


def in_order(difference: Difference) -> list[Message]:
    """Rules of one priority count in the order in which they came: those behind one that has come anew come again.

    A copy is there before the old one goes, of two that are equal the first.
    """
    there = Counter(e.key() for e in difference.now.order)
    wanted = [e for e in difference.wanted.order if there[e.key()]]
    known = {e.key() for e in wanted}
    now = [key for e in difference.now.order if (key := e.key()) in known]
    right = 0
    while right < min(len(now), len(wanted)) and now[right] == wanted[right].key():
        right += 1
    again = [(copy, e.delete()) for e in wanted[right:] if (copy := e.add(0))]
    return [m for copy, old in again for m in (replace(copy, flags=CREATE), old)]


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
    if wanted.master and (data := _port_settings(difference)):
        yield netlink.set_port_data(index, data)
    if wanted.up and not now.up:
        yield netlink.set_up(index, True, now.name)


def token(difference: Difference) -> list[Message]:
    """What gives a link its token; one that hears no router takes none."""
    now, wanted = difference.now, difference.wanted
    return [netlink.set_token(now.link.index, wanted.token)] if now.token != wanted.token else []


def _port_settings(difference: Difference) -> bytes:
    """The settings of a port that differ."""
    now, wanted = (dict(attributes(c.port_data)) for c in (difference.now, difference.wanted))
    return packed((key, value) for key, value in wanted.items() if key in _PORT_SET and now.get(key) != value)


def _settings(difference: Difference) -> bytes:
    """The settings of a bridge that differ."""
    now, wanted = (dict(attributes(c.data)) for c in (difference.now, difference.wanted))
    return packed((key, v) for key, v in wanted.items() if key not in _NOT_SET and now.get(key) not in (None, v))


def _addresses(entries: Sequence[Entry]) -> list[Entry]:
    mine = [e for e in entries if e.kind is Kind.ADDRESS]
    return [e for e in mine if e.family != _INET6] + [e for e in reversed(mine) if e.family == _INET6]


def _rest(entries: Sequence[Entry]) -> list[Entry]:
    later = [e for e in entries if e.kind is not Kind.ADDRESS]
    return joined(sorted(later, key=lambda e: (e.kind is Kind.RULE, *e.order())))


def _made(entries: Iterable[Entry], elapsed: float) -> list[Message]:
    return [message for e in entries if (message := e.add(elapsed))]


def _knows(carried: Carried, neighbour: Entry) -> bool:
    """Whether a link has this neighbour already."""
    told = neighbour.text()
    return any(e.text() == told for e in (*carried.seen, *carried.neighbours))
