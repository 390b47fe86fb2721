"""Bring links to a picture of what they are to carry, from any point in between; the move itself is one send."""

from __future__ import annotations

import errno
import stat
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from vmnet.errors import VmnetError
from vmnet.host import carry, ethtool, making, netlink, resolver
from vmnet.host.carried import GEN_MODE, RP_FILTER, Carried, observe_carried, sysctl_file
from vmnet.host.carry import Difference
from vmnet.host.port import DEADLINE, wait_until
from vmnet.host.rtnetlink import links
from vmnet.host.wire import Line, Message, Refusal

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
    converge(line, carry.enslaved(now[uplink], now[bridge]))


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
    converge(line, carry.released(now[bridge], now[uplink], lro=lro))


def move_to_hostlink(line: Line, uplink: str, hostlink: str) -> None:
    """Have `hostlink`, a macvlan on `uplink`, carry what the uplink does.

    Raises:
        VmnetError: As `converge`.
    """
    now = _both(line, uplink, hostlink)
    converge(line, carry.stacked(now[uplink], now[hostlink]))


def move_from_hostlink(line: Line, hostlink: str, uplink: str) -> None:
    """Have `uplink` carry again what `hostlink` does.

    Raises:
        VmnetError: As `converge`.
    """
    now = _both(line, uplink, hostlink)
    converge(line, carry.unstacked(now[hostlink], now[uplink]))


def converge(line: Line, wanted: Sequence[Carried], *, regardless: bool = False) -> list[str]:
    """Bring each link to its picture; idempotent, and right from any point in between.

    Of links that are gone only a bridge or a hostlink is made again, under its old name, mark and index.

    Args:
        line: To the kernel.
        wanted: The pictures.
        regardless: Whether all is to be done that can be, though the kernel refuses a part.

    Returns:
        What was not as it is to be, a sentence each.

    Raises:
        VmnetError: The kernel refused a part (``netlink-...``), or what was done did not come about
            (``host-readback``).
    """
    found: list[str] = []
    refusals: list[Refusal] = []
    for _ in range(_TRIES):
        differences = _differences(line, wanted, found)
        if words := [w for d in differences for w in d.words()]:
            found += [w for w in words if w not in found]
        elif not any(carry.duplicate_detection(d) for d in differences):
            for d in differences:
                if d.is_to_join_frames:  # last, for a driver may reset the link for it
                    ethtool.join_frames(d.now.link.name)
            return found
        refusals = _round(line, wanted, differences, regardless)
    if refusals:
        raise refusals[0].error()
    raise VmnetError(
        "host-readback",
        f"{' and '.join(c.link.name for c in wanted)} did not come to be as they were set",
        why="; ".join(w for d in _differences(line, wanted, []) for w in d.words()),
        remedy="Something else may be changing them: a DHCP client, NetworkManager, systemd-networkd",
    )


def _round(line: Line, wanted: Sequence[Carried], differences: list[Difference], regardless: bool) -> list[Refusal]:
    """One way from what is to what is to be; says what the kernel refused without its being so already.

    Nothing goes before all that is to come has come, unless that is to be done regardless.
    """
    for d in differences:
        _set(d, {RP_FILTER: carry.LOOSE} if d.missing else {})
        _set(d, {key: value for key, value in d.sysctls.items() if key not in (GEN_MODE, RP_FILTER)})
    if (refusals := _sent(line, carry.addresses_to_come(differences))) and not regardless:
        line.send(carry.gone_again(differences))  # else the next round would add the missing behind the rest
        return refusals
    _wait_for_addresses(line, wanted)
    if joining := carry.joining(differences):
        if (more := _sent(line, joining)) and not regardless:
            return more
        _wait_for_carrier([d.wanted for d in differences])
    _announce(line, differences)
    differences = _differences(line, wanted, [])  # the kernel has made routes for the addresses
    if (more := _sent(line, carry.rest_to_come(differences))) and not regardless:
        line.send(carry.gone_again(differences))
        return more
    refusals += more + _sent(line, carry.passing_over(_differences(line, wanted, [])))
    for d in _differences(line, wanted, []):
        _set(d, d.sysctls)
        refusals += _sent(line, carry.duplicate_detection(d))
        if d.resolver is not None:
            resolver.tell(d.now.link.name, d.now.resolver or {}, d.resolver)
    return refusals


def _differences(line: Line, wanted: Sequence[Carried], made: list[str]) -> list[Difference]:
    """What lies between now and the pictures; a bridge or a hostlink that is gone is made first."""
    now = observe_carried(line, [c.link.name for c in wanted])
    if gone := [c for c in wanted if c.link.name not in now and (c.link.is_bridge or c.link.is_hostlink)]:
        for c in gone:
            _make_again(line, c, [n.index for n in links()])
            made.append(f"{c.link.kind} {c.link.name} is gone")
        now = observe_carried(line, [c.link.name for c in wanted])
    anew = {c.link.index: now[c.link.name].link.index for c in wanted if c.link.name in now}
    pictures = [carry.wanted_on(c, now[c.link.name].link) for c in wanted if c.link.name in now]
    return [
        Difference(
            now[p.link.name], replace(p, link=replace(p.link, master=anew.get(p.link.master or 0, p.link.master)))
        )
        for p in pictures
    ]


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


def _wait_for_addresses(line: Line, wanted: Sequence[Carried]) -> None:
    """Wait until the kernel listens for every address: of IPv6 it answers before it does (Linux 6.18)."""
    deadline = time.monotonic() + DEADLINE
    while any(d.now.late for d in _differences(line, wanted, [])) and time.monotonic() < deadline:
        time.sleep(0.001)


def _wait_for_carrier(wanted: Sequence[Carried]) -> None:
    """Wait until the bridges that have got a port can send; one whose port leads nowhere never can."""
    masters = {c.link.master for c in wanted if c.link.master and c.link.carrier}
    listening = max((2 * b.forward_delay / 100 for c in wanted if (b := c.link.bridge) and b.stp), default=0.0)

    def ready() -> bool:
        return all(n.operstate == "up" for n in links() if n.index in masters)

    wait_until(ready, listening + DEADLINE)


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
