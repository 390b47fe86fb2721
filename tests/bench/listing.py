"""Listing at scale: many shut-off domains, of libvirt's test driver and of a real daemon; and each way's peak memory.

A way runs in a process of its own that prints its figure: `listing.py WAY URI`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import libvirt
from lxml import etree
from measure import ENVIRONMENT, MEBIBYTES, MICROSECONDS, MILLISECONDS, Failed, Group, in_turn, said, timed

BARE, OURS, VIRSH, WHOLE = (
    "listAllDomains, XMLDesc each",
    "vmnet listing, in process",
    "one virsh, domiflist each",
    "vmnet list",
)
OPEN_ONLY = "libvirt.open alone"
TEST_DRIVER, DAEMON, MEMORY = (
    "NICs of {:,} shut-off guests, test driver",
    "NICs of {} shut-off guests",
    "Peak memory, {:,} guests",
)
SIZES = (1_000, 10_000)
DEFINED = 200
CALLS = 5
"""How often a way is done in one process; the best counts, for the others were disturbed."""


def at_scale(scratch: Path, command: str) -> Iterator[Group]:
    """Libvirt's test driver: no daemon, so what is left is libvirt's formatting and our reading."""
    for size in SIZES:
        file = scratch / f"{size}.xml"
        file.write_bytes(_node(size))
        uri = f"test://{file}"
        lines = "".join(f"domiflist guest{n}\n" for n in range(size))
        ways: dict[str, Callable[[], float]] = {
            BARE: partial(_each, BARE, uri, size),
            OURS: partial(_each, OURS, uri, size),
            VIRSH: partial(_virsh, uri, lines, size),
        }
        note = "Microseconds for each guest of two NICs, opening the driver's file left out."
        yield Group(TEST_DRIVER.format(size), MICROSECONDS, in_turn(ways, 3), BARE, note)
        peaks = {
            OPEN_ONLY: partial(_figure, OPEN_ONLY, uri),
            WHOLE: partial(_peak, command, "list", "-c", uri),
        }
        yield Group(
            MEMORY.format(size),
            MEBIBYTES,
            in_turn(peaks, 3),
            OPEN_ONLY,
            "The test driver holds the guests in our process.",
        )


def on_a_daemon(uri: str, like: str, command: str) -> Iterator[Group]:
    """A real daemon, with guests that are defined like one that is there."""
    with _defined(uri, like) as names:
        lines = "".join(f"domiflist {name}\n" for name in names)
        ways: dict[str, Callable[[], float]] = {
            BARE: partial(_figure, BARE, uri),
            OURS: partial(_figure, OURS, uri),
            VIRSH: partial(_piped, lines, "virsh", "-c", uri),
            WHOLE: partial(timed, command, "list", "-c", uri),
        }
        yield Group(DAEMON.format(DEFINED), MILLISECONDS, in_turn(ways, 7), BARE)


def _each(way: str, uri: str, size: int) -> float:
    return _figure(way, uri) / size


def _virsh(uri: str, lines: str, size: int) -> float:
    return (_piped(lines, "virsh", "-c", uri) - _piped("quit\n", "virsh", "-c", uri)) / size


def _figure(way: str, uri: str) -> float:
    return float(said(sys.executable, __file__, way, uri))


def _piped(lines: str, *argv: str) -> float:
    """Seconds that a command takes for what it is told to do on stdin."""
    start = time.perf_counter()
    done = subprocess.run(
        argv, env=ENVIRONMENT, input=lines, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode or done.stderr:
        raise Failed(f"{' '.join(argv)}: {done.stderr.strip()[:300]}")
    return time.perf_counter() - start


def _peak(*argv: str) -> float:
    """MiB that a command had at once; what it was forked from is gone with its exec."""
    with subprocess.Popen(["/usr/bin/env", *argv], env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(argv)}: exit {process.returncode}")
    return usage.ru_maxrss / 1024


def _node(size: int) -> bytes:
    """The file of a test driver with that many guests of two NICs, all shut off."""
    space = "http://libvirt.org/schemas/domain/test/1.0"
    root = etree.Element("node")
    for number in range(size):
        domain = etree.SubElement(root, "domain", nsmap={"test": space}, type="test")
        etree.SubElement(domain, f"{{{space}}}runstate").text = "5"
        etree.SubElement(domain, "name").text = f"guest{number}"
        etree.SubElement(domain, "memory").text = "131072"
        etree.SubElement(etree.SubElement(domain, "os"), "type").text = "hvm"
        devices = etree.SubElement(domain, "devices")
        for at, source in enumerate(({"dev": "eth0", "mode": "bridge"}, {"bridge": "br0"})):
            nic = etree.SubElement(devices, "interface", type="bridge" if at else "direct")
            etree.SubElement(nic, "mac", address=f"52:54:{at:02x}:00:{number >> 8:02x}:{number & 255:02x}")
            etree.SubElement(nic, "source", source)
            etree.SubElement(nic, "model", type="virtio")
    return etree.tostring(root)


@contextmanager
def _defined(uri: str, like: str) -> Iterator[list[str]]:
    """Guests of two NICs, defined for a while."""
    connection = libvirt.open(uri)
    root = etree.fromstring(connection.lookupByName(like).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    root.remove(root.find("uuid"))
    for _ in range(2):
        nic = etree.SubElement(root.find("devices"), "interface", type="direct")
        etree.SubElement(nic, "source", dev="up0", mode="bridge")
        etree.SubElement(nic, "model", type="virtio")
    made = []
    try:
        for number in range(DEFINED):
            root.find("name").text = f"bench{number}"
            made.append(connection.defineXML(etree.tostring(root, encoding="unicode")).name())
        yield made
    finally:
        # libvirtd hangs up on a client that is silent for 30 s (keepalive_interval, keepalive_count).
        connection = libvirt.open(uri)
        for name in made:
            connection.lookupByName(name).undefine()


def _best(way: Callable[[], object]) -> float:
    taken = []
    for _ in range(CALLS):
        start = time.perf_counter()
        way()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _bare(uri: str) -> float:
    connection = libvirt.open(uri)

    def each() -> None:
        for domain in connection.listAllDomains():
            domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)

    return _best(each)


def _ours(uri: str) -> float:
    from vmnet.guest.connection import Connection
    from vmnet.operations.listing import listing

    with Connection(uri) as connection:
        return _best(lambda: listing(connection))


def _open_only(uri: str) -> float:
    connection = libvirt.open(uri)
    peak = next(
        line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    connection.close()
    return int(peak) / 1024


if __name__ == "__main__":
    print({BARE: _bare, OURS: _ours, OPEN_ONLY: _open_only}[sys.argv[1]](sys.argv[2]))
