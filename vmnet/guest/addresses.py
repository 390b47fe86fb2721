"""The IP addresses of guests, asked of the agent and of libvirt's leases; who does not answer is not waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface

from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Source
from vmnet.guest.model import Domain

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


def ask(connection: Connection, domains: Sequence[Domain]) -> Mapping[str, Sequence[Known]]:
    """The addresses of running guests by MAC, the agent's first; all domains are asked at once."""
    found: dict[str, list[Known]] = {}
    running = [domain for domain in domains if domain.live]
    workers = [threading.Thread(target=_ask_one, args=(connection, domain, found), daemon=True) for domain in running]
    for worker in workers:
        worker.start()
    deadline = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
    return {mac: list(known) for mac, known in list(found.items())}


def _ask_one(connection: Connection, domain: Domain, found: dict[str, list[Known]]) -> None:
    handle = connection.again(domain.uuid)
    sources = [Source.AGENT] if domain.live and domain.live.has_agent else []
    for source in (*sources, Source.LEASE):
        for mac, addresses in handle.addresses(source).items():
            found.setdefault(mac, []).extend(Known(a, source) for a in addresses if _is_address(a))


def _is_address(text: str) -> bool:
    """Whether a guest's word is an IP address at all."""
    try:
        ip_interface(text)
    except ValueError:
        return False
    return True
