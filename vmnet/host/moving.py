"""Bring links to a picture of what they are to carry, from any point in between; the move itself is one send."""

from __future__ import annotations

import errno
import socket
import stat
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext, suppress

from vmnet.errors import VmnetError
from vmnet.host import carry, entry, ethtool, making, netlink, picture, resolver
from vmnet.host.carried import GEN_MODE, PROMOTE, RP_FILTER, Carried, observe_carried, sysctl_file
from vmnet.host.carry import Difference, Goal
from vmnet.host.entry import Entry, Kind
from vmnet.host.port import DEADLINE, wait_until
from vmnet.host.rtnetlink import links
from vmnet.host.wire import ROUTES_OF_IPV4, Heard, Line, Message, Refusal

_SOLICITATION = bytes([133, 0, 0, 0, 0, 0, 0, 0])

_TRIES = 4
"""Rounds, each of which starts from what the kernel has made of the last."""

_NO_MATTER = (errno.EEXIST, errno.ESRCH, errno.ENOENT, errno.EADDRNOTAVAIL)
"""What the kernel says when something is as it is to be already."""


def move_to_bridge(line: Line, uplink: str, bridge: str) -> None:
    """Have `bridge` carry what `uplink` does, with the uplink as its port.

    Raises:
        VmnetError: As `converge`.
    """
    now = _both(line, uplink, bridge)
    converge(line, Goal(picture.enslaved(now[uplink], now[bridge]), tuple(now.values())))


def move_to_uplink(line: Line, bridge: str, uplink: str, *, lro: bool = False) -> None:
    """Have `uplink` carry what `bridge` does, and be no port of it any more.

    Args:
        line: To the kernel.
        bridge: The bridge's name.
        uplink: The uplink's.
        lro: Whether the uplink joined frames before it became a port.

    Raises:
        VmnetError: As `converge`.
    """
    now = _both(line, uplink, bridge)
    converge(line, Goal(picture.released(now[bridge], now[uplink], lro=lro), tuple(now.values())))


def move_to_hostlink(line: Line, uplink: str, hostlink: str) -> None:
    """Have `hostlink`, a macvlan on `uplink`, carry what the uplink does.

    Raises:
        VmnetError: As `converge`.
    """
    now = _both(line, uplink, hostlink)
    converge(line, Goal(picture.stacked(now[uplink], now[hostlink]), tuple(now.values())))


def move_from_hostlink(line: Line, hostlink: str, uplink: str) -> None:
    """Have `uplink` carry again what `hostlink` does.

    Raises:
        VmnetError: As `converge`.
    """
    now = _both(line, uplink, hostlink)
    converge(line, Goal(picture.unstacked(now[hostlink], now[uplink]), tuple(now.values())))


def converge(line: Line, goal: Goal, *, regardless: bool = False) -> list[str]:
    """Bring each link to its picture; idempotent, and right from any point in between.

    A link is known by its index, whatever its name is now. Of those that are gone only a bridge or a hostlink is made
    again, under its old name, mark and index. What came to a link since goes to the first of them, if the kernel takes
    it, or stays.

    Args:
        line: To the kernel.
        goal: The pictures.
        regardless: Whether all is to be done that can be, though the kernel refuses a part.

    Returns:
        What was not as it is to be, or came since, a sentence each.

    Raises:
        VmnetError: The kernel refused a part (``netlink-...``), or what was done did not come about
            (``host-readback``).
    """
    try:
        return _converged(line, goal, regardless)
    finally:
        entry.forget()


