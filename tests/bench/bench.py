"""Measure vmnet beside its peers, in one run, and write docs/benchmarks.md: `make bench`.

It runs inside a lab with one guest. A command that fails ends it: a failure is never timed.
"""

from __future__ import annotations

import compileall
import datetime
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import libvirt
from listing import BARE as SCALE_BARE
from listing import DAEMON, OPEN_ONLY, OURS, TEST_DRIVER, WHOLE, at_scale, on_a_daemon
from listing import MEMORY as SCALE_MEMORY
from listing import VIRSH as SCALE_VIRSH
from live import IN_PROCESS, KINDS, RPC, VIRSH, VIRSH_XML, VIRT_XML, VMNET, Guest, cases
from many import VIRSH as VIRSH_TEN
from many import VMNET as VMNET_TEN
from many import cases as many_cases
from many import guests
from measure import (
    MEBIBYTES,
    MICROSECONDS,
    MILLISECONDS,
    SECONDS,
    Failed,
    Group,
    in_turn,
    peak_mebibytes,
    said,
    timed,
    until,
)
from move import LOST, PLAIN, PREPARE, TIMES, lost, own
from move import VMNET as MOVED
from move import groups as moves
from report import Aim, Share, page

import vmnet
from vmnet.guest.connection import Connection
from vmnet.lab.guests import console

PYTHON = sys.executable
DEBIAN_PYTHON = "/usr/bin/python3"
COMMAND = str(Path(PYTHON).parent / "vmnet")
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
GUEST = "guest1"
VIRTINST = Path("/usr/share/virt-manager/virtinst")

PEERS = {
    "virsh": "libvirt-clients",
    "virt-xml": "virtinst",
    DEBIAN_PYTHON: "python3",
    "ip": "iproute2",
    "ping": "iputils-ping",
}
"""Programs, and the Debian packages that have them."""

START, MEMORY, XML, OWN = "Start-up", "Peak memory", "One NIC, from values to XML", "vmnet's own work"
LISTING, LAB, MANY = "The NICs of one guest", "The lab", "Ten guests get a NIC each"
PASS, VIRTINST_XML, VMNET_XML = "python -c pass", "virtinst DeviceInterface.get_xml", "vmnet generate, Nic.xml"
TYPER, WITH_LXML, WITH_LIBVIRT = "import typer", "import typer, lxml.etree", "import typer, lxml.etree, libvirt"
XML_COMMAND, CHECK, BUILD_XML = "vmnet xml --direct up0", "vmnet check FILE", "virt-xml --build-xml --network ..."
ASKING, LOOKING = "other calls of libvirt's", "the kernel's tables"
BARE_LAB, GUEST_LAB, FIRST_PING = "vmnet lab run -- true", "vmnet lab run --guests 1 -- true", "attach to first ping"


def live_title(kind: str, verb: str) -> str:
    """The title of the group of one kind of NIC and verb."""
    return f"Live {verb}, {kind}"


BARE = Share("Python itself", (START, PASS))
WITH_TYPER = (BARE, Share("importing typer", (START, TYPER), PASS))
LXML = (*WITH_TYPER, Share("importing lxml", (START, WITH_LXML), TYPER))
LIBVIRT = (*LXML, Share("importing libvirt", (START, WITH_LIBVIRT), WITH_LXML))

