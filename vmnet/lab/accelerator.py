"""KVM when a guest really boots with it, else emulation: the presence of /dev/kvm promises nothing in a nested host."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from vmnet.lab.cache import remembered
from vmnet.lab.image import Image

READY = "lab: ready"
COMMAND_LINE = (
    "console=ttyS0 quiet panic=-1 nokaslr tsc=reliable no_timer_check mitigations=off cryptomgr.notests "
    "random.trust_cpu=on audit=0 apparmor=0 nowatchdog init_on_alloc=0 rcupdate.rcu_expedited=1 "
    "8250.nr_uarts=1 raid=noautodetect noreplace-smp"
)
_PATIENCE = 5.0
"""Seconds in which a guest under KVM must have booted; it takes well under one where KVM works."""


def accelerator(image: Image, say: Callable[[str], None]) -> str:
    """`kvm` or `qemu`, as libvirt's domain type spells it; tried once per boot of this machine.

    Args:
        image: What to boot for a try.
        say: Told that it is tried.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):  # looked at each time: containers of one boot differ in it
        return "qemu"

    def tried() -> str:
        say("Trying whether guests boot with KVM here (once per boot of this machine)")
        return "kvm" if _boots(image) else "qemu"

    return remembered("accelerator", Path("/proc/sys/kernel/random/boot_id").read_text().strip(), tried)


def _boots(image: Image) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        console = Path(scratch, "console")
        guest = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL",
             "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-accel", "kvm", "-M", "q35",
             "-m", "128", "-bios", "qboot.rom", "-kernel", image.kernel, "-initrd", image.initrd,
             "-append", COMMAND_LINE, "-serial", f"file:{console}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + _PATIENCE
            while guest.poll() is None and time.monotonic() < deadline:
                if console.exists() and READY in console.read_text(errors="replace"):
                    return True
                time.sleep(0.05)
            return False
        finally:
            guest.kill()
            guest.wait()
