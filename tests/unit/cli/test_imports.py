"""A command imports what it uses, and nothing else: start-up is felt."""

import subprocess
import sys
from pathlib import Path

import pytest

GOOD = Path(__file__).parent / "golden" / "good.xml"

PURE = ("libvirt", "libvirtmod", "pyroute2", "rich", "vmnet.guest", "vmnet.host", "vmnet.lab", "vmnet.change.executor")
FRAMEWORK = ("typer", "lxml", "vmnet.nic", "vmnet.operations")

FORBIDDEN = {
    ("--version",): (*PURE, *FRAMEWORK, "dataclasses", "subprocess"),
    ("--help",): (*PURE, "lxml", "vmnet.nic", "vmnet.operations"),
    ("xml", "--direct", "eth0"): (*PURE, "vmnet.operations.attach"),
    ("xml", "--help"): PURE,
    ("check", str(GOOD)): (*PURE, "vmnet.operations.attach", "vmnet.nic.templates"),
    ("templates",): (*PURE, "vmnet.operations.attach"),
}


PROGRAM = """
import sys
from vmnet.cli.main import main
try:
    main()
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", FORBIDDEN, ids=" ".join)
def test_a_command_imports_only_what_it_uses(arguments):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    assert "vmnet.cli.main" in loaded
    bad = [m for m in loaded if any(m == name or m.startswith(f"{name}.") for name in FORBIDDEN[arguments])]
    assert bad == []
