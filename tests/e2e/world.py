"""The lab as a test sees it: vmnet as users run it, and libvirt, the kernel and the guests asked without vmnet."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any, TypeVar

import libvirt
from lxml import etree

libvirt.registerErrorHandler(lambda *_: None, None)  # it prints every error otherwise
T = TypeVar("T")
UPLINK, UPLINK_MAC = "up0", "02:00:00:00:00:01"
GATEWAY = "10.99.0.1"
HOST_ADDRESS = "10.99.0.11"
CONSOLES = Path("/run/vmnet-lab")
ATTACHMENTS = {
    "macvtap-bridge": ("--direct", UPLINK),
    "macvtap-vepa": ("--direct", UPLINK, "--mode", "vepa"),
    "macvtap-private": ("--direct", UPLINK, "--mode", "private"),
    "macvtap-passthrough": ("--direct", UPLINK, "--mode", "passthrough"),
    "bridge-existing": ("--bridge", "br0"),
    "bridge-made": ("--bridge", "br0", "--uplink", UPLINK),
}
"""Every way to attach a NIC: its name, and the options that say it."""


def until(so: Callable[[], T], what: str, seconds: float = 45) -> T:
    """The first true value of `so`; fails, saying what was waited for, when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := so()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)
    return value


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


def run(*command: str, **options: Any) -> Done:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)
    return Done(done.returncode, done.stdout, done.stderr)


def vmnet(*arguments: str, **options: Any) -> Done:
    return run("vmnet", *arguments, **options)


def at_rest(pid: int) -> None:
    """Wait until a process does nothing but wait: it sleeps whenever it is looked at, and uses no time."""
    looks: list[list[str]] = []

    def rests() -> bool:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        looks.append([fields[0], fields[11], fields[12]])  # its state, and its time in its own code and in the kernel's
        return len(looks) > 5 and all(look == ["S", *looks[-1][1:]] for look in looks[-5:])

    until(rests, "vmnet waits")


class Waiting:
    """A vmnet command that waits for a guest.

    Args:
        until: It is waited for until it says this on stderr.
        arguments: Its command line.
    """

    def __init__(self, until: str, *arguments: str) -> None:
        self._process = subprocess.Popen(["vmnet", *arguments], stderr=subprocess.PIPE, stdout=DEVNULL, text=True)
        assert self._process.stderr is not None
        self._said = ""
        while until not in self._said:
            line = self._process.stderr.readline()
            assert line, f"vmnet ended, and said {self._said}"
            self._said += line

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def at_rest(self) -> None:
        """Wait until it does nothing but wait."""
        at_rest(self._process.pid)

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self) -> Done:
        """The command when it has ended by itself, soon."""
        _, said = self._process.communicate(timeout=10)
        return Done(self._process.returncode, "", self._said + said)


def changed(*arguments: str) -> dict[str, Any]:
    """What a vmnet command that must succeed has to say, in JSON."""
    done = vmnet(*arguments, "--json")
    assert done.code == 0, done.out + done.err
    return done.json


def tool(*command: str) -> str:
    """What a tool of the system says, which must succeed."""
    done = run(*command)
    assert done.code == 0, f"{command}: {done.err}"
    return done.out


def ip(command: str) -> Any:
    """iproute2: ``ip("link add br0 type bridge")``; with -j, what it says, decoded."""
    said = tool("ip", *command.split())
    return json.loads(said or "[]") if command.startswith("-j") else said


def links() -> dict[str, dict[str, Any]]:
    return {link["ifname"]: link for link in ip("-j -d link")}


def make_bridge(name: str = "br0", uplink: str | None = UPLINK) -> None:
    ip(f"link add {name} address 02:00:00:00:00:b0 type bridge stp_state 0 forward_delay 0")
    if uplink:
        ip(f"link set {uplink} master {name}")
    ip(f"link set {name} up")
    if uplink:
        until(lambda: links()[name]["operstate"] == "UP", f"{name} forwards")


_MOVING = {"gc_timer", "hello_timer", "tentative", "operstate", "tso_max_size", "tso_max_segs"}
"""What changes by itself in the kernel's view of a link, comes of its ports, or is in its flags too."""

_CARRIER = {"LOWER_UP", "NO-CARRIER"}
"""Flags that the kernel changes up to a second after whatever they come of."""


@contextmanager
def hypervisor() -> Iterator[libvirt.virConnect]:
    """A connection of the test's own: vmnet's is not asked what vmnet did."""
    connection = libvirt.open("qemu:///system")
    try:
        yield connection
    finally:
        connection.close()


