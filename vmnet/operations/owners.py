"""Whose guests' links are on this host, as far as libvirt tells."""

from __future__ import annotations

from collections.abc import Mapping

from vmnet.errors import VmnetError
from vmnet.guest.connection import Connection
from vmnet.guest.observe import observe_each


def owners(uri: str) -> Mapping[str, str]:
    """The names of running guests, by those of their links; empty where libvirt does not say."""
    try:
        with Connection.to_look(uri) as connection:
            return {
                pair.live.target: domain.name
                for domain in observe_each(connection)
                for pair in domain.nics
                if pair.live and pair.live.target
            }
    except VmnetError:
        return {}