def _converged(line: Line, goal: Goal, regardless: bool) -> list[str]:
    told: list[str] = []
    refusals: list[Refusal] = []
    for left in reversed(range(_TRIES + 1)):
        differences = _differences(line, goal, told)
        words = [w for d in differences for w in d.words()]
        if not words and not (left and any(d.coming or carry.duplicate_detection(d) for d in differences)):
            _close(goal, differences, told)
            return told
        if left:
            told += [w for w in words + [w for d in differences for w in d.news()] if w not in told]
            refusals = _round(line, goal, differences, regardless)
    if refusals:
        raise refusals[0].error()
    raise VmnetError(
        "host-readback",
        f"{' and '.join(c.link.name for c in goal.wanted)} did not come to be as they were set",
        why="; ".join(words),
        remedy="Something else may be changing them: a DHCP client, NetworkManager, systemd-networkd",
    )


def _close(goal: Goal, differences: Sequence[Difference], told: Sequence[str]) -> None:
    """What is left once all is as it is to be."""
    for d in differences:
        if d.is_to_join_frames:  # last, for a driver may reset the link for it
            ethtool.join_frames(d.now.link.name)
    if told and any(e.advertised for c in goal.before for e in c.routes):
        _ask_for_routers(differences[0].now.link.index)


def _round(line: Line, goal: Goal, differences: list[Difference], regardless: bool) -> list[Refusal]:
    """One way from what is to what is to be; says what the kernel refused without its being so already.

    Nothing goes before all that is to come has come, unless that is to be done regardless.
    """
    for d in differences:
        _set(d, {RP_FILTER: carry.LOOSE} if d.missing else {})
        _set(d, {PROMOTE: "1"} if d.surplus else {})  # else an address that has just come goes with the first
        _set(d, {key: value for key, value in d.sysctls.items() if key not in (GEN_MODE, RP_FILTER, PROMOTE)})
    if (refusals := _sent(line, carry.addresses_to_come(differences))) and not regardless:
        line.send(carry.gone_again(differences))  # else the next round would add the missing behind the rest
        return refusals
    _wait_for_addresses(line, goal)
    if joining := carry.joining(differences):
        if (more := _sent(line, joining)) and not regardless:
            return more
        _wait_for_carrier([d.wanted for d in differences])
    _announce(line, differences)
    differences = _differences(line, goal, [])  # the kernel has made routes for the addresses
    if (more := _sent(line, carry.rest_to_come(differences))) and not regardless:
        line.send(carry.gone_again(differences))
        return more
    with Heard(ROUTES_OF_IPV4) as heard:
        for _ in range(_TRIES):
            differences = _differences(line, goal, [])
            if not line.send(carry.newcomers(differences)) and not any(d.coming for d in differences):
                break
        refusals += more + _sent(line, carry.passing_over(differences))
        news = [Entry(Kind.ROUTE, body) for body in heard.bodies(Kind.ROUTE.new)]
    line.send(carry.newcomers(_differences(line, goal, [], news)))
    for d in _differences(line, goal, []):
        if behind := carry.behind(d):
            _set(d, {PROMOTE: "1"})
            line.send(behind)
        _set(d, {PROMOTE: d.wanted.sysctls[PROMOTE]} | d.sysctls if behind else d.sysctls)
        refusals += _sent(line, [*carry.in_order(d), *carry.duplicate_detection(d)])
        line.send(carry.token(d))
        if d.resolver is not None:
            with suppress(VmnetError) if regardless else nullcontext():
                resolver.tell(d.now.link.name, d.now.resolver or {}, d.resolver)
    return refusals


def found(line: Line, wanted: Collection[Carried]) -> dict[int, Carried]:
    """What these links carry now, by the index that they had; those that are gone are left out.

    One that was made again since, by us, is known by its name and mark.
    """
    links = [link for c in wanted for link in (c.link.index, c.link.name)]
    now = observe_carried(line, links).values()
    by_index = {c.link.index: c for c in now}
    again = {(c.link.name, c.link.alias): c for c in now if c.link.is_ours}
    there = ((c, by_index.get(c.link.index) or again.get((c.link.name, c.link.alias))) for c in wanted)
    return {c.link.index: n for c, n in there if n}


