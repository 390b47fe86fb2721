"""`vmnet list` asks libvirt as often for each guest, however many there are."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import pytest

from tests.e2e.world import create, define, vmnet

NICS = ["<interface type='bridge'><source bridge='br0'/></interface>"] * 2


def calls(log: Path) -> int:
    """How many calls a `vmnet list` sends to the daemon, by the log of libvirt's own client."""
    told = {"LIBVIRT_LOG_FILTERS": "1:rpc.netclient", "LIBVIRT_LOG_OUTPUTS": f"1:file:{log}"}
    log.unlink(missing_ok=True)
    assert vmnet("list", env=os.environ | told).code == 0
    return len(re.findall(r"RPC_CLIENT_MSG_TX_QUEUE: .* type=0 ", log.read_text()))


@pytest.mark.parametrize(("make", "each"), [("define", 1), ("create", 2)])
def test_each_further_guest_costs_the_same_few_round_trips(tmp_path, br0, make, each):
    log = tmp_path / "log"
    counts = []
    for group in range(3):
        for number in range(3):
            if make == "define":
                define(f"more-{group}-{number}", extra=NICS)
            else:
                create(f"more-{group}-{number}", "--paused", extra=NICS)
        counts.append(calls(log))
    assert [after - before for before, after in itertools.pairwise(counts)] == [3 * each, 3 * each]
