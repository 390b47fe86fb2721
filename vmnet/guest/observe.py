"""Look at domains, once: from libvirt's XML to values."""

from __future__ import annotations

from vmnet.errors import VmnetError
from vmnet.guest.connection import Connection, Handle
from vmnet.guest.kinds import Target
from vmnet.guest.model import Document, Domain


def observe(handle: Handle) -> Domain:
    """A domain with both of its documents.

    Raises:
        VmnetError: ``domain-gone``, or what libvirt says.
    """
    live = Document.parse(handle.xml(Target.LIVE)) if handle.is_active() else None
    config = Document.parse(handle.xml(Target.CONFIG)) if handle.is_persistent() else None
    return Domain(handle.name, handle.uuid, handle.state(), live, config)


def observe_all(connection: Connection) -> list[Domain]:
    """Every domain; one that goes away meanwhile is left out."""
    domains = []
    for handle in connection.domains():
        try:
            domains.append(observe(handle))
        except VmnetError as error:
            if error.code != "domain-gone":
                raise
    return domains


def macs_in_use(domains: list[Domain]) -> dict[str, str]:
    """Every MAC address that a domain has or will have, and who has it, in words."""
    return {pair.mac: f"domain {domain.name}" for domain in domains for pair in domain.nics}
