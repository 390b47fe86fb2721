"""A lab that is not built to its end: what failed is told in one error, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.lab.outside import ENVIRONMENT, children, in_pid_namespace, lab, lab_run, said, started, until


@pytest.fixture
def programs(tmp_path):
    """A directory in front of PATH."""
    place = tmp_path / "bin"
    place.mkdir()
    return place


def replaced(programs, name: str, does: str) -> dict[str, str]:
    """The environment in which a program is another one."""
    (programs / name).write_text(f"#!/bin/sh\n{does}\n")
    (programs / name).chmod(0o755)
    return ENVIRONMENT | {"PATH": f"{programs}:{ENVIRONMENT['PATH']}"}


@pytest.mark.parametrize(
    ("program", "does", "told"),
    [
        ("libvirtd", "exit 1", "lab-libvirtd"),  # both hosts report
        ("ip", "echo Operation not permitted >&2; exit 1", "Operation not permitted"),
        ("qemu-system-x86_64", "exit 1", "lab-guest"),
        ("libvirtd", "kill -9 $PPID", "ended while it was built"),
    ],
)
def test_what_failed_is_told_once(programs, program, does, told):
    done = lab("--hosts", "2", "--guests", "1", "--", "echo", "begun", env=replaced(programs, program, does))
    assert done.returncode == 1, done.stderr
    assert told in done.stderr
    assert [line.split()[0] for line in done.stderr.splitlines() if not line.startswith(" ")] == ["error:"]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["first host", "libvirtd", "qemu-system"])
def test_an_interrupt_ends_the_building(moment, number, tmp_path):
    ran = tmp_path / "ran"
    with started("--hosts", "2", "--guests", "1", "--", "touch", os.fspath(ran)) as process:
        (init,) = until(lambda: children(process.pid), "the lab's PID 1", 10)
        alive = in_pid_namespace(init)
        if moment == "first host":
            until(lambda: children(init), "the first host", 10)
        else:
            until(lambda: any(moment in command.split()[0] for command in alive()), moment, 30)
        os.killpg(process.pid, number)
        _, told = process.communicate(timeout=5)
    assert process.returncode == 1, told
    assert "interrupted" in told
    assert "Traceback" not in told
    assert not ran.exists()
    assert not alive()


def test_an_interrupt_ends_the_making_of_the_image(programs, tmp_path):
    environment = replaced(programs, "apt-get", "echo $$ >$MARK; exec sleep 60")
    environment |= {"XDG_CACHE_HOME": os.fspath(tmp_path / "cache"), "MARK": os.fspath(tmp_path / "mark")}
    with started("--guests", "1", "--", "true", env=environment) as process:
        until((tmp_path / "mark").exists, "apt-get runs", 10)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=5)
    assert process.returncode == 1
    assert "interrupted" in told
    assert [p.name for p in (tmp_path / "cache/vmnet/lab").iterdir()] == ["lock"]


def test_a_directory_of_libvirts_that_cannot_be_made_is_told():
    read_only = ["unshare", "-m", "sh", "-ec", 'mount -t tmpfs -o ro none /var/log; exec "$@"', "sh"]
    done = subprocess.run(
        [*read_only, *lab_run("--", "true")], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 1
    assert "/var/log/libvirt" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lab_in_a_lab_in_a_lab():
    nested = "vmnet lab run --hosts 2 -- " * 2
    shown = said("--hosts", "2", "--", *nested.split(), "sh", "-c", "hostname; virsh uri")
    assert shown.split() == ["host1", "qemu:///system"]
