"""A dump that the kernel calls interrupted is never taken for the whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vmnet.errors import VmnetError
from vmnet.host.netlink import steady

WHOLE = [{"header": {"flags": 0x2}}]
TORN = [{"header": {"flags": 0x2}}, {"header": {"flags": 0x12}}]


def test_a_torn_dump_is_read_again():
    answers = iter([TORN, TORN, WHOLE])
    assert steady("link", lambda verb: next(answers)) == WHOLE


def test_a_table_that_never_keeps_still_is_an_error():
    with pytest.raises(VmnetError) as told:
        steady("link", lambda verb: TORN)
    assert told.value.code == "netlink-unsteady"


def test_planning_loads_neither_pyroute2_nor_lxml():
    loads = "import sys, vmnet.host.planner, vmnet.host.applier; print(sys.modules.keys() & {'pyroute2', 'lxml'})"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
