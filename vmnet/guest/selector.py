"""Find the NIC that a person means: by MAC, alias, target device, PCI address, or its number in the list."""

from __future__ import annotations

from vmnet.errors import VmnetError
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.planner import describe

_KEYS = ("mac", "alias", "target", "address")


def select(domain: Domain, text: str) -> GuestNic:
    """The one NIC of the domain that `text` names.

    Args:
        domain: The domain.
        text: A MAC address, alias, target device, PCI address (``0000:05:00.0`` or ``05:00.0``), or a number from 1.

    Raises:
        VmnetError: ``nic-unknown``, or ``nic-ambiguous`` with the candidates.
    """
    wanted = text.lower()
    found = [pair for number, pair in enumerate(domain.nics, 1) if wanted in _names(pair, number)]
    if len(found) == 1:
        return found[0]
    has = "; ".join(f"{n}: {describe(p.nic)}" for n, p in enumerate(domain.nics, 1)) or "it has none"
    if found:
        raise VmnetError(
            "nic-ambiguous",
            f"{text!r} is more than one NIC of {domain.name}",
            why=f"its NICs are {has}",
            remedy="Say which by its alias, PCI address or number",
        )
    raise VmnetError(
        "nic-unknown",
        f"{domain.name} has no NIC {text!r}",
        why=f"its NICs are {has}" if domain.nics else has,
        remedy="Name it by MAC address, alias, target device, PCI address or number",
    )


def _names(pair: GuestNic, number: int) -> set[str]:
    """All that a NIC answers to."""
    values = {str(nic.get(key)).lower() for nic in (pair.live, pair.config) if nic for key in _KEYS if nic.get(key)}
    short = {value.removeprefix("0000:") for value in values}
    return values | short | {str(number)}
