"""A program that is started has nothing of ours that would outlive us."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from vmnet.host import programs, resolver

STATE = "/usr/bin/grep -E ^Sig(Ign|Blk) /proc/self/status"


def said(folder: Path, *command: str) -> str:
    """What a program says that stands in `folder`."""
    reader, writer = os.pipe()
    child = programs.start(list(command), writer, str(folder))
    os.close(writer)
    with os.fdopen(reader) as told:
        text = told.read()
    os.waitpid(child, 0)
    return text


def test_it_hears_the_signals_that_we_ignore(tmp_path: Path) -> None:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT)}
    try:
        told = said(tmp_path, *STATE.split())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    ours = sum(1 << number - 1 for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ))
    assert [int(line.split()[1], 16) & ours for line in told.splitlines()] == [0, 0]


def test_it_stands_where_it_is_to_and_we_stay_where_we_are(tmp_path: Path) -> None:
    here = Path.cwd()
    assert said(tmp_path, "/bin/pwd", "-P").strip() == str(tmp_path.resolve())
    assert said(tmp_path / "gone", "/bin/pwd", "-P").strip() == str(here.resolve())
    assert Path.cwd() == here


def test_a_resolver_that_takes_nobody_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    from contextlib import ExitStack

    monkeypatch.setattr(resolver, "_FOLDER", tmp_path)
    monkeypatch.setattr(resolver, "_CONNECT_SECONDS", 0.05)
    with ExitStack() as held:
        listening, waiting = (held.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        listening.bind(os.fspath(tmp_path / "io.systemd.Resolve"))
        listening.listen(0)
        waiting.connect(listening.getsockname())
        assert resolver.settings(1) is None
