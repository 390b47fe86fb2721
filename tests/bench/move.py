"""The host's own addresses on their way to a bridge and back: run as a script, with the way to be measured.

It measures in namespaces of its own, and prints a document of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import FILES, MEBIBYTES, MILLISECONDS, PACKETS, Group, said

ROOT = Path(__file__).parents[2]
TIMES = "The host's only NIC, to a bridge and back"
FLAT_FILES, FLAT_MEMORY = "A thousand times to a bridge and back: open files", "A thousand times: memory"
LOST = "Packets lost on the way to a bridge and back, at 1 kHz"
VMNET, NAIVE = "vmnet", "delete, then add"
PREPARE, DISMANTLE = "bridge prepare", "bridge dismantle"
WATCHING = "starting the watchdog"
PLAIN, LARGE = "plain host", "5,000 routes, 500 links"
RUNS = 9
CYCLES = 1000


def own(verb: str, host: str) -> str:
    """The row of what a verb takes without the start of a process."""
    return f"{verb}, {host}, without the watchdog's start"


def lost(flow: str, by: str) -> str:
    """The row of the packets that a flow loses."""
    return f"{flow}, {by}"


def groups() -> Iterator[Group]:
    """All the figures, each way in a process of its own."""
    rows: dict[str, list[float]] = {}
    for host in (PLAIN, LARGE):
        for name, samples in _measured("times", host).items():
            rows[name] = samples
    note = (
        "In process, without asking the gateways: looking, planning, the journal on disk, the watchdog, the move and "
        "reading back. A row with a colon is a part of the row above it, and the row below is the rest."
    )
    yield Group(TIMES, MILLISECONDS, rows, note=note)
    note = f"UDP echoes of three flows, over {RUNS} runs; the peer is in a namespace of its own. Counted per run."
    yield Group(LOST, PACKETS, _measured("loss"), note=note)
    flat = _measured("flat")
    yield Group(FLAT_FILES, FILES, {k: v for k, v in flat.items() if k.startswith("open")})
    yield Group(FLAT_MEMORY, MEBIBYTES, {k: v for k, v in flat.items() if k.startswith("resident")})


def _measured(*way: str) -> dict[str, list[float]]:
    return dict(json.loads(said(sys.executable, __file__, *way)))


def _times(host: str) -> dict[str, list[float]]:
    from tests.host.hosts import plain_host
    from tests.host.lan import gateway
    from vmnet.change import transaction
    from vmnet.operations import bridge

    taken: dict[str, list[float]] = {}
    watching = 0.0
    guarded = transaction.guarded

    @contextmanager
    def timed_guard(*arguments: object) -> Iterator[None]:
        nonlocal watching
        start = time.perf_counter()
        with guarded(*arguments):
            watching = time.perf_counter() - start
            yield

    transaction.guarded = timed_guard

    def measured(verb: str, act: Callable[[], object]) -> None:
        start = time.perf_counter()
        act()
        whole = time.perf_counter() - start
        for name, seconds in (
            (f"{verb}, {host}", whole),
            (f"{verb}, {host}: {WATCHING}", watching),
            (own(verb, host), whole - watching),
        ):
            taken.setdefault(name, []).append(seconds)

    terms, run = bridge.Terms(probe=False), bridge.Run()
    with gateway():
        plain_host()
        if host == LARGE:
            _enlarge()
        for _ in range(1 + RUNS):
            measured(PREPARE, lambda: bridge.prepare("br0", "up0", bridge.BridgeOptions(), terms=terms, run=run))
            measured(DISMANTLE, lambda: bridge.dismantle("br0", None, dict, terms=terms, run=run))
    return {name: samples[1:] for name, samples in taken.items()}


def _enlarge() -> None:
    links = [f"link add v{n} type veth peer name w{n}\n" for n in range(250)]
    routes = [f"route add 172.{16 + n // 250}.{n % 250}.0/24 via 10.1.0.1\n" for n in range(5000)]
    with tempfile.NamedTemporaryFile("w") as file:
        file.writelines(links + routes)
        file.flush()
        said("ip", "-batch", file.name)


def _loss() -> dict[str, list[float]]:
    from tests.host.hosts import plain_host
    from tests.host.lan import Meter, gateway
    from tests.host.test_move import dismantle, naive_cycle, prepare

    taken: dict[str, list[float]] = {}

    def cycle() -> None:
        prepare()
        threading.Event().wait(0.3)
        dismantle()

    with gateway():
        plain_host()
        for by, act, runs in ((VMNET, cycle, RUNS), (NAIVE, naive_cycle, 1)):
            for _ in range(runs):
                with Meter() as meter:
                    threading.Event().wait(0.2)
                    act()
                for flow, count in meter.lost.items():
                    taken.setdefault(lost(flow, by), []).append(count)
    return taken


def _flat() -> dict[str, list[float]]:
    from tests.host.hosts import plain_host
    from tests.host.lan import gateway
    from tests.host.test_move import dismantle, prepare

    taken: dict[str, list[float]] = {}
    with gateway():
        plain_host()
        for number in range(1, 1 + CYCLES):
            prepare()
            dismantle()
            if number in (CYCLES // 10, CYCLES):
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                taken[f"resident after {number:,}"] = [pages * os.sysconf("SC_PAGE_SIZE") / 2**20]
                taken[f"open after {number:,}"] = [len(list(Path("/proc/self/fd").iterdir()))]
    return taken


def main() -> None:
    """Measure one way."""
    from vmnet.lab.namespaces import Namespace, unshare

    unshare(Namespace.NET)
    way, *arguments = sys.argv[1:]
    print(json.dumps({"times": _times, "loss": _loss, "flat": _flat}[way](*arguments)))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
