"""`vmnet list` asks libvirt as often for each guest, however many there are."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import pytest

from tests.e2e.world import create, define, tool, vmnet

NICS = ["<interface type='bridge'><source bridge='br0'/></interface>"] * 2


def calls(log: Path) -> int:
    """How many calls a `vmnet list` sends to the daemon, by the log of libvirt's own client."""
    told = {"LIBVIRT_LOG_FILTERS": "1:rpc.netclient", "LIBVIRT_LOG_OUTPUTS": f"1:file:{log}"}
    log.unlink(missing_ok=True)
    assert vmnet("list", env=os.environ | told).code == 0
    return len(re.findall(r"RPC_CLIENT_MSG_TX_QUEUE: .* type=0 ", log.read_text()))


def shut_off(name: str) -> None:
    define(name, extra=NICS)


def transient(name: str) -> None:
    create(name, "--paused", extra=NICS)


def running(name: str) -> None:
    define(name, extra=NICS)
    tool("virsh", "start", name, "--paused")


@pytest.mark.parametrize(("make", "each"), [(shut_off, 1), (transient, 2), (running, 3)])
def test_each_further_guest_costs_the_same_few_round_trips(tmp_path, br0, make, each):
    """Its XML, for a running one its state too, and both XMLs where it has two."""
    log = tmp_path / "log"
    counts = []
    for group in range(3):
        for number in range(3):
            make(f"more-{group}-{number}")
        counts.append(calls(log))
    assert [after - before for before, after in itertools.pairwise(counts)] == [3 * each, 3 * each]