AIMS = (
    Aim("`vmnet --version` over `python -c pass`", (START, "vmnet --version"), 1.5, PASS, shares=(BARE,), rest="vmnet"),
    Aim("`vmnet --help` over `python -c pass`", (START, "vmnet --help"), 6, PASS, shares=WITH_TYPER, rest="vmnet"),
    Aim("`vmnet xml` over `python -c pass`", (START, XML_COMMAND), 6, PASS, shares=LXML, rest="vmnet"),
    Aim(
        "`vmnet check` over `python -c pass`",
        (START, CHECK),
        6,
        PASS,
        shares=LXML,
        rest="vmnet, and libxml2's reading of libvirt's schema",
    ),
    Aim("peak memory of `vmnet xml`", (MEMORY, XML_COMMAND), 30),
    *(
        Aim(
            f"`vmnet attach` over `virt-xml`, {kind.name}",
            (live_title(kind.name, "attach"), VMNET),
            0.6,
            VIRT_XML,
            shares=(*LIBVIRT, Share("libvirt's attach", (live_title(kind.name, "attach"), RPC))),
            rest="vmnet: its modules, the preflight and reading back",
        )
        for kind in KINDS
    ),
    *(
        Aim(
            f"own work of a live {verb}, {kind.name}",
            (OWN, f"{verb}, {kind.name}"),
            3,
            shares=(
                Share("in libvirt, which is asked for the domains' documents", (OWN, f"{verb}, {kind.name}: {ASKING}")),
                Share("reading the kernel's tables", (OWN, f"{verb}, {kind.name}: {LOOKING}")),
            ),
            rest="Python: parsing, rules, plan and locks",
        )
        for kind in KINDS
        for verb in ("attach", "detach")
    ),
    Aim(
        "10 virsh over one vmnet, a NIC for each of ten guests",
        (MANY, VIRSH_TEN),
        3,
        VMNET_TEN,
        least=True,
        shares=LIBVIRT,
        rest="vmnet: the host and all domains once, then each definition written and read back",
    ),
    Aim(
        "virtinst over vmnet, one NIC's XML",
        (XML, VIRTINST_XML),
        15,
        VMNET_XML,
        least=True,
        rest="vmnet patches a copy of the template: about a sixth of its time goes to copying, indenting and printing "
        "the tree, two fifths to checking and writing four fields, the rest to seeing that they go together",
    ),
    Aim(
        "listing of 10,000 guests, each",
        (TEST_DRIVER.format(10_000), OURS),
        60,
        shares=(Share("libvirt's formatting", (TEST_DRIVER.format(10_000), SCALE_BARE)),),
        rest="parsing each document, half of it in lxml, and reading its NICs",
    ),
    Aim(
        "listing over one virsh, 10,000 guests",
        (TEST_DRIVER.format(10_000), OURS),
        1,
        SCALE_VIRSH,
        shares=(Share("libvirt's formatting", (TEST_DRIVER.format(10_000), SCALE_BARE)),),
        rest="parsing each document, half of it in lxml, and reading its NICs",
    ),
    Aim(
        "listing over bare XMLDesc, 200 guests of a daemon",
        (DAEMON.format(200), OURS),
        1.5,
        SCALE_BARE,
        shares=(Share("libvirt's documents", (DAEMON.format(200), SCALE_BARE)),),
        rest="parsing each document, half of it in lxml, reading its NICs, and the kernel's links",
    ),
    Aim(
        "`vmnet list` over one virsh, 200 guests of a daemon",
        (DAEMON.format(200), WHOLE),
        1,
        SCALE_VIRSH,
        shares=(*LIBVIRT, Share("libvirt's documents", (DAEMON.format(200), SCALE_BARE))),
        rest="vmnet: its modules, parsing and the table",
    ),
    Aim(
        "peak memory of `vmnet list`, 10,000 guests",
        (SCALE_MEMORY.format(10_000), WHOLE),
        120,
        shares=(Share("libvirt's test driver, opened alone", (SCALE_MEMORY.format(10_000), OPEN_ONLY)),),
        rest="Python, lxml, and a row for each NIC",
    ),
    *(
        Aim(f"packets of a flow lost over prepare and dismantle, {flow}", (LOST, lost(flow, MOVED)), 1)
        for flow in ("IPv4 gateway", "IPv4 routed", "IPv6 gateway")
    ),
    Aim(
        "`bridge prepare` in process, without the watchdog's start",
        (TIMES, own(PREPARE, PLAIN)),
        80,
        rest="looking, planning, the journal, the move in several sends, and reading back after each",
    ),
    Aim("lab without guests", (LAB, BARE_LAB), 3),
    Aim("attach to first ping", (LAB, FIRST_PING), 6),
)
"""What vmnet wants to reach."""

METHOD = (
    "One run, in which the rows of a table are taken in turn (A B C A B C ...), after one round that does not count; "
    "whatever else keeps the machine busy slows them all. "
    "Commands are timed from their start to their end, in an environment without Python's variables and with vmnet's "
    "byte code compiled, and each must succeed and have done its work. "
    "Compare figures within one table only: ratios are those of the medians, to the table's first row."
)


