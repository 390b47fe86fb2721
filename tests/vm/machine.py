"""Run a command as root in a virtual machine that boots Debian's kernel, on this host's own files.

    python tests/vm/machine.py COMMAND...

It is for what another kernel lacks or does otherwise. Its NIC leads nowhere; what it writes is in its memory and
goes with it. Its output is shown as it comes, and its exit status is the command's. It lives in a PID namespace
that ends with this process, so nothing is left however that ends.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from vmnet.errors import VmnetError
from vmnet.lab.accelerator import COMMAND_LINE, accelerator
from vmnet.lab.image import Image, Recipe, guest_image, image
from vmnet.lab.namespaces import Namespace, fork, mount, private_mounts, tmpfs, unshare

PATIENCE = 420.0
"""Seconds after which the machine is ended."""

_HERE = Path(__file__).parent
_RECIPE = Recipe(
    kernel="linux-image-amd64",
    drivers=(
        *("virtio_pci", "virtio_console", "virtiofs", "overlay"),
        *("veth", "tun", "bridge", "br_netfilter", "macvlan", "macvtap", "ipvlan", "ipvtap", "dummy", "8021q", "vrf"),
        *("bonding", "team", "team_mode_activebackup"),
        *("sch_netem", "vmxnet3", "mac80211_hwsim"),  # a NIC that joins frames (LRO), and wireless ones
    ),
    scripts={"init": _HERE / "init"},
    programs={},
)
_FILES = Path("/run")
"""Ours alone, and the machine's, which has this host's files from here."""

_FILE_SERVER = "/usr/lib/qemu/virtiofsd"
"""QEMU 7.2's own, of Debian 12's package qemu-system-common."""

_TOLD = ("PATH", "HOME", "LANG", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "CI")
"""Variables that the command has from here."""

_COMMAND = """\
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
hostname vmnet-vm
ip link set lo up
cd {where}
env -i {variables} {command} </dev/null >"$(echo /dev/vport*p1)" 2>&1
echo $? >"$(echo /dev/vport*p2)"
echo o >/proc/sysrq-trigger
sleep 60
"""


def main(command: Sequence[str]) -> int:
    """Run the command; its exit status, or 125 where the machine is at fault."""
    try:
        _look_around()
        booted = image(_RECIPE, _say)
        kind = accelerator(guest_image(_say), _say)
    except VmnetError as error:
        _say("\n".join(filter(None, (error.what, error.why, error.remedy))))
        return 125
    unshare(Namespace.PID | Namespace.MOUNT | Namespace.NET | Namespace.IPC)
    return os.waitstatus_to_exitcode(os.waitpid(fork(lambda: _machine(command, booted, kind)), 0)[1])


def _look_around() -> None:
    missing = [name for name in ("qemu-system-x86_64", _FILE_SERVER) if not shutil.which(name)]
    if os.geteuid() != 0:
        raise VmnetError("vm", "a machine on this host's files needs root", remedy="make test-vm asks for it by sudo")
    if missing:
        raise VmnetError("vm", f"there is no {' and no '.join(missing)} here", remedy="make setup installs it")


def _machine(command: Sequence[str], booted: Image, kind: str) -> int:
    """PID 1 of the namespace: what is still there when it ends is killed by the kernel."""
    private_mounts()
    mount("proc", "/proc", "proc")
    tmpfs(_FILES)
    output, status, console = (_FILES / name for name in ("output", "status", "console"))
    for file in (output, status, console):
        file.touch()
    variables = [f"{name}={value}" for name in _TOLD if (value := os.environ.get(name)) is not None]
    words = {
        "where": shlex.quote(os.fspath(Path.cwd())),
        "variables": shlex.join(variables),
        "command": shlex.join(command),
    }
    Path(_FILES, "command").write_text(_COMMAND.format_map(words))
    files = _start([
        _FILE_SERVER, f"--socket-path={_FILES}/files", "--thread-pool-size=0",
        "-o", "source=/,cache=always,sandbox=chroot,no_xattr",
    ])  # fmt: skip
    deadline = time.monotonic() + PATIENCE
    while not Path(_FILES, "files").exists() and files.poll() is None:
        time.sleep(0.01)
    machine = _start([
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-accel", {"qemu": "tcg,thread=multi"}.get(kind, kind), "-cpu", "max", "-M", "q35,memory-backend=memory",
        "-m", "1024", "-object", "memory-backend-memfd,id=memory,size=1024M,share=on",
        "-bios", "qboot.rom", "-kernel", f"{booted.kernel}", "-initrd", f"{booted.initrd}", "-append", COMMAND_LINE,
        "-chardev", f"socket,id=files,path={_FILES}/files", "-device", "vhost-user-fs-pci,chardev=files,tag=host",
        "-serial", f"file:{console}", "-device", "virtio-serial", "-device", "vmxnet3",
        "-chardev", f"file,id=output,path={output}", "-device", "virtserialport,chardev=output,nr=1",
        "-chardev", f"file,id=status,path={status}", "-device", "virtserialport,chardev=status,nr=2",
    ])  # fmt: skip
    with output.open("rb") as said:
        while (running := machine.poll() is None) and time.monotonic() < deadline:
            _show(said.read())
            time.sleep(0.03)
        _show(said.read())
    if code := status.read_text().strip():
        return int(code)
    _say(f"The machine {'did not end in time' if running else 'ended early'}. What was said last:")
    for log in (*_FILES.glob("*.log"), console):
        _say(log.read_text(errors="replace")[-2000:])
    return 125


def _start(words: list[str]) -> subprocess.Popen[bytes]:
    with Path(_FILES, f"{Path(words[0]).name}.log").open("wb") as log:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
