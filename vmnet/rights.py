"""What a process may do to the host."""

from __future__ import annotations

from pathlib import Path

_NET_ADMIN = 1 << 12
"""CAP_NET_ADMIN."""


def may_change_links(process: Path = Path("/proc/self")) -> bool:
    """Whether a process may change links.

    Args:
        process: Its folder under /proc.
    """
    try:
        status = (process / "status").read_text(errors="replace")
    except OSError:  # it ended
        return False
    for line in status.splitlines():
        match line.split():
            case ["CapEff:", rights]:
                return bool(int(rights, 16) & _NET_ADMIN)
    return False
