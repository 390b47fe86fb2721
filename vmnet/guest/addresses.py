"""The IP addresses of guests, asked of the agent and of libvirt's leases; who does not answer is not waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_interface
from typing import TypeAlias

from vmnet.errors import VmnetError
from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Source
from vmnet.guest.model import Domain
from vmnet.values import dataclass

_PATIENCE = 3.0
"""Seconds for all agents together: a hung one must not hang us."""


@dataclass(frozen=True, slots=True)
class Known:
    """An IP address of a guest, with its prefix where that is known, and who says so."""

    address: str
    source: Source

    @property
    def is_link_local(self) -> bool:
        """Whether it leads nowhere beyond the link."""
        return ip_interface(self.address).ip.is_link_local


Addresses: TypeAlias = Mapping[tuple[str, str], Sequence[Known]]
"""What is known of each NIC, by the domain's UUID and the NIC's MAC address."""


class Asking:
    """Asks domains for their addresses, all at once, and while others are still looked at.

    Args:
        connection: A connection; only one that may write is answered by agents.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: dict[tuple[str, str], list[Known]] = {}
        self._workers: list[threading.Thread] = []

    def about(self, domain: Domain) -> bool:
        """Ask about one domain, if anybody can know of it; say whether."""
        sources = tuple(_sources(domain))
        if sources:
            worker = threading.Thread(target=self._ask, args=(domain.uuid, sources), daemon=True)
            self._workers.append(worker)
            worker.start()
        return bool(sources)

    def answers(self) -> Addresses:
        """What came of it, the agent's first; who has not answered in time is not waited for.

        By UUID too, for an agent can say what it likes: of its own domain only.
        """
        deadline = time.monotonic() + _PATIENCE
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        return {nic: tuple(known) for nic, known in list(self._found.items())}

    def _ask(self, uuid: str, sources: Sequence[Source]) -> None:
        with suppress(VmnetError):  # it ended meanwhile
            handle = self._connection.again(uuid)
            for source in sources:
                for mac, addresses in handle.addresses(source).items():
                    known = [Known(good, source) for word in addresses if (good := _address(word))]
                    self._found.setdefault((uuid, mac), []).extend(known)


def ask(connection: Connection, domains: Iterable[Domain]) -> Addresses:
    """The addresses of running guests, as `Asking` has them."""
    asking = Asking(connection)
    for domain in domains:
        asking.about(domain)
    return asking.answers()


def _sources(domain: Domain) -> Iterator[Source]:
    """Who can know the addresses of a domain; libvirt has leases of its own networks only."""
    if domain.live and domain.live.has_agent:
        yield Source.AGENT
    if domain.live and any(nic.text("source/@network") for nic in domain.live.nics):
        yield Source.LEASE


def _address(text: str) -> str | None:
    """A guest's word as an IP address in its plain form; None if it is none, or has a scope, which holds any text."""
    try:
        return None if "%" in text else str(ip_interface(text))
    except ValueError:
        return None