def _differences(line: Line, goal: Goal, made: list[str], news: Sequence[Entry] = ()) -> list[Difference]:
    """What lies between now and the pictures; a bridge or a hostlink that is gone is made first.

    Args:
        line: To the kernel.
        goal: The pictures.
        made: Takes what was made, a sentence each.
        news: Routes that came, and may be gone again.
    """
    now = found(line, goal.wanted)
    if gone := [c for c in goal.wanted if c.link.index not in now and (c.link.is_bridge or c.link.is_hostlink)]:
        for c in gone:
            _make_again(line, c, [n.index for n in links()])
            made.append(f"{c.link.kind} {c.link.name} is gone")
        now = found(line, goal.wanted)
    return carry.differences(goal, {index: carry.with_routes(c, news) for index, c in now.items()})


def _make_again(line: Line, gone: Carried, taken: Collection[int]) -> None:
    """Make a link that is gone, under its old index if nobody else has that now."""
    link, alias = gone.link, gone.link.alias or ""
    index = making.free_index(taken) if link.index in taken else link.index
    if link.bridge is not None:
        making.make(line, making.create_bridge(link.name, link.mac, link.mtu, link.bridge, alias, index), index)
    elif link.mac and link.lower:
        making.make(line, making.create_hostlink(link.name, link.mac, link.mtu, link.lower, alias, index), index)


def _sent(line: Line, messages: list[Message]) -> list[Refusal]:
    return [refusal for refusal in line.send(messages) if refusal.number not in _NO_MATTER]


def _announce(line: Line, differences: Sequence[Difference]) -> None:
    """Have the kernel tell the LAN whose the addresses are that pass to another MAC.

    Both links have them at this time, and take what still comes for the old MAC.
    """
    for d in carry.taking_over(differences):
        _set(d, {key: value for key, value in carry.ANNOUNCING.items() if key in d.now.sysctls})
        if d.now.link.mac:  # a driver may refuse (EBUSY): then the LAN learns it in its own time
            line.send([netlink.set_address(d.now.link.index, d.now.link.mac)])


def _wait_for_addresses(line: Line, goal: Goal) -> None:
    """Wait until the kernel listens for every address: of IPv6 it answers before it does (Linux 6.18)."""
    deadline = time.monotonic() + DEADLINE
    while any(d.now.late for d in _differences(line, goal, [])) and time.monotonic() < deadline:
        time.sleep(0.001)


def _wait_for_carrier(wanted: Sequence[Carried]) -> None:
    """Wait until the bridges that have got a port can send; one whose port leads nowhere never can."""
    masters = {c.link.master for c in wanted if c.link.master and c.link.carrier}
    listening = max((2 * b.forward_delay / 100 for c in wanted if (b := c.link.bridge) and b.stp), default=0.0)

    def ready() -> bool:
        return all(n.operstate == "up" for n in links() if n.index in masters)

    wait_until(ready, listening + DEADLINE)


def _ask_for_routers(index: int) -> None:
    """Have routers speak (RFC 4861, 4.1): where the kernel has heard one before, it asks but once (Linux 6.18)."""
    with (
        suppress(OSError),
        socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMPV6) as line,
    ):
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        line.sendto(_SOLICITATION, ("ff02::2", 0, 0, index))


def _set(difference: Difference, settings: Mapping[str, str]) -> None:
    """Give a link settings of its own; those that the kernel only shows are its own to keep."""
    name = difference.now.link.name
    for key, value in settings.items():
        file = sysctl_file(name, key)
        try:
            if file.stat().st_mode & stat.S_IWUSR:
                file.write_text(value)
        except OSError as error:
            raise VmnetError(
                "sysctl", f"Setting {key} of {name} to {value} failed", why=error.strerror or ""
            ) from error


def _both(line: Line, uplink: str, bridge: str) -> dict[str, Carried]:
    now = observe_carried(line, [uplink, bridge])
    for name in (uplink, bridge):
        if name not in now:
            raise VmnetError(
                "host-changed", f"{name} is gone", remedy="Run the command again to plan with what is there now"
            )
    return now
