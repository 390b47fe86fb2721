"""The command of a lab: where it runs, what it knows, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.lab.outside import ENVIRONMENT, VMNET, lab, lab_run, line, said, script, started

STUBBORN = "trap 'echo caught; exit 5' INT TERM; echo begun; while :; do sleep 0.05; done"
OBEDIENT = "echo begun; exec sleep 60"


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_commands_exit_code_is_the_labs(command, code):
    assert lab("--", "sh", "-c", command).returncode == code


def test_the_command_runs_in_the_callers_directory_with_its_environment(tmp_path):
    mine = ENVIRONMENT | {"MINE": "a b", "LIBVIRT_DEFAULT_URI": "qemu+ssh://elsewhere/system"}
    done = lab("--", "sh", "-c", "pwd; echo $MINE; echo $LIBVIRT_DEFAULT_URI; echo $VMNET_LAB", cwd=tmp_path, env=mine)
    assert done.stdout.splitlines() == [os.fspath(tmp_path), "a b", "qemu:///system", "1"]


@pytest.mark.parametrize("hidden", ["/run", "/dev/shm"])
def test_the_callers_directory_may_be_where_the_lab_has_its_own(hidden):
    with TemporaryDirectory(dir=hidden) as here:
        Path(here, "mine").write_text("still here")
        done = lab("--", "sh", "-c", "pwd; cat mine; echo new >written", cwd=here)
        assert (done.stdout, done.returncode) == (f"{here}\nstill here", 0), done.stderr
        assert Path(here, "written").read_text() == "new\n"


def test_a_directory_that_is_gone_is_told_before_anything_is_built(tmp_path):
    gone = ["sh", "-c", 'mkdir "$1"; cd "$1"; rmdir "$1"; shift; exec "$@"', "sh", os.fspath(tmp_path / "gone")]
    done = subprocess.run(
        [*gone, *lab_run("--hosts", "2", "--", "true")], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 1
    assert "directory does not exist any more" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_gets_its_arguments_and_its_input_as_they_are():
    done = lab("--", "sh", "-c", 'printf "%s|" "$@"; cat', "sh", "a b", "--hosts", "-x", "", input="from outside")
    assert done.stdout == "a b|--hosts|-x||from outside"


def test_a_command_that_there_is_not_is_usage():
    done = lab("--", "no-such-command")
    assert done.returncode == 2
    assert "no-such-command" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_that_the_kernel_refuses_is_told(tmp_path):
    script = tmp_path / "script"
    script.write_text("echo no interpreter named")
    script.chmod(0o755)
    done = lab("--", os.fspath(script))
    assert done.returncode == 1
    assert "cannot be run" in done.stderr
    assert "privileged" not in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--hosts", "0", "--", "true"), ("--guests", "-1", "--", "true")])
def test_a_lab_that_makes_no_sense_is_usage(arguments):
    done = lab(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_who_is_not_root_is_told_so():
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = subprocess.run([*nobody, VMNET, "lab", "run", "--", "true"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "root" in done.stderr
    assert "sudo" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["/bin/bash", "", "/no/such/shell", None])
def test_a_shell_is_a_lab_too(shell):
    others = {name: value for name, value in ENVIRONMENT.items() if name != "SHELL"}
    done = subprocess.run(
        [VMNET, "lab", "shell", "--guests", "0"],
        input="virsh list --all --name; readlink /proc/$$/exe; exit 3", capture_output=True, text=True, check=False,
        env=others if shell is None else others | {"SHELL": shell},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert done.stdout.split() == [os.path.realpath("/bin/bash" if shell == "/bin/bash" else "/bin/sh")]


def test_an_end_in_the_background_leaves_the_terminal_to_the_shell():
    assert subprocess.run(script("background.py"), env=ENVIRONMENT, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_reaches_the_command(ending):
    with started("--", "sh", "-c", OBEDIENT) as process:
        assert line(process) == "begun"
        process.send_signal(ending)
        assert process.wait(timeout=5) == 128 + ending


def test_a_command_may_end_in_its_own_way_when_asked():
    with started("--", "sh", "-c", STUBBORN) as process:
        assert line(process) == "begun"
        process.send_signal(signal.SIGTERM)
        assert line(process) == "caught"
        assert process.wait(timeout=5) == 5


@pytest.mark.parametrize(("command", "code"), [(STUBBORN, 5), (OBEDIENT, 128 + signal.SIGINT)])
def test_ctrl_c_is_the_commands_to_handle(command, code):
    with started("--", "sh", "-c", command) as process:
        assert line(process) == "begun"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=5) == code


def test_an_uplink_has_an_address_only_where_it_was_asked_for():
    shown = ("--", "ip", "-j", "addr", "show", "up0")
    without, given = (json.loads(said(*options, *shown))[0]["addr_info"] for options in ((), ("--host-address",)))
    assert [a["local"] for a in without if a["scope"] == "global"] == []
    assert [a["local"] for a in given if a["scope"] == "global"] == ["10.99.0.11", "fd00:99::11"]


def test_the_lan_answers_ping_and_echoes_over_tcp_and_udp():
    done = said("--host-address", "--", "bash", "-ec", (
        "for gateway in 10.99.0.1 fd00:99::1; do ping -q -c 1 -W 2 $gateway >/dev/null; "
        "for kind in tcp udp; do exec 5<>/dev/$kind/$gateway/7; printf 'echo\\n' >&5; "
        "read -r -t 3 -N 5 back <&5; echo $kind $back; done; done"
    ))  # fmt: skip
    assert done.split() == ["tcp", "echo", "udp", "echo"] * 2


def test_hosts_share_one_lan():
    shown = said("--hosts", "2", "--host-address", "--", "sh", "-c", (
        "hostname; ping -q -c 1 -W 3 10.99.0.12 >/dev/null && echo reached; ip -n lan -br link show master lan0"
    ))  # fmt: skip
    first, reached, *ports = shown.splitlines()
    assert (first, reached) == ("host1", "reached")
    assert [port.split("@")[0] for port in ports] == ["port1", "port2"]


def test_hosts_know_each_other_by_name_where_they_have_addresses():
    asked = "for host in host1 host2; do getent ahostsv4 $host | head -n 1; done"
    other = "nsenter --all --target $(cat /run/vmnet-lab/host2.pid)"
    shown = said(
        "--hosts", "2", "--host-address", "--", "sh", "-c", f"{asked}; {other} hostname; {other} sh -c '{asked}'"
    )
    lines = [line.split()[0] for line in shown.splitlines()]
    assert lines == ["10.99.0.11", "10.99.0.12", "host2", "10.99.0.11", "10.99.0.12"]
