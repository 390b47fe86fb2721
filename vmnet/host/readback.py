"""See that a link is still the one that was planned with, and is as it was set."""

from __future__ import annotations

from vmnet.errors import VmnetError
from vmnet.host.model import Host, Identity, Link


def same(host: Host, planned: Identity) -> Link:
    """The planned link, if name, index and MAC are still together. Raises `VmnetError` ``host-changed``."""
    link = host.by_index(planned.index)
    if link is None or link.identity != planned:
        found = f"It is now {link.name} with MAC {link.mac}" if link else "It is gone"
        raise VmnetError(
            "host-changed",
            f"{planned.name} is not the link that was planned with",
            why=f"Planned with link {planned.index}, MAC {planned.mac}. {found}",
            remedy="Run the command again to plan with what is there now",
        )
    return link


def compare(name: str, /, **pairs: tuple[object, object]) -> None:
    """Raise if the kernel shows other values than were set: it drops what it does not know."""
    if wrong := [f"{what} is {now!r}, not {wish!r}" for what, (wish, now) in pairs.items() if wish != now]:
        raise VmnetError("host-readback", f"{name} is not as it was set", why="; ".join(wrong))
