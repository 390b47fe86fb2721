"""A lab from its beginning to its end: the processes, and who waits for whom.

The outer process waits outside. Its child is PID 1 of the lab and lives in the LAN's network namespace; each KVM host
is a child of that, in namespaces of its own, and the command is a child of the first host. Each ends, by SIGKILL, with
its parent, and the kernel ends a PID namespace with its PID 1: so nothing can be left, however the outer process dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vmnet.errors import UsageError, VmnetError
from vmnet.lab import daemon, guests, lan
from vmnet.lab.accelerator import accelerator
from vmnet.lab.image import Image, guest_image
from vmnet.lab.namespaces import (
    Namespace,
    bind,
    fork,
    mount,
    own_sysfs,
    private_dev,
    private_mounts,
    tmpfs,
    unshare,
)
from vmnet.lab.uevents import TapNodes
from vmnet.values import dataclass

_WRITTEN = tuple(
    Path("/etc", place)
    for place in ("netplan", "NetworkManager", "network/interfaces.d", "systemd/network", "systemd/system")
)
"""Where network managers look: what `bridge persist` writes in a lab is not for the next boot of the machine."""

_PATIENCE = 60.0
"""Seconds in which libvirtd and the guests must be up."""

_TOOLS = {
    "ip": "iproute2",
    "dnsmasq": "dnsmasq-base",
    "libvirtd": "libvirt-daemon",
    "qemu-system-x86_64": "qemu-system-x86",
}
_WIRE, _WIRED, _READY, _GO = b"wire", b"wired", b"ready", b"go"
_LONGEST = 1 << 16
"""Bytes of the longest message."""


@dataclass(frozen=True, slots=True)
class Lab:
    """What a lab is made of.

    Args:
        command: What runs inside, on the first host.
        hosts: How many KVM hosts, all on one LAN.
        guests: How many guests each host runs, ``guest1`` and so on, without a NIC.
        host_address: Whether each host's uplink carries an address, 10.99.0.11 for the first.
    """

    command: Sequence[str]
    hosts: int = 1
    guests: int = 0
    host_address: bool = False


def run(lab: Lab, say: Callable[[str], None]) -> int:
    """Run the lab's command inside a new lab.

    Args:
        lab: What to build and run.
        say: Told what takes its time, a sentence each.

    Returns:
        The command's exit status; 128 + N if signal N ended it.

    Raises:
        UsageError: There is no such command.
        VmnetError: The lab could not be built, or the command could not be run, or it was interrupted before that.
    """
    _require(lab)
    try:
        image = guest_image(say) if lab.guests else None
        return _run(lab, image, accelerator(image, say) if image else "")
    except KeyboardInterrupt:
        raise VmnetError("interrupted", "interrupted before the lab was built; nothing of it is left") from None


def _run(lab: Lab, image: Image | None, kind: str) -> int:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    unshare(Namespace.PID)
    child = fork(lambda: _reporting(theirs, lambda: _Switchboard(lab, image, kind, theirs).run()))
    theirs.close()
    with _terminal_given_back():
        return _outside(child, ours)


def _require(lab: Lab) -> None:
    if os.geteuid() != 0:
        raise VmnetError(
            "lab-needs-root",
            "a lab needs root",
            why="namespaces, /dev nodes and libvirtd do",
            remedy="Run it with sudo; outside its own namespaces it makes only its cache, /var/cache/vmnet, and what "
            "is missing of libvirt's directories in /etc and /var, empty, to mount on",
        )
    if not _exists_here():
        raise VmnetError(
            "lab-directory", "the present directory does not exist any more", why="the command would run in it",
            remedy="Change to another directory",
        )  # fmt: skip
    # For libvirtd and ip, which a user's PATH often lacks, and for vmnet itself in a virtual environment.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin:{Path(sys.executable).parent}"
    if not shutil.which(lab.command[0]):
        raise UsageError("command-unknown", f"there is no command {lab.command[0]!r}")
    for tool, package in _TOOLS.items():
        if not shutil.which(tool):
            raise VmnetError(
                "lab-tool-missing", f"{tool} is not installed", remedy=f"Install the Debian package {package}"
            )


def _exists_here() -> bool:
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def _outside(init: int, line: socket.socket) -> int:
    """Wait for the lab. An interrupt ends the building; once the command runs, Ctrl-C and requests to end are its."""
    try:
        said = line.recv(_LONGEST)
        if said == _READY:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda number, _: os.kill(init, number))
            signal.signal(signal.SIGINT, _ignore)
            line.sendall(_GO)
            said = line.recv(_LONGEST)  # nothing, when all have ended
    except KeyboardInterrupt:
        os.kill(init, signal.SIGKILL)
        os.waitpid(init, 0)
        raise
    _, status = os.waitpid(init, 0)
    if said:
        document = json.loads(said)
        raise VmnetError(document["code"], document["what"], why=document["why"], remedy=document["remedy"])
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _terminal_given_back() -> Iterator[None]:
    """A shell in the lab makes itself the terminal's foreground group; a caller that was it expects to be it again."""
    try:
        was_ours = os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        was_ours = False
    try:
        yield
    finally:
        if was_ours:
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            with contextlib.suppress(OSError):
                os.tcsetpgrp(0, os.getpgrp())
            signal.signal(signal.SIGTTOU, before)