def start_up(scratch: Path) -> Iterator[Group]:
    """What a command costs before it does anything."""
    file = scratch / "nic.xml"
    file.write_text(said(COMMAND, "xml", "--direct", "up0"))
    commands = {
        PASS: (PYTHON, "-c", "pass"),
        "vmnet --version": (COMMAND, "--version"),
        "vmnet --help": (COMMAND, "--help"),
        XML_COMMAND: (COMMAND, "xml", "--direct", "up0"),
        CHECK: (COMMAND, "check", str(file)),
        "virsh --version": ("virsh", "--version"),
        "virt-xml --help": ("virt-xml", "--help"),
        BUILD_XML: ("virt-xml", "--build-xml", "--network", "type=direct,source=up0"),
        **{
            name: (PYTHON, "-c", f"import gc, os; gc.disable(); {name}; os._exit(0)")
            for name in (TYPER, WITH_LXML, WITH_LIBVIRT)
        },
    }
    taken = in_turn({name: partial(timed, *argv) for name, argv in commands.items()}, 15)
    note = "The imports are made as vmnet makes them: no garbage is collected, and the end cleans nothing up."
    yield Group(START, MILLISECONDS, taken, PASS, note)


def memory() -> Iterator[Group]:
    """The most that a command has in memory at once."""
    virt_xml = str(shutil.which("virt-xml"))
    scripts = {
        PASS: (PYTHON, os.devnull),  # an empty script
        XML_COMMAND: (PYTHON, COMMAND, "xml", "--direct", "up0"),
        "vmnet list": (PYTHON, COMMAND, "list"),
        "virt-xml --help": (DEBIAN_PYTHON, virt_xml, "--help"),
        BUILD_XML: (DEBIAN_PYTHON, virt_xml, "--build-xml", "--network", "type=direct,source=up0"),
    }
    taken = in_turn({name: partial(peak_mebibytes, *argv) for name, argv in scripts.items()}, 3)
    yield Group(MEMORY, MEBIBYTES, taken, PASS, "Resident, as the kernel counts it (VmHWM).")


def one_nic() -> Iterator[Group]:
    """The generators alone, in warm processes."""
    script = str(Path(__file__).with_name("one_nic.py"))
    makers = {VIRTINST_XML: (DEBIAN_PYTHON, script, "virtinst"), VMNET_XML: (PYTHON, script, "vmnet")}
    taken = in_turn({name: partial(_told, *argv) for name, argv in makers.items()}, 7)
    note = "A sample is the mean of 1,000 calls in a process of its own; virtinst runs under Debian's Python."
    yield Group(XML, MICROSECONDS, taken, VIRTINST_XML, note)


def _told(*argv: str) -> float:
    """The figure that a command prints."""
    return float(said(*argv))


def live(guest: Guest, connection: Connection, scratch: Path) -> Iterator[Group]:
    """A NIC plugged into a running guest, and taken out."""
    with guest.passive():
        taken = in_turn(cases(guest, connection, COMMAND, scratch), 10)
    tools = (RPC, VIRSH_XML, VIRSH, VIRT_XML, VMNET, IN_PROCESS)
    for kind in (k.name for k in KINDS):
        note = "virsh attach-interface makes it in mode vepa, and cannot be told another." if kind == "macvtap" else ""
        attached = {tool: [one.attach.seconds for one in taken[kind, tool]] for tool in tools}
        detached = {tool: [one.detach.seconds for one in taken[kind, tool]] for tool in tools}
        yield Group(live_title(kind, "attach"), MILLISECONDS, attached, RPC, note)
        yield Group(live_title(kind, "detach"), MILLISECONDS, detached, RPC, "Until the guest has let go of it.")
    own = {
        f"{verb}, {kind.name}{part}": [getattr(getattr(one, verb), figure) for one in taken[kind.name, IN_PROCESS]]
        for kind in KINDS
        for verb in ("attach", "detach")
        for part, figure in (("", "own"), (f": {ASKING}", "asking"), (f": {LOOKING}", "looking"))
    }
    note = (
        "What the operation takes in process beside libvirt's own attach or unplug: looking at the host and at all "
        "domains, the checks, the plan, and reading back from libvirt and the kernel. The rows with a colon are parts "
        "of the row above them."
    )
    yield Group(OWN, MILLISECONDS, own, note=note)


def many(scratch: Path) -> Iterator[Group]:
    """Several guests changed at once."""
    with guests(GUEST) as connection:
        taken = in_turn(many_cases(connection, COMMAND, scratch), 5)
    note = "They are off, so that only their definitions change; vmnet looks at the host and at all domains once."
    yield Group(MANY, MILLISECONDS, taken, VIRSH_TEN, note)


def lab() -> Iterator[Group]:
    """The lab itself, and how soon a guest in it is on the LAN."""
    taken = {
        **in_turn({BARE_LAB: partial(timed, COMMAND, "lab", "run", "--", "true")}, 7),
        **in_turn({GUEST_LAB: partial(timed, COMMAND, "lab", "run", "--guests", "1", "--", "true")}, 3),
        **in_turn({FIRST_PING: _first_ping}, 3),
    }
    note = "The last row: from the start of `vmnet attach` to the guest's answer, its DHCP included."
    yield Group(LAB, SECONDS, taken, note=note)


