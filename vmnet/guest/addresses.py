"""The IP addresses of guests, asked of the agent and of libvirt's leases; who does not answer is not waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import TypeAlias

from vmnet.errors import VmnetError
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


Addresses: TypeAlias = Mapping[tuple[str, str], Sequence[Known]]
"""What is known of each NIC, by the domain's UUID and the NIC's MAC address."""


def ask(connection: Connection, domains: Sequence[Domain]) -> Addresses:
    """The addresses of running guests by UUID and MAC, the agent's first; all domains are asked at once.

    By UUID too, for an agent can say what it likes: of its own domain only.
    """
    found: dict[tuple[str, str], list[Known]] = {}
    running = [domain for domain in domains if domain.live]
    workers = [threading.Thread(target=_ask_one, args=(connection, domain, found), daemon=True) for domain in running]
    for worker in workers:
        worker.start()
    deadline = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
    return {nic: tuple(known) for nic, known in list(found.items())}


def _ask_one(connection: Connection, domain: Domain, found: dict[tuple[str, str], list[Known]]) -> None:
    sources = [Source.AGENT] if domain.live and domain.live.has_agent else []
    with suppress(VmnetError):  # it ended meanwhile
        handle = connection.again(domain.uuid)
        for source in (*sources, Source.LEASE):
            for mac, addresses in handle.addresses(source).items():
                known = [Known(good, source) for word in addresses if (good := _address(word))]
                found.setdefault((domain.uuid, mac), []).extend(known)


def _address(text: str) -> str | None:
    """A guest's word as an IP address in its plain form; None if it is none, or has a scope, which holds any text."""
    try:
        return None if "%" in text else str(ip_interface(text))
    except ValueError:
        return None
