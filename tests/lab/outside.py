"""Labs as their users start them: `vmnet lab run` as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any, TypeVar

T = TypeVar("T")
HERE = Path(__file__).parent
VMNET = os.fspath(Path(sys.executable).with_name("vmnet"))
ENVIRONMENT = os.environ | {"PYTHONPATH": os.fspath(HERE.parent.parent)}


def lab_run(*arguments: str) -> list[str]:
    return [VMNET, "lab", "run", *arguments]


def lab(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A lab from its beginning to its end; options come before ``--``, the command after it."""
    options = {"env": ENVIRONMENT, "timeout": 120} | options
    return subprocess.run(lab_run(*arguments), capture_output=True, text=True, check=False, **options)


def said(*arguments: str) -> str:
    """What the command says in a lab, which must succeed."""
    done = lab(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def script(name: str, *arguments: str) -> list[str]:
    """The command that runs one of the scripts beside this file."""
    return [sys.executable, os.fspath(HERE / name), *arguments]


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A lab in a process group of its own, as a shell would start it; killed at the end of the block."""
    options = {"env": ENVIRONMENT, "stdin": subprocess.DEVNULL} | options
    process = subprocess.Popen(
        lab_run(*arguments), stdout=PIPE, stderr=PIPE, text=True, start_new_session=True, **options
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that the lab's command says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def until(so: Callable[[], T], what: str, seconds: float) -> T:
    """The first true value of `so`; fails, saying what was waited for, when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := so()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.01)
    return value


def in_pid_namespace(init: int) -> Callable[[], list[str]]:
    """Lists the processes, by their command lines, that live in the PID namespace of which `init` is PID 1."""
    namespace = Path(f"/proc/{init}/ns/pid").stat().st_ino

    def processes() -> list[str]:
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                command = (entry / "cmdline").read_text().replace("\0", " ")
                if command and (entry / "ns/pid").stat().st_ino == namespace:  # a zombie has no command line
                    found.append(command)
            except OSError:  # it has ended meanwhile
                continue
        return found

    return processes


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def traces() -> dict[str, Any]:
    """All that a lab could leave on this host."""
    links = subprocess.run(["ip", "-j", "-d", "addr"], capture_output=True, text=True, check=True).stdout
    return {
        "links": [(n["ifindex"], n["ifname"], n.get("address"), len(n["addr_info"])) for n in json.loads(links)],
        "mounts": sorted(Path("/proc/self/mountinfo").read_text().splitlines()),
        "taps": sorted(p.name for p in Path("/dev").glob("*tap*")),
        "sockets": sorted(os.fspath(p) for p in Path("/run").glob("libvirt/*")),
        "namespaces": sorted(os.fspath(p) for p in Path("/run/netns").glob("*")),
    }