def _first_ping() -> float:
    """Seconds from an attach until the LAN has the guest's answer; the guest is then as it was."""
    told = len(console(GUEST).read_text())

    def event(pattern: str) -> str | None:
        found = re.search(pattern, console(GUEST).read_text()[told:])
        return found[1] if found else None

    start = time.perf_counter()
    timed(COMMAND, "attach", GUEST, "--direct", "up0", "--live", "-q")
    until(lambda: event(r"lab: address eth0 ([\d.]+)\s"), "the guest has an address")
    timed("ip", "netns", "exec", "lan", "ping", "-c", "1", "-W", "5", str(event(r"lab: address eth0 ([\d.]+)\s")))
    took = time.perf_counter() - start
    timed(COMMAND, "detach", GUEST, str(event(r"lab: nic\+ eth0 ([\da-f:]+)\s")), "--live", "-q")
    until(lambda: event(r"lab: (nic-) eth0"), "the guest has noticed that the NIC went")
    return took


def listing() -> Iterator[Group]:
    """A guest with two NICs, asked for them."""
    timed(COMMAND, "attach", GUEST, "--direct", "up0", "--live", "-q")
    timed(COMMAND, "attach", GUEST, "--bridge", "br0", "--live", "-q")
    commands = {
        "virsh domiflist": ("virsh", "domiflist", GUEST),
        "virsh domifaddr --source agent": ("virsh", "domifaddr", GUEST, "--source", "agent"),
        "vmnet list": (COMMAND, "list"),
    }
    taken = in_turn({name: partial(timed, *argv) for name, argv in commands.items()}, 10)
    note = "vmnet also says what the kernel has, how the two documents differ, and the addresses."
    yield Group(LISTING, MILLISECONDS, taken, "virsh domiflist", note)


def machine(guest: Guest, connection: libvirt.virConnect) -> str:
    """What it ran on, in general words."""

    def dotted(version: int) -> str:
        return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"

    debian = said(DEBIAN_PYTHON, "-c", "import platform; print(platform.python_version())").strip()
    kernel = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()} cores, Linux {kernel}, libvirt {dotted(connection.getLibVersion())}, "
        f"QEMU {dotted(connection.getVersion())} {guest.accelerator}, one guest of 128 MiB, "
        f"Python {platform.python_version()} (Debian's: {debian}); "
        f"load average before the run {os.getloadavg()[0]:.1f}."
    )


def require() -> None:
    """End if something to measure with is missing."""
    if "VMNET_LAB" not in os.environ:
        raise Failed("this runs inside a lab: make bench")
    missing = {package for program, package in PEERS.items() if not shutil.which(program)}
    if not VIRTINST.is_dir():
        missing.add(PEERS["virt-xml"])
    if missing:
        raise Failed(f"peers to measure against are not installed: apt-get install {' '.join(sorted(missing))}")
    if not compileall.compile_dir(Path(str(vmnet.__file__)).parent, quiet=1):
        raise Failed("vmnet's byte code could not be compiled")


def main() -> None:
    """Measure everything, and then write the page."""
    require()
    for words in ("link add br0 type bridge", "link set br0 up"):
        timed("ip", *words.split())
    guest = Guest(GUEST)
    about = machine(guest, libvirt.open(None))
    groups: list[Group] = []
    with tempfile.TemporaryDirectory() as scratch, Connection(os.environ["LIBVIRT_DEFAULT_URI"]) as connection:
        for what, some in (
            ("start-up", start_up(Path(scratch))),
            ("memory", memory()),
            ("generators", one_nic()),
            ("live attach and detach", live(guest, connection, Path(scratch))),
            ("ten guests", many(Path(scratch))),
            ("the lab", lab()),
            ("one guest's NICs", listing()),
            ("the host's line", moves()),
            ("listing, test driver", at_scale(Path(scratch), COMMAND)),
            ("listing, daemon", on_a_daemon(os.environ["LIBVIRT_DEFAULT_URI"], GUEST, COMMAND)),
        ):
            start = time.monotonic()
            groups += some
            print(f"{what}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    PAGE.write_text(page(datetime.date.today().isoformat(), about, METHOD, groups, AIMS))
    print(f"written: {PAGE.relative_to(PAGE.parents[1])}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: {failure}")