def _ignore(*_: object) -> None:
    """A handler, not SIG_IGN: what is executed later must not inherit it."""


def _reporting(outside: socket.socket, body: Callable[[], int]) -> int:
    """Run `body`; tell the outside of a failure, in one message: it listens to the first."""
    try:
        return body()
    except VmnetError as error:
        failure = error.document()
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        failure = VmnetError(
            "lab-setup", "the lab could not be built", why=said.strip(),
            remedy="In a container it needs the right to mount and to make device nodes (--privileged)",
        ).document()  # fmt: skip
    with contextlib.suppress(OSError):  # it has ended meanwhile
        outside.sendall(json.dumps(failure).encode())
    return 125


class _Switchboard:
    """PID 1 of the lab: the LAN, the hosts, and the reaping of orphans."""

    def __init__(self, lab: Lab, image: Image | None, kind: str, outside: socket.socket) -> None:
        self._lab = lab
        self._image = image
        self._kind = kind
        self._outside = outside
        self._lines: dict[int, socket.socket] = {}
        self._hosts: list[int] = []
        self._ended: dict[int, int] = {}

    def run(self) -> int:
        """Build the lab, run the command; its exit status."""
        signal.signal(signal.SIGINT, _ignore)
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, self._pass_on)
        unshare(Namespace.MOUNT | Namespace.NET | Namespace.IPC | Namespace.UTS)
        private_mounts()
        mount("proc", "/proc", "proc")
        own_sysfs()
        tmpfs("/run")
        lan.start(Path("/run"))
        for number in range(1, self._lab.hosts + 1):
            self._open_host(number)
        # From here on hosts start daemons whose orphans come to us: a libvirtd waits 40 s for each one not reaped.
        signal.signal(signal.SIGCHLD, self._reap)
        for pid in self._hosts:
            self._lines[pid].sendall(_WIRED)
        for pid in self._hosts:
            self._await(pid, _READY)
        self._lines[self._hosts[0]].sendall(b" ".join([_GO, *(b"%d" % pid for pid in self._hosts)]))
        return self._until_end(self._hosts[0])

    def _open_host(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        host = _Host(number, self._lab, self._image, self._kind, theirs, self._outside)
        pid = fork(lambda: _reporting(self._outside, host.run))
        theirs.close()
        self._hosts.append(pid)
        self._lines[pid] = ours
        self._await(pid, _WIRE)
        lan.plug(number, pid)

    def _await(self, pid: int, word: bytes) -> None:
        """Wait until the host says `word`; a host that failed has told the outside before it went away."""
        if self._lines[pid].recv(16) != word:
            number = self._hosts.index(pid) + 1
            raise VmnetError("lab-setup", f"host{number} of the lab ended while it was built")

    def _until_end(self, first: int) -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        while first not in self._ended:
            pid, status = os.waitpid(-1, 0)
            self._ended[pid] = status
        code = os.waitstatus_to_exitcode(self._ended[first])
        return code if code >= 0 else 128 - code

    def _reap(self, *_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._ended[found[0]] = found[1]

    def _pass_on(self, number: int, _: object) -> None:
        if not self._hosts:
            os._exit(128 + number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._hosts[0], number)


class _Host:
    """One KVM host: its namespaces, its uplink, its libvirtd, its guests."""

    def __init__(
        self, number: int, lab: Lab, image: Image | None, kind: str, line: socket.socket, outside: socket.socket
    ) -> None:
        self._number = number
        self._lab = lab
        self._image = image
        self._kind = kind
        self._line = line
        self._outside = outside
        self._command: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Build the host; the first one then runs the command, the others wait for the end."""
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, self._pass_on)
        unshare(Namespace.MOUNT | Namespace.NET | Namespace.IPC | Namespace.UTS)
        socket.sethostname(f"host{self._number}")
        self._line.sendall(_WIRE)
        self._mounts()
        if self._line.recv(16) != _WIRED:
            return 125
        self._network()
        deadline = time.monotonic() + _PATIENCE
        daemon.provide_names(self._names(), Path("/run"))
        daemon.configure()
        daemon.start(deadline)
        if self._image:
            names = [f"guest{n}" for n in range(1, self._lab.guests + 1)]
            guests.start(names, self._image, self._kind, deadline)
        self._line.sendall(_READY)
        go, *hosts = self._line.recv(1024).split()
        if go != _GO:
            return 125
        for number, pid in enumerate(hosts, 1):
            Path(guests.CONSOLES, f"host{number}.pid").write_bytes(pid)
        return self._run_command()

    def _mounts(self) -> None:
        taps = TapNodes()
        own_sysfs()
        tmpfs("/run")
        for place in ("/run/libvirt", "/run/lock", "/run/netns", guests.CONSOLES):
            Path(place).mkdir()
        for directory in daemon.DIRECTORIES:
            directory.mkdir(parents=True, exist_ok=True)  # somewhere to mount on; libvirtd's paths are built in
            tmpfs(directory)
        for directory in filter(Path.is_dir, _WRITTEN):
            tmpfs(directory)
        private_dev(Path("/run/dev"))
        lan_netns = Path("/run/netns/lan")
        lan_netns.touch()
        bind("/proc/1/ns/net", lan_netns)
        fork(taps.run)

    def _network(self) -> None:
        lan.ip("link set lo up", "link set up0 up")
        if self._lab.host_address:
            lan.ip(
                f"addr add {lan.host_address(self._number)}/24 dev up0",
                f"addr add {lan.host_address_v6(self._number)}/64 dev up0 nodad",
                f"route add default via {lan.GATEWAY}",
                f"route add default via {lan.GATEWAY_V6}",
            )

    def _names(self) -> list[str]:
        """Lines for /etc/hosts: all hosts of the lab where they have addresses, else this one."""
        if not self._lab.host_address:
            return [f"127.0.1.1 host{self._number}"]
        return [f"{lan.host_address(n)} host{n}" for n in range(1, self._lab.hosts + 1)]

    def _run_command(self) -> int:
        """Run the command in the directory that this process has never left: by its path it may be hidden now."""
        signal.signal(signal.SIGINT, self._pass_on)
        self._outside.sendall(_READY)
        if self._outside.recv(_LONGEST) != _GO:
            return 125
        # A URI of the caller's would lead out of the lab.
        environment = os.environ | {"LIBVIRT_DEFAULT_URI": "qemu:///system", "VMNET_LAB": "1"}
        try:
            self._command = subprocess.Popen(self._lab.command, env=environment)
        except OSError as error:
            raise VmnetError(
                "lab-command", f"{self._lab.command[0]!r} cannot be run", why=os.strerror(error.errno or 0),
                remedy="A script needs a '#!' line; a path below /run or /dev leads to the lab's own",
            ) from error  # fmt: skip
        code = self._command.wait()
        sys.stdout.flush()
        return code if code >= 0 else 128 - code

    def _pass_on(self, number: int, _: object) -> None:
        if self._command is None:
            os._exit(128 + number)
        if number != signal.SIGINT:  # which the terminal has sent to the command too
            self._command.send_signal(number)
