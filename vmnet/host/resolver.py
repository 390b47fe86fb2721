"""What systemd-resolved was told of a link: name servers, domains, and how names are asked for there.

It belongs to a link, and moves with the host's addresses. It is read from the file in which systemd-resolved (252)
keeps it for its own restarts, where nothing has to be run, and told by resolvectl.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from vmnet.errors import VmnetError
from vmnet.host import programs

_FOLDER = Path("/run/systemd/resolve")
_RESOLVECTL = "/usr/bin/resolvectl"
_SECONDS, _TRIES, _TICK_SECONDS = 10.0, 20, 0.05
_CONNECT_SECONDS = 1.0
_VERBS = {
    "SERVERS": "dns",
    "DOMAINS": "domain",
    "DEFAULT_ROUTE": "default-route",
    "LLMNR": "llmnr",
    "MDNS": "mdns",
    "DNSSEC": "dnssec",
    "DNSOVERTLS": "dnsovertls",
    "NTAS": "nta",
}
"""What there is in the file, and resolvectl's word for it, which takes the same values."""


def settings(link: int) -> dict[str, str] | None:
    """What systemd-resolved was told of a link, by its index; None where it does not run in this network namespace."""
    if not _FOLDER.is_dir() or not _lives_here():
        return None
    try:
        lines = (_FOLDER / f"netif/{link}").read_text(errors="replace").splitlines()
    except OSError:  # it was told nothing
        return {}
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    told = {key: value.strip() for key, _, value in pairs if key in _VERBS}
    if "SERVERS" in told:  # a link-local one is by its link, whichever that is
        told["SERVERS"] = re.sub(r"%[^\s\]#:]*", "", told["SERVERS"])
    return told


def tell(link: str, now: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Tell systemd-resolved what it is to know of a link.

    Args:
        link: The link's name.
        now: What it knows, by `settings`.
        wanted: What it is to know.

    Raises:
        VmnetError: It refuses (``resolver-refuses``).
    """
    if set(now) - set(wanted):
        _resolvectl("revert", link)
        now = {}
    for key, value in wanted.items():
        if now.get(key) != value:
            _resolvectl(_VERBS[key], link, *value.split())


def _resolvectl(*words: str) -> None:
    """A link that was just made it may not have heard of yet."""
    for _ in range(_TRIES):
        code, told = programs.run([_RESOLVECTL, *words], _SECONDS)
        if code == 0:
            return
        time.sleep(_TICK_SECONDS)
    raise VmnetError(
        "resolver-refuses",
        f"systemd-resolved was not told: resolvectl {' '.join(words)}",
        why=told or f"resolvectl ended with {code}",
    )


def _lives_here() -> bool:
    """Whether who listens on its socket has our network namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asked:
        asked.settimeout(_CONNECT_SECONDS)  # one that accepts nothing cannot be told anything either
        try:
            asked.connect(os.fspath(_FOLDER / "io.systemd.Resolve"))
            pid, _, _ = struct.unpack("iII", asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            return Path(f"/proc/{pid}/ns/net").stat().st_ino == Path("/proc/thread-self/ns/net").stat().st_ino
        except PermissionError:
            return True
        except OSError:
            return False