def photograph() -> dict[str, Any]:
    """All that vmnet could change: links, addresses, domains. Two pictures of one world are equal."""
    with hypervisor() as connection:
        domains = {
            d.name(): (
                d.XMLDesc() if d.isActive() else None,
                d.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if d.isPersistent() else None,
            )
            for d in connection.listAllDomains()
        }
    return {"links": links(), "addresses": ip("-j addr"), "domains": domains}


@contextmanager
def unchanged_world() -> Iterator[None]:
    """The world is after the block as it was before, once the kernel has told its links' carriers on."""
    before = dict(_flat(photograph()))
    yield
    deadline = time.monotonic() + 3
    while (after := dict(_flat(photograph()))) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert after == before


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested mappings and sequences, by its path: two of these differ in few lines."""
    match value:
        case dict():
            items: Any = value.items()
        case list() | tuple():
            items = enumerate(value)
        case _:
            yield path, value
            return
    for key, item in items:
        if key == "flags":
            yield f"{path}/{key}", sorted(set(item) - _CARRIER)
        elif key not in _MOVING:
            yield from _flat(item, f"{path}/{key}")


@dataclass(frozen=True)
class Seen:
    """A NIC as a domain's XML has it."""

    element: etree._Element

    @property
    def mac(self) -> str:
        return self._at("mac/@address")

    @property
    def alias(self) -> str:
        return self._at("alias/@name")

    @property
    def model(self) -> str:
        return self._at("model/@type")

    @property
    def target(self) -> str:
        return self._at("target/@dev")

    @property
    def address(self) -> tuple[str, ...]:
        return tuple(self._at(f"address/@{part}") for part in ("type", "domain", "bus", "slot", "function"))

    @property
    def attachment(self) -> tuple[str, ...]:
        return (self._at("@type"), self._at("source/@dev") or self._at("source/@bridge"), self._at("source/@mode"))

    @property
    def same_in_both(self) -> tuple[Any, ...]:
        """What must be equal in the live and in the persistent document."""
        return (self.mac, self.alias, self.model, self.address, self.attachment)

    def _at(self, path: str) -> str:
        return next(iter(self.element.xpath(path)), "")


