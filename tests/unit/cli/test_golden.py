"""Command lines, and what they print: one file each, written anew by running this module as a script."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from vmnet.cli.app import run
from vmnet.nic.model import Nic

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.txt"))


def said(command: str) -> str:
    """The command line, what it prints to stdout and stderr, and its exit code if that is not 0."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, shlex.split(command.removeprefix("$ "))
    here = Path.cwd()
    os.chdir(GOLDEN)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run()
    finally:
        sys.argv = before
        os.chdir(here)
    parts = [command, out.getvalue().rstrip("\n"), err.getvalue().rstrip("\n"), f"[exit {code}]" if code else ""]
    return "\n".join(filter(None, parts)) + "\n"


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    """The environment of somebody without templates of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_command_line_prints_what_its_golden_file_has(file):
    wanted = file.read_text()
    assert said(wanted.splitlines()[0]) == wanted


def test_every_field_is_said_in_a_golden_file():
    lines = " ".join(file.read_text().splitlines()[0] for file in FILES if "vmnet xml" in file.read_text())
    options = {f"--{name.replace('_', '-')}": name for name in Nic.FIELDS}
    given = {options[word] for word in lines.split() if word in options}
    assert set(Nic.FIELDS) <= given | set(re.findall(r"--set '?(\w+)=", lines))


if __name__ == "__main__":
    os.environ["XDG_CONFIG_HOME"] = "/dev/null"
    for file in FILES:
        file.write_text(said(file.read_text().splitlines()[0]))
