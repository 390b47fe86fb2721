"""KVM when a guest really boots with it, else emulation: the presence of /dev/kvm promises nothing in a nested host."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from vmnet.lab.image import Image, cache

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
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = cache() / f"accelerator-{boot}"
    if not known.exists():
        for stale in cache().glob("accelerator-*"):
            stale.unlink()
        say("Trying whether guests boot with KVM here (once per boot of this machine)")
        known.write_text("kvm" if _boots(image) else "qemu")
    return known.read_text()


def _boots(image: Image) -> bool:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with tempfile.TemporaryDirectory() as scratch:
        console = Path(scratch, "console")
        guest = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-accel", "kvm", "-M", "q35",
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
