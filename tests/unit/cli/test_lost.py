"""What stdout or stderr does not take: a failure keeps its exit code, and nobody gets a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import pytest
import typer

from vmnet.cli.face import facing
from vmnet.errors import NotRolledBack, RolledBack, VmnetError

HERE = Path(__file__).parent / "golden"
GOOD, BAD = HERE / "good.xml", HERE / "interface.xml"
LOST = "the result could not be written [output-lost]"

FULL = ">/dev/full"
CLOSED = ">&-"

RUNS = [
    # the command line, the exit code, what stderr says at least
    ("xml --direct up0", 1, LOST),
    ("xml --direct up0 --json", 1, LOST),
    (f"check {GOOD}", 1, LOST),
    (f"check --json {BAD}", 1, LOST),
    ("check --json nonesuch.xml", 1, "file-unreadable"),
    ("templates", 1, LOST),
    ("--help", 1, LOST),
    ("xml --help", 1, LOST),
    ("--version", 1, LOST),
    ("list --nonesuch --json", 2, "nonesuch"),
    ("xml --direct up0 --mtu many --json", 2, "bad-value"),
    ("list --watch -c test:///default", 1, LOST),
]


def vmnet(line: str, where: str) -> subprocess.CompletedProcess[str]:
    shell = f"{sys.executable} -m vmnet {line} {where}"
    return subprocess.run(["/bin/bash", "-c", shell], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("where", [FULL, CLOSED])
@pytest.mark.parametrize(("line", "code", "told"), RUNS)
def test_what_stdout_does_not_take_is_told_on_stderr_and_a_failure_keeps_its_code(line, code, told, where):
    done = vmnet(line, where)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("line", "code"), [("list --nonesuch", 2), ("check nonesuch.xml", 1), ("check -", 1)])
def test_a_failure_that_nobody_can_be_told_has_its_code_and_is_not_told_to_whoever_reads_results(line, code, where):
    done = vmnet(line, f"{where}" if "<" in where else f"</dev/null {where}")
    assert done.returncode == code
    assert done.stdout == "" and done.stderr == ""


def test_a_closed_stdin_is_told():
    done = vmnet("check -", "<&-")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the file '-' cannot be read [file-unreadable]\n  why: ")


@pytest.mark.parametrize(("line", "code"), [("xml --direct up0", 0), ("--version", 0), (f"check {BAD}", 1)])
def test_whoever_stops_reading_has_seen_enough_of_a_result(line, code):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "vmnet", *line.split()], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize(("kind", "code"), [(RolledBack, 3), (NotRolledBack, 4), (VmnetError, 1)])
@pytest.mark.parametrize("reader", ["full", "gone"])
def test_a_failure_in_json_that_stdout_does_not_take_keeps_its_code_and_is_told_in_words(
    kind, code, reader, monkeypatch, capsys
):
    with broken(reader) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(typer.Exit) as ended, facing(json=True):
            raise kind("nic-lost", "it went wrong", why="so")
        monkeypatch.undo()
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == "error: it went wrong [nic-lost]\n  why: so\n"


@contextmanager
def broken(reader: str) -> Iterator[TextIO]:
    """A stdout that takes nothing."""
    if reader == "full":
        stdout = os.fdopen(os.open("/dev/full", os.O_WRONLY), "w")
    else:
        read, write = os.pipe()
        os.close(read)
        stdout = os.fdopen(write, "w")
    yield stdout
    with suppress(OSError):
        stdout.close()


def test_a_completion_that_cannot_be_installed_is_told(tmp_path):
    (tmp_path / ".bashrc").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "vmnet", "--install-completion", "bash"],
        capture_output=True, text=True, check=False, env=os.environ | {"HOME": str(tmp_path), "SHELL": "/bin/bash"},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: the completion could not be installed [completion-not-installed]")
