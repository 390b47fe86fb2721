"""What the shell offers to complete: names that are there now. A failure offers nothing, and says nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from vmnet.errors import VmnetError


def domains(incomplete: str) -> list[str]:
    """Names of domains."""
    return _starting(incomplete, _domain_names())


def nics(ctx: Any, incomplete: str) -> list[str]:
    """MAC addresses, aliases and targets of the NICs of the domain that was named before."""
    return _starting(incomplete, _nic_names([ctx.params.get("domain") or ""]))


def domains_and_nics(ctx: Any, incomplete: str) -> list[str]:
    """Names of domains, and of the NICs of those that were named before: the last of the words is a NIC.

    While there is a word to come, the last one that is there counts as the NIC.
    """
    named = list(filter(None, (*(ctx.params.get("domains") or ()), ctx.params.get("nic"))))
    return [*_starting(incomplete, _nic_names(named)), *_starting(incomplete, _domain_names())]


def links(incomplete: str) -> list[str]:
    """Names of links that a macvtap or a bridge can be made over, as far as a glance tells."""
    return _starting(incomplete, (link.name for link in _links() if not link.loopback and link.master is None))


def bridges(incomplete: str) -> list[str]:
    """Names of bridges."""
    return _starting(incomplete, (link.name for link in _links() if link.is_bridge))


def hostlinks(incomplete: str) -> list[str]:
    """Names of hostlinks."""
    return _starting(incomplete, (link.name for link in _links() if link.is_hostlink))


def formats(incomplete: str) -> list[str]:
    """Names of network managers' configurations."""
    from vmnet.host.persist.formats import FORMATS

    return _starting(incomplete, FORMATS)


def transactions(incomplete: str) -> list[str]:
    """Names of transactions."""
    from vmnet.change.journal import records

    return _starting(incomplete, (record.id for record in records()))


def fields(incomplete: str) -> list[str]:
    """Names of a NIC's fields."""
    from vmnet.nic.model import Nic

    return _starting(incomplete, Nic.FIELDS)


def templates(incomplete: str) -> list[str]:
    """Names of templates."""
    from vmnet.nic.templates import available

    return _starting(incomplete, available())


def among(choices: Sequence[str]) -> Callable[[str], list[str]] | None:
    """A completer for a fixed set; None where there is none."""
    if not choices:
        return None

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def _starting(incomplete: str, names: Any) -> list[str]:
    """Those that begin so; no colon splits a word in a shell's eyes, and nothing odd gets onto a command line."""
    try:
        return [name for name in names if name.startswith(incomplete) and name.isprintable()]
    except VmnetError:
        return []


def _domain_names() -> Iterator[str]:
    with _connection() as connection:
        yield from (seen.handle.name for seen in connection.domains())


def _nic_names(domains: Iterable[str]) -> Iterator[str]:
    from vmnet.guest.observe import observe

    with _connection() as connection:
        for domain in domains:
            for pair in observe(connection.domain(domain)).nics:
                yield from filter(None, (pair.nic.mac, pair.nic.alias, pair.nic.target))


def _connection() -> Any:
    from vmnet.guest.connection import Connection

    return Connection(os.environ.get("LIBVIRT_DEFAULT_URI") or "qemu:///system", readonly=True)


def _links() -> Any:
    from vmnet.host.rtnetlink import links

    return links()
