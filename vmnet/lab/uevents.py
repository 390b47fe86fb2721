"""What udev would do for macvtap in a private /dev: /dev/tap<ifindex> comes and goes with its link."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

_NETLINK_KOBJECT_UEVENT = 15
_KERNEL_EVENTS = 1


class TapNodes:
    """Listens to this network namespace's uevents and keeps `/dev/tapN` true.

    Make it while /dev is still the host's and run it when /dev is private. The kernel also puts each node into the
    one devtmpfs of the machine, where it could stand in the way of the host's own macvtap with the same index: it
    is taken out there at once.
    """

    def __init__(self) -> None:
        self._host_dev = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
        self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_KOBJECT_UEVENT)
        self._events.bind((0, _KERNEL_EVENTS))

    def run(self) -> int:
        """Serve events for ever."""
        while True:
            with contextlib.suppress(OSError):
                self._handle(self._events.recv(65536))

    def _handle(self, message: bytes) -> None:
        words = message.decode(errors="replace").split("\0")
        event = dict(word.split("=", 1) for word in words if "=" in word)
        name = event.get("DEVNAME", "")
        if not name.startswith("tap") or "MAJOR" not in event:
            return
        node = Path("/dev", name)
        device = os.makedev(int(event["MAJOR"]), int(event["MINOR"]))
        if event["ACTION"] == "remove":
            node.unlink(missing_ok=True)
        elif event["ACTION"] == "add":
            node.unlink(missing_ok=True)
            os.mknod(node, stat.S_IFCHR | 0o600, device)
            self._tidy_host(name, device)

    def _tidy_host(self, name: str, device: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(name, dir_fd=self._host_dev).st_rdev == device:
                os.unlink(name, dir_fd=self._host_dev)