class Guest:
    """A domain of the lab, and the system that runs in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def running(self) -> list[Seen]:
        """The NICs that it has now."""
        return self._nics()

    @property
    def defined(self) -> list[Seen]:
        """The NICs that it has after its next start."""
        return self._nics("--inactive")

    def _nics(self, *options: str) -> list[Seen]:
        root = etree.fromstring(tool("virsh", "dumpxml", self.name, *options))
        return [Seen(e) for e in root.iterfind("devices/interface")]

    @property
    def console(self) -> str:
        file = CONSOLES / f"{self.name}.console"
        return file.read_text(errors="replace").replace("\r", "") if file.exists() else ""

    @contextmanager
    def told(self, pattern: str) -> Iterator[None]:
        """Wait, after the block, until the console has a line with `pattern` that it had not before."""
        before = len(self.console)
        yield
        until(lambda: re.search(pattern, self.console[before:]), f"{self.name} says {pattern}")

    def has_booted(self, times: int = 1) -> None:
        until(lambda: self.console.count("lab: ready") >= times, f"{self.name} boots", 120)

    def sees(self, mac: str) -> None:
        """Wait until the guest has found its NIC with that MAC address."""
        until(lambda: re.search(rf"lab: nic\+ \w+ {mac}", self._since_boot), f"{self.name} sees {mac}")

    def reaches_lan(self, mac: str) -> None:
        """Wait until the guest's last ping of the LAN's gateway over the NIC with that MAC address was answered."""
        until(lambda: self._last(mac, "lan") == "up", f"{self.name} pings the LAN over {mac}")

    def is_cut_off(self, mac: str) -> bool:
        """Whether the guest's last ping of the LAN's gateway over that NIC was lost."""
        return self._last(mac, "lan") == "down"

    def address(self, mac: str) -> str:
        """The address that the guest gets by DHCP on that NIC."""
        return until(lambda: self._last(mac, "address"), f"{self.name} has an address on {mac}")

    def _last(self, mac: str, event: str) -> str | None:
        """What the guest last said of an event at the NIC with that MAC address, while it has it."""
        *_, here = [None, *re.finditer(rf"lab: nic\+ (\w+) {mac}", self._since_boot)]
        if here is None or f"lab: nic- {here[1]} {mac}" in (since := here.string[here.end() :]):
            return None
        *_, said = [None, *re.findall(rf"lab: {event} {here[1]} (\S+)", since)]
        return said

    @property
    def _since_boot(self) -> str:
        return self.console.rpartition("lab: ready")[2]

    def is_done_with_its_nics(self) -> bool:
        """Whether the guest has said of each NIC that came that it went."""
        came, went = (sorted(re.findall(rf"lab: nic\{sign} (.*)", self._since_boot)) for sign in "+-")
        return came == went

    def pings(self, address: str) -> bool:
        return self.execute("/bin/ping", "-c", "1", "-W", "1", address)[0] == 0

    def execute(self, path: str, *arguments: str) -> tuple[int, str]:
        """Run a program in the guest, by its agent; its exit status and output."""
        pid = self._agent("guest-exec", path=path, arg=arguments, **{"capture-output": True})["pid"]
        done = until(
            lambda: (s := self._agent("guest-exec-status", pid=pid))["exited"] and s, f"{path} ends in {self.name}"
        )
        return done.get("exitcode", -1), base64.b64decode(done.get("out-data", "")).decode(errors="replace")

    def _agent(self, command: str, **arguments: Any) -> Any:
        asked = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(tool("virsh", "qemu-agent-command", self.name, asked))["return"]


def documents(guest: Guest) -> list[str]:
    """Both documents of a guest, as libvirt writes them."""
    return [tool("virsh", "dumpxml", guest.name, *options) for options in ((), ("--inactive",))]


def define(name: str, *, like: str = "guest1", extra: Sequence[str] = ()) -> Guest:
    """Define a shut-off domain like one that is there, with further `<interface>`s."""
    tool("virsh", "define", os.fspath(_file(name, like, extra)))
    return Guest(name)


def define_with_three_nics(name: str) -> Guest:
    """Define a shut-off domain with three NICs on br0, of which the second alone has a boot order."""
    nic = (
        "<interface type='bridge'><mac address='52:54:00:{}:00:0{}'/><source bridge='br0'/><model type='virtio'/>{}"
        "</interface>"
    )
    family = sum(name.encode()) % 90 + 10
    return define(name, extra=[nic.format(family, n, "<boot order='1'/>" if n == 2 else "") for n in (1, 2, 3)])


def create(name: str, *options: str, like: str = "guest1", extra: Sequence[str] = ()) -> Guest:
    """Start a transient domain like one that is there."""
    tool("virsh", "create", os.fspath(_file(name, like, extra)), *options)
    return Guest(name)


def _file(name: str, like: str, extra: Sequence[str]) -> Path:
    root = etree.fromstring(tool("virsh", "dumpxml", like, "--inactive"))
    root.remove(root.find("uuid"))
    root.find("name").text = name
    for source in root.iterfind("devices/*/source[@path]"):
        source.set("path", str(CONSOLES / f"{name}.console"))
    root.find("devices").extend(etree.fromstring(nic) for nic in extra)
    if root.find("devices/interface/boot") is not None:  # which libvirt refuses beside one in <os>
        root.find("os").remove(root.find("os/boot"))
    file = CONSOLES / "domain.xml"
    file.write_bytes(etree.tostring(root))
    return file


def clean() -> None:
    """Put the lab back to what it was: two guests without a NIC, an uplink without anything on it."""
    with hypervisor() as connection:
        for domain in connection.listAllDomains():
            if domain.name() in ("guest1", "guest2"):
                _bare(domain)
            else:
                _gone(domain)
        for network in connection.listAllNetworks():
            _gone(network)
        for rules in connection.listAllNWFilters():
            rules.undefine()
    _bare_host()


def _gone(one: libvirt.virDomain | libvirt.virNetwork) -> None:
    persistent = one.isPersistent()  # a transient one is gone once it is destroyed
    if one.isActive():
        one.destroy()
    if persistent:
        one.undefine()


def _bare(domain: libvirt.virDomain) -> None:
    guest = Guest(domain.name())
    if domain.isActive() and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()
    live, config = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    for nic in guest.defined:
        domain.detachDeviceFlags(etree.tostring(nic.element, encoding="unicode"), config)
    if not domain.isActive():
        domain.create()
        guest.has_booted()

    def let_go() -> bool:
        for nic in guest.running:
            # Refused while an earlier request stands, or when the NIC has just gone.
            with suppress(libvirt.libvirtError):
                domain.detachDeviceFlags(etree.tostring(nic.element, encoding="unicode"), live)
        return not guest.running

    until(let_go, f"{guest.name} lets go of its NICs")
    until(guest.is_done_with_its_nics, f"{guest.name} has seen its NICs go")


def _bare_host() -> None:
    for link in links():
        if link not in ("lo", UPLINK) and link in links():
            ip(f"link del {link}")
    ip(f"link set {UPLINK} nomaster")
    ip(f"link set {UPLINK} address {UPLINK_MAC} mtu 1500 up")
    ip(f"addr flush dev {UPLINK} scope global")
    tool("ip", "-n", "lan", "link", "set", "port1", "type", "bridge_slave", "hairpin", "off")
