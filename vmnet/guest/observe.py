"""Look at domains, once: from libvirt's XML to values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vmnet.errors import VmnetError
from vmnet.guest.connection import Connection, Glimpse, Handle
from vmnet.guest.kinds import State, Target
from vmnet.guest.model import Document, Domain


def observe(handle: Handle) -> Domain:
    """A domain with both of its documents.

    Raises:
        VmnetError: ``domain-gone``, or what libvirt says.
    """
    return _observed(handle.glimpse())


def observe_each(connection: Connection) -> Iterator[Domain]:
    """Every domain, one after the other; one that goes away meanwhile is left out."""
    for seen in connection.domains():
        try:
            yield _observed(seen)
        except VmnetError as error:
            if error.code != "domain-gone":
                raise


def read_back(handle: Handle, target: Target) -> Document | None:
    """One document of a domain as it is now; None where it has ended. Raises as `observe`."""
    document = Document.parse(handle.xml(target))
    # Asked for the live one, libvirt gives the definition of a domain that does not run; only what runs has an id.
    return None if target is Target.LIVE and document.root.get("id") is None else document


def macs_in_use(domains: Iterable[Domain]) -> dict[str, str]:
    """Every MAC address that a domain has or will have, and who has it, in words."""
    return {pair.mac: f"domain {domain.name}" for domain in domains for pair in domain.nics}


def _observed(seen: Glimpse) -> Domain:
    handle = seen.handle
    live = Document.parse(handle.xml(Target.LIVE)) if seen.active else None
    config = Document.parse(handle.xml(Target.CONFIG)) if seen.persistent else None
    return Domain(handle.name, handle.uuid, handle.state() if seen.active else State.SHUTOFF, live, config)
