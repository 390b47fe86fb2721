"""What commands print to whom: on libvirt's own test driver, which each process has for itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def vmnet(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vmnet", *arguments, "-c", "test:///default"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("both", [("--mtu", "1500"), ("--set", "mtu=1500"), ("--unset", "mtu")])
def test_a_field_is_not_set_and_unset_in_one_breath(both):
    done = vmnet("set", "test", "1", "--unset", "mtu", *both)
    assert done.returncode == 2
    assert "mtu is given twice [field-twice]" in done.stderr


def test_a_diff_that_is_asked_for_is_in_the_json():
    done = vmnet("set", "test", "1", "--link", "down", "--dry-run", "--diff", "--json")
    assert '+  <link state="down"/>' in json.loads(done.stdout)["diff"].splitlines()
    assert "diff" not in json.loads(vmnet("set", "test", "1", "--link", "down", "--dry-run", "--json").stdout)


def test_quiet_leaves_the_diff_that_is_asked_for():
    done = vmnet("set", "test", "1", "--link", "down", "--dry-run", "--diff", "--quiet")
    assert done.stdout.startswith("--- test (live)\n") and "1. Change" not in done.stdout
    assert done.stderr == ""
    assert vmnet("set", "test", "1", "--link", "down", "--dry-run", "--quiet").stdout == ""


def test_a_diff_of_nothing_is_no_line():
    done = vmnet("set", "test", "1", "--unset", "mtu", "--dry-run", "--diff")
    assert (done.stdout, done.stderr) == ("Nothing to do.\n", "")


@pytest.mark.parametrize("wrong", ["nonesuch", "--nonesuch"])
def test_an_error_of_a_watch_is_a_line_as_its_documents_are(wrong):
    done = vmnet("list", wrong, "--watch", "--json")
    assert done.returncode in (1, 2)
    assert list(json.loads(done.stdout)) == ["error"]
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (["check", ""], 1, "why: it has no name"),
        (["check", "/dev/zero"], 1, "why: it is longer than 1048576 bytes"),
        (["check", "/dev/null", "--libvirt", ""], 2, "'' is no version of libvirt"),
        (["xml", "--direct", "up0", "--template", ""], 1, "there is no template ''"),
        (["xml", "--direct", "up0", "--mac", "seed:"], 2, "--mac cannot be 'seed:'"),
    ],
)
def test_what_is_empty_or_too_long_is_told_as_that(line, code, told):
    done = subprocess.run([sys.executable, "-m", "vmnet", *line], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert told in done.stderr


def test_a_fifo_among_the_templates_is_none(tmp_path):
    folder = tmp_path / "vmnet" / "templates"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "direct.xml")
    env = os.environ | {"XDG_CONFIG_HOME": str(tmp_path)}
    for line in (["templates"], ["xml", "--direct", "up0", "--template", "direct"]):
        subprocess.run([sys.executable, "-m", "vmnet", *line], capture_output=True, env=env, timeout=20, check=True)
