"""The listing that follows the world: read once, and then again only what an event names."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import ExitStack

from vmnet.errors import VmnetError
from vmnet.guest.addresses import Asking, Known
from vmnet.guest.connection import Connection
from vmnet.guest.events import Events
from vmnet.guest.model import Domain
from vmnet.guest.networks import Network as Definition
from vmnet.guest.observe import observe, observe_each
from vmnet.host.observe import observe_ends
from vmnet.host.rtnetlink import LinkEvents
from vmnet.operations.listing import Kernel, Row, as_seen, rows_of

_GATHER = 0.1
"""Seconds in which events count as one: a guest that starts raises a dozen."""

_ASK_AGAIN = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds after which a guest without an address is asked again: getting one raises no event."""


def watch(connection: Connection, names: Sequence[str] = (), *, reader: int | None = None) -> Iterator[list[Row]]:
    """The listing now, and again whenever it has changed, until something ends it.

    What the kernel and libvirt tell of is seen: guests, their NICs and agents, links, neighbours. libvirt tells
    nobody of a device that is changed in a definition, or of one that is updated in place.

    Args:
        connection: A connection that nobody else waits on; one that may only look will do.
        names: As for `listing`.
        reader: The descriptor of who reads it: it ends quietly when that is closed.

    Raises:
        VmnetError: ``domain-unknown``, ``libvirt-lost``, or what libvirt says.
        KeyboardInterrupt: A signal asks to stop.
    """
    with ExitStack() as stack:
        events = stack.enter_context(Events(connection))
        if connection.is_local:
            links = stack.enter_context(LinkEvents(neighbours=True))
            events.also(links.fileno(), links.clear)
        gone: list[None] = []
        if reader is not None:
            events.also(reader, lambda: gone.append(None), readable=False)
        only = {handle.uuid: handle for handle in map(connection.domain, names)}
        book = _Book(connection)
        book.read(map(observe, only.values()) if names else observe_each(connection))
        shown: list[Row] | None = None
        while not gone:
            rows = book.rows()
            if rows != shown:
                shown = rows
                yield rows
            news = events.wait(book.patience(), gather=_GATHER)
            book.refresh(news & only.keys() if names else news)


class _Book:
    """What is known of each domain, to be read anew one by one.

    Args:
        connection: Where to look.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[str, list[Row]] = {}
        self._known: dict[str, dict[tuple[str, str], Sequence[Known]]] = {}
        self._seen: dict[str, list[Row]] = {}
        self._again: dict[str, list[float]] = {}

    def rows(self) -> list[Row]:
        """The listing as of now; a domain of which a link has changed is read anew, for libvirt may have done it."""
        before, self._seen = self._seen, self._as_seen()
        moved = {uuid for uuid in before.keys() & self._seen.keys() if _links(before[uuid]) != _links(self._seen[uuid])}
        if moved:
            self.refresh(moved)
            self._seen = self._as_seen()
        domains = sorted((rows[0].domain, uuid) for uuid, rows in self._seen.items() if rows)
        return [row for _, uuid in domains for row in self._seen[uuid]]

    def read(self, domains: Iterable[Domain]) -> None:
        """Take note of domains as they are now."""
        asking = Asking(self._connection)
        networks: dict[str, Definition] = {}
        asked = []
        for domain in domains:
            self._rows[domain.uuid] = list(rows_of(self._connection, domain, networks))
            self._known[domain.uuid] = {}
            if asking.about(domain):
                asked.append(domain.uuid)
        for (uuid, mac), known in asking.answers().items():
            self._known[uuid][uuid, mac] = known
        now = time.monotonic()
        self._again |= {uuid: [now + s for s in _ASK_AGAIN] for uuid in asked if not self._is_reached(uuid)}

    def refresh(self, news: Set[str]) -> None:
        """Read the domains that something happened to, and ask those again of which it is time."""
        now = time.monotonic()
        due = {uuid: moments for uuid, moments in self._again.items() if moments[0] <= now and uuid not in news}
        for uuid in (*news, *due):
            self._reread(uuid)
        for uuid in due.keys() & self._again.keys():  # asked in vain: only an event has it asked from the beginning
            self._again[uuid] = [moment for moment in due[uuid] if moment > now]
            if not self._again[uuid]:
                del self._again[uuid]

    def patience(self) -> float | None:
        """Seconds until somebody is to be asked again; None for never."""
        due = [moments[0] for moments in self._again.values()]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _reread(self, uuid: str) -> None:
        self._again.pop(uuid, None)
        try:
            self.read([observe(self._connection.again(uuid))])
        except VmnetError as error:
            if error.code != "domain-gone":
                raise
            self._rows.pop(uuid, None)

    def _as_seen(self) -> dict[str, list[Row]]:
        host = observe_ends() if self._connection.is_local else None
        return {uuid: [as_seen(row, host, self._known[uuid]) for row in rows] for uuid, rows in self._rows.items()}

    def _is_reached(self, uuid: str) -> bool:
        """Whether each NIC of a running domain has an address that leads beyond the link."""
        live = [row.nic.get("mac", "") for row in self._rows[uuid] if "live" in row.documents]
        known = self._known[uuid]
        return all(any(not one.is_link_local for one in known.get((uuid, mac), ())) for mac in live)


def _links(rows: Sequence[Row]) -> list[Kernel | None]:
    return [row.kernel for row in rows]
