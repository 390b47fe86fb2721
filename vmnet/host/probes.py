"""Who on the LAN answered before a change must answer after it: gateways, and the way to whoever is logged in by SSH.

The kernel itself asks, by ARP or neighbour discovery, and its neighbour table tells who answered: no raw socket, and
no ping that a firewall may swallow. A neighbour that is known is asked again in state PROBE, in which the kernel goes
on using what it knows: no frame is held back for the question.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from struct import Struct
from typing import TypeAlias

from vmnet.change.interrupts import check
from vmnet.errors import VmnetError
from vmnet.host.model import Host
from vmnet.host.observe import observe
from vmnet.host.wire import CREATE, REPLACE, Line, Message, attribute, attributes
from vmnet.values import dataclass

ANSWER_SECONDS = 4.0
"""How long an answer may take: the kernel asks three times, a second apart (neigh/default/mcast_solicit)."""

_INTERVAL = 0.01  # seconds between two looks at the neighbour table

# Names and numbers of linux/neighbour.h and rtnetlink.h.
_NEIGHBOUR = Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
_ROUTE = Struct("=BBBBBBBBI")  # rtmsg: family, two lengths, TOS, table, protocol, scope, type, flags
_NEW_NEIGHBOUR, _GET_NEIGHBOUR, _GET_ROUTE = 28, 30, 26  # RTM_NEWNEIGH, RTM_GETNEIGH, RTM_GETROUTE
_DST, _LLADDR = 1, 2  # NDA_...
_ROUTE_DST, _OIF, _GATEWAY = 1, 4, 5  # RTA_...
_REACHABLE, _FAILED, _PROBE = 0x02, 0x20, 0x10  # NUD_...
_KNOWN = 0x02 | 0x04 | 0x08 | 0x10  # NUD_REACHABLE, STALE, DELAY, PROBE
_FIXED = 0x40 | 0x80  # NUD_NOARP, PERMANENT: nobody is ever asked
_USE = 0x01  # NTF_USE

_Way: TypeAlias = tuple[int, str]
"""A link, and an address behind it."""


class Role(StrEnum):
    """Who somebody on the LAN is to this host."""

    GATEWAY = "gateway of the default route"
    SSH = "the way to your SSH session"
    NEIGHBOUR = "on the LAN"


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody who is to answer.

    Args:
        address: The gateway's, or where the SSH session comes from, behind whatever gateway.
        role: Who it is.
        link: Name of the link that a gateway or a neighbour is behind: one address may be that of several.
    """

    address: str
    role: Role
    link: str = ""

    def __str__(self) -> str:
        return f"{self.address} ({self.role})"


def peers(host: Host, session: str = "") -> tuple[Peer, ...]:
    """Who could be asked.

    Args:
        host: The host, just observed.
        session: The ``SSH_CONNECTION`` that is to last; see `ssh_session`.
    """
    links = {way: link.name for way in _gateways(host) if (link := host.by_index(way[0]))}
    found = [Peer(address, Role.GATEWAY, name) for (_, address), name in links.items()]
    client = session.partition(" ")[0]
    if client and _family(client) and not client.lower().startswith("fe80:"):
        found.append(Peer(client, Role.SSH))
    return tuple(found)


def answering(asked: Iterable[Peer], seconds: float = ANSWER_SECONDS) -> tuple[Peer, ...]:
    """Those of them who answer, each on the link that the host would send to it by now.

    Raises:
        VmnetError: The kernel did not answer (``netlink-...``).
        KeyboardInterrupt: Somebody wants us to stop.
    """
    asked = tuple(asked)
    if not asked:
        return ()
    deadline = time.monotonic() + seconds
    with Line() as line:
        ways = _ways(line, asked)
        wanted = frozenset(ways.values())
        _ask(line, wanted)
        while True:
            states = {way: state for way, state, _ in _neighbours(line) if way in wanted}
            answered = {way for way, state in states.items() if state & _REACHABLE}
            silent = {way for way in wanted if states.get(way, _FAILED) & (_FAILED | _FIXED)}
            if answered | silent == wanted or time.monotonic() >= deadline:
                return tuple(peer for peer in asked if ways.get(peer) in answered)
            check()
            time.sleep(_INTERVAL)


