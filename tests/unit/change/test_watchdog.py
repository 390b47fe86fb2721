"""How a watchdog is started where systemd is."""

from __future__ import annotations

from pathlib import Path

from vmnet.change.journal import Entry, Record
from vmnet.change.watchdog import unit_command

RECORD = Record(Path("/run/vmnet/tx/bokiru"), Entry.here("vmnet", ("up0",), (), {}))


def test_the_watchdog_is_a_unit_that_cleans_up_after_itself_and_outlives_the_session(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert unit_command(RECORD, ["python", "-P", "-m", "it"], RECORD.folder / "log") == [
        "systemd-run",
        "--quiet",
        "--collect",
        "--no-ask-password",
        "--service-type=exec",
        "--unit=vmnet-tx-bokiru",
        "--property=StandardOutput=append:/run/vmnet/tx/bokiru/log",
        "--property=StandardError=append:/run/vmnet/tx/bokiru/log",
        "--property=OOMScoreAdjust=-900",
        "--property=Description=vmnet: puts transaction bokiru back unless it is confirmed",
        "--",
        *("python", "-P", "-m", "it"),
    ]


def test_the_unit_finds_the_vmnet_that_began_it(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/src/vmnet")
    command = unit_command(RECORD, ["python"], RECORD.folder / "log")
    assert command[-3:] == ["--setenv=PYTHONPATH=/src/vmnet", "--", "python"]
