"""A command imports what it uses: start-up is felt, and each of these is a tenth to ten times of Python's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vmnet.cli import app

GOOD = Path(__file__).parent / "golden" / "good.xml"
WINGS = {"vmnet.guest", "vmnet.host", "vmnet.change.executor", "libvirt", "pyroute2"}

COMMANDS = {
    "--help": {"lxml", "rich", "vmnet.nic", "vmnet.operations", *WINGS},
    "xml --direct up0": {"rich", "hashlib", "json", *WINGS},
    "xml --bridge br0 --json": {"rich", "hashlib", *WINGS},
    "xml --help": {"rich", "vmnet.operations.attach", *WINGS},
    "templates": {"rich", *WINGS},
    f"check {GOOD}": {"rich", "hashlib", "vmnet.operations.attach", *WINGS},
    "status": {"rich", "vmnet.guest", "vmnet.host", "libvirt", "pyroute2"},
    "confirm --help": {"rich", "vmnet.guest", "vmnet.host", "libvirt", "pyroute2"},
    "undo --help": {"rich", "vmnet.guest", "vmnet.host", "libvirt", "pyroute2"},
    "recover --help": {"rich", "vmnet.guest", "vmnet.host", "libvirt", "pyroute2"},
    "bridge list": {"rich", "vmnet.guest", "vmnet.change.executor", "libvirt", "pyroute2"},
    "hostlink list": {"rich", "vmnet.guest", "vmnet.change.executor", "libvirt", "pyroute2"},
    "attach --help": {"rich", "libvirt", "pyroute2"},
    "list -c test:///default": {"rich", "pyroute2", "vmnet.change.executor"},
    "attach test -c test:///default --direct up0 --dry-run": {"rich", "pyroute2", "vmnet.change.executor"},
    "set --help": {"rich", "libvirt", "pyroute2"},
    "set test 1 -c test:///default --link down --dry-run": {"rich", "pyroute2", "vmnet.change.executor"},
    "detach --help": {"rich", "libvirt", "pyroute2"},
    "detach test 1 -c test:///default --dry-run": {"rich", "pyroute2", "vmnet.change.executor"},
    "wait --help": {"rich", "libvirt", "pyroute2", "vmnet.change.executor"},
    "lab --help": {"rich", "lxml", "vmnet.nic", *WINGS},
}
"""What each command has no use for; its output is piped."""

RUN = """\
import os, sys
os._exit = sys.exit
try:
    from vmnet.cli.main import main
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.stderr.write("\\n".join(["", "modules", *sys.modules]))
"""


def imported(script: str, *argv: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.partition("\nmodules\n")[2].split())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_nothing_that_it_does_not_use(command):
    found = imported(RUN, *command.split())
    assert found, "it says what it imported"
    unwanted = COMMANDS[command]
    assert {name for name in found if any(name == u or name.startswith(f"{u}.") for u in unwanted)} == set()


def test_each_command_is_among_them():
    assert {command.split()[0] for command in COMMANDS} >= set(app.COMMANDS)


def test_the_version_costs_no_import_but_its_own():
    bare = imported('import sys; sys.stderr.write("\\n".join(["", "modules", *sys.modules]))')
    assert imported(RUN, "--version") - bare == {"vmnet", "vmnet.cli", "vmnet.cli.main"}