def verify_peers(known: Iterable[Peer], seconds: float = 2 * ANSWER_SECONDS) -> None:
    """See that all of them answer, who did so before; they are asked again while there is time.

    Raises:
        VmnetError: ``peer-silent``: one does not; or as `answering`.
    """
    left = tuple(known)
    deadline = time.monotonic() + seconds
    while True:
        answered = answering(left, min(ANSWER_SECONDS, max(deadline - time.monotonic(), 0)))
        left = tuple(peer for peer in left if peer not in answered)
        if not left:
            return
        if time.monotonic() >= deadline:
            raise VmnetError(
                "peer-silent",
                f"{' and '.join(map(str, left))} answered before the change, and does not answer now",
                why=f"The kernel asked by ARP or neighbour discovery for {seconds:g} s",
                remedy="Port security or a spanning tree may be in the way: see what the switch says of this port",
            )
        time.sleep(_INTERVAL)


def ssh_session(environment: Mapping[str, str] = os.environ) -> str:
    """The ``SSH_CONNECTION`` of this process, or of the one that sudo was typed in; empty where there is none."""
    pid = os.getpid()
    session = environment.get("SSH_CONNECTION", "")
    with suppress(OSError, ValueError):
        while not session and pid > 1:
            folder = Path("/proc", str(pid))
            for pair in (folder / "environ").read_bytes().split(b"\0"):
                if pair.startswith(b"SSH_CONNECTION="):
                    session = os.fsdecode(pair.partition(b"=")[2])
            # proc_pid_stat(5): the parent is the second word behind the name, which is in brackets.
            pid = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
    return session


def _ways(line: Line, asked: Collection[Peer]) -> dict[Peer, _Way]:
    """The link and the next hop of each; one that there is no way to has none."""
    host = observe()
    gateways = _gateways(host)
    ways: dict[Peer, _Way] = {}
    for peer in asked:
        match peer.role:
            case Role.GATEWAY:
                if (link := host.link(peer.link)) and (link.index, peer.address) in gateways:
                    ways[peer] = (link.index, peer.address)
            case Role.NEIGHBOUR:
                if link := host.link(peer.link):
                    ways[peer] = (link.index, peer.address)
            case Role.SSH:
                with suppress(VmnetError):  # no route: so it does not answer
                    ways[peer] = _route_to(line, peer.address)
    return ways


def _gateways(host: Host) -> dict[_Way, None]:
    """The next hops of all default routes, each once, in order."""
    return dict.fromkeys(way for r in host.routes if r.destination == "default" for way in r.gateways)


def _route_to(line: Line, address: str) -> _Way:
    """The link and the next hop by which the kernel would send to an address. Raises `VmnetError`."""
    family = _family(address)
    packed = socket.inet_pton(family, address)
    header = _ROUTE.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
    answer = line.get(f"Asking for the route to {address}", _GET_ROUTE, header + attribute(_ROUTE_DST, packed))
    found = dict(attributes(answer[_ROUTE.size :]))
    hop = found.get(_GATEWAY, packed)
    return int.from_bytes(found.get(_OIF, b""), sys.byteorder), socket.inet_ntop(family, hop)


def _ask(line: Line, wanted: Collection[_Way]) -> None:
    """Have the kernel ask all of them now; what it refuses stays unanswered."""
    known = {way: mac for way, state, mac in _neighbours(line) if state & _KNOWN and mac}
    fixed = {way for way, state, _ in _neighbours(line) if state & _FIXED}
    line.send([_question(way, known.get(way)) for way in wanted if way not in fixed])


def _question(way: _Way, mac: bytes | None) -> Message:
    index, address = way
    family = _family(address)
    state, flags = (_PROBE, 0) if mac else (0, _USE)
    body = _NEIGHBOUR.pack(family, index, state, flags, 0) + attribute(_DST, socket.inet_pton(family, address))
    body += attribute(_LLADDR, mac) if mac else b""
    return Message(_NEW_NEIGHBOUR, body, CREATE | REPLACE, f"Asking for {address}")


def _neighbours(line: Line) -> Iterator[tuple[_Way, int, bytes | None]]:
    """Each neighbour with its state and its MAC."""
    for body in line.dump("neighbour", _GET_NEIGHBOUR, bytes(_NEIGHBOUR.size)):
        if len(body) >= _NEIGHBOUR.size:
            family, index, state, _, _ = _NEIGHBOUR.unpack_from(body)
            found = dict(attributes(body[_NEIGHBOUR.size :]))
            with suppress(ValueError, KeyError):
                yield (index, socket.inet_ntop(family, found[_DST])), state, found.get(_LLADDR)


def _family(address: str) -> int:
    """AF_INET or AF_INET6; 0 for what is no address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, ValueError):
            socket.inet_pton(family, address)
            return family
    return 0
