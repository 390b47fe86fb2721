"""The host's own libvirtd, on directories that nobody else sees."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from vmnet.errors import VmnetError
from vmnet.lab.namespaces import bind

SOCKET = Path("/run/libvirt/libvirt-sock")
DIRECTORIES = tuple(
    Path(p) for p in ("/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt", "/var/lib/vmnet")
)
"""What is this host's own: libvirtd's, and what vmnet remembers beyond a boot."""
_LOG = Path("/var/log/libvirt/libvirtd.log")

_QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = [ ]
security_driver = "none"
namespaces = [ ]
stdio_handler = "file"
"""
_LIBVIRTD_CONF = f"""\
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:{_LOG}"
"""
_ACCOUNT = {
    "/etc/passwd": "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin",
    "/etc/group": "libvirt-qemu:x:64055:",
}


def configure() -> None:
    """Write the configuration into this host's (private, empty) /etc/libvirt."""
    Path("/etc/libvirt/qemu/networks").mkdir(parents=True)
    Path("/etc/libvirt/qemu.conf").write_text(_QEMU_CONF)
    Path("/etc/libvirt/libvirtd.conf").write_text(_LIBVIRTD_CONF)


def provide_names(hosts: Iterable[str], staging: Path) -> None:
    """Add to copies of /etc files, which only this host sees, the names that libvirtd looks up.

    Its own host's, or it waits 10 s for a name server that is not there; and the account that it was built to run
    QEMU as, which it looks up even when qemu.conf names another (its `-system` package would have made it).

    Args:
        hosts: Lines for /etc/hosts.
        staging: A private directory for the copies.
    """
    _extend(Path("/etc/hosts"), "\n".join(hosts), staging)
    for table, line in _ACCOUNT.items():
        known = Path(table).read_text().splitlines()
        if not any(entry.startswith("libvirt-qemu:") for entry in known):
            _extend(Path(table), line, staging)


def start(deadline: float) -> None:
    """Start libvirtd and wait until it takes connections.

    Args:
        deadline: `time.monotonic()` by which it must.

    Raises:
        VmnetError: It ended or did not answer; the reason is the end of its log.
    """
    daemon = subprocess.Popen(
        ["libvirtd", "--pid-file", "/run/libvirtd.pid"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not _answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise VmnetError("lab-libvirtd", "the lab's libvirtd did not start", why=_last_words())
        time.sleep(0.01)


def _extend(file: Path, line: str, staging: Path) -> None:
    copy = staging / file.name
    copy.write_text(f"{file.read_text().rstrip()}\n{line}\n")
    bind(copy, file)


def _answers() -> bool:
    with socket.socket(socket.AF_UNIX) as attempt:
        return attempt.connect_ex(os.fspath(SOCKET)) == 0


def _last_words() -> str:
    return " ".join(_LOG.read_text(errors="replace").splitlines()[-2:]) if _LOG.exists() else "it left no log"
