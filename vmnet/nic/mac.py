"""Choose the MAC address of a NIC: random, stable from a text, or given; never one in use."""

from __future__ import annotations

import os
from collections.abc import Mapping

from vmnet.errors import UsageError, VmnetError
from vmnet.nic.model import Nic

SEED = "seed:"


def choose(wish: str | None, taken: Mapping[str, str]) -> str:
    """A MAC address in lower case that nobody has.

    Args:
        wish: An address; ``seed:TEXT`` for one that is always the same for TEXT; None for a random one.
        taken: Addresses in use, each with a word for its holder.

    Raises:
        UsageError: ``bad-value``: the wish is no unicast address.
        VmnetError: ``mac-in-use``: the address wished for has a holder.
    """
    held = {mac.lower(): holder for mac, holder in taken.items()}
    if wish is None:
        while (mac := _under_qemu(os.urandom(3))) in held:
            pass
        return mac
    if wish == SEED:
        raise UsageError("bad-value", f"--mac cannot be {SEED!r}", why="no text follows", remedy="Give seed:TEXT")
    mac = _from_text(wish.removeprefix(SEED)) if wish.startswith(SEED) else Nic.mac.parse(wish)
    if mac in held:
        raise VmnetError(
            "mac-in-use",
            f"the MAC address {mac} is in use",
            why=f"{held[mac]} has it",
            remedy="Give another one with --mac, or leave it out and get a random one",
        )
    return mac


def _from_text(text: str) -> str:
    import hashlib  # of use to the few that say seed:

    return _under_qemu(hashlib.sha256(text.encode(errors="surrogatepass")).digest())


def _under_qemu(digits: bytes) -> str:
    """An address in the range that QEMU and libvirt use for guests."""
    return (bytes.fromhex("525400") + digits[:3]).hex(":")
