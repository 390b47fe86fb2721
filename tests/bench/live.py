"""Plug a NIC into a running guest and take it out again, by every tool: one case a tool and kind of NIC."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import libvirt
import libvirt_qemu
from measure import Failed, timed, until

from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Scope
from vmnet.host import rtnetlink
from vmnet.operations.attach import attach
from vmnet.operations.change import Run
from vmnet.operations.choice import Choice
from vmnet.operations.detach import detach
from vmnet.operations.wish import NicWish

UPLINK, BRIDGE = "up0", "br0"
MAC = "52:54:00:be:00:01"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of NIC, as each tool wants to be told of it."""

    name: str
    xml: str
    virsh: tuple[str, str]
    virt_xml: str
    fields: dict[str, str]


def _xml(kind: str, source: str) -> str:
    return f'<interface type="{kind}"><mac address="{MAC}"/><source {source}/><model type="virtio"/></interface>'


KINDS = (
    Kind(
        "macvtap",
        _xml("direct", f'dev="{UPLINK}" mode="bridge"'),
        ("direct", UPLINK),
        f"type=direct,source={UPLINK},source.mode=bridge",
        {"direct": UPLINK, "mode": "bridge"},
    ),
    Kind("bridge", _xml("bridge", f'bridge="{BRIDGE}"'), ("bridge", BRIDGE), f"bridge={BRIDGE}", {"bridge": BRIDGE}),
)


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds that a change took, and where known how many of them outside libvirt's own attach or unplug.

    Args:
        seconds: All of them.
        own: Those outside.
        asking: Of these, those in other calls of libvirt's: finding the domain, reading documents.
        looking: Of these, those in reading the kernel's tables.
    """

    seconds: float
    own: float = 0
    asking: float = 0
    looking: float = 0


@dataclass(frozen=True, slots=True)
class Cycle:
    """One attach and one detach."""

    attach: Took
    detach: Took


Change: TypeAlias = Callable[[], Took]
"""A change of the guest, timed."""


class Guest:
    """The guest that everything is plugged into, over libvirt and its agent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._connection = libvirt.open(None)
        self.domain = self._connection.lookupByName(name)

    def has_nic(self) -> bool:
        """Whether libvirt still has the NIC on it."""
        return MAC in self.domain.XMLDesc()

    def sees_nic(self) -> bool:
        """Whether its own kernel has brought up a driver for the NIC."""
        return MAC in self._agent("guest-network-get-interfaces")

    @property
    def accelerator(self) -> str:
        """How it runs, in words."""
        return "with KVM" if "<domain type='kvm'" in self.domain.XMLDesc() else "with emulated CPUs (TCG)"

    @contextmanager
    def passive(self) -> Iterator[None]:
        """Keep its init from configuring NICs: it finds them in sysfs, and DHCP and ping are not to be measured."""
        self._run("mount", "-t", "tmpfs", "none", "/sys/class/net")
        try:
            yield
        finally:
            self._run("umount", "/sys/class/net")

    def _run(self, *argv: str) -> None:
        started = self._agent("guest-exec", {"path": "/bin/busybox", "arg": argv, "capture-output": True})
        pid = {"pid": json.loads(started)["return"]["pid"]}
        status = {}

        def ended() -> bool:
            status.update(json.loads(self._agent("guest-exec-status", pid))["return"])
            return bool(status["exited"])

        until(ended, f"{self.name} runs {argv[0]}")
        if status["exitcode"]:
            raise Failed(f"{self.name}: {' '.join(argv)}: {status}")

    def _agent(self, command: str, arguments: object = None) -> str:
        call = {"execute": command} | ({"arguments": arguments} if arguments else {})
        return str(libvirt_qemu.qemuAgentCommand(self.domain, json.dumps(call), 10, 0))


RPC = "bare libvirt call, warm process"
VIRSH_XML = "virsh attach-device, detach-device"
VIRSH = "virsh attach-interface, detach-interface"
VIRT_XML = "virt-xml --add-device, --remove-device"
VMNET = "vmnet attach, detach"
IN_PROCESS = "vmnet in process, connection open"


def cases(
    guest: Guest, connection: Connection, vmnet: str, scratch: Path
) -> dict[tuple[str, str], Callable[[], Cycle]]:
    """A case for each kind of NIC and tool, by their names; it leaves the guest as it was.

    Args:
        guest: The guest, without NICs.
        connection: vmnet's own, open as a program that uses its Python API has it.
        vmnet: The command.
        scratch: A directory for the files that virsh wants.
    """
    return {
        (kind.name, tool): partial(_cycle, guest, plug, unplug)
        for kind in KINDS
        for tool, (plug, unplug) in {
            RPC: _calls(guest, kind),
            **_commands(guest, kind, vmnet, scratch),
            IN_PROCESS: _operations(guest, kind, connection),
        }.items()
    }


def _cycle(guest: Guest, plug: Change, unplug: Change) -> Cycle:
    """Both, each seen to have been done before the next begins; the looking is not timed."""
    attached = plug()
    if not guest.has_nic():
        raise Failed("a NIC that was attached is not on the guest")
    until(guest.sees_nic, "the guest's kernel sees the NIC")
    detached = unplug()
    if guest.has_nic():
        raise Failed("a NIC that was detached is still on the guest")
    return Cycle(attached, detached)


def _calls(guest: Guest, kind: Kind) -> tuple[Change, Change]:
    def change(call: Callable[[str, int], int]) -> Took:
        return _clocked(lambda: call(kind.xml, libvirt.VIR_DOMAIN_AFFECT_LIVE))

    return partial(change, guest.domain.attachDeviceFlags), partial(change, guest.domain.detachDeviceFlags)


def _commands(guest: Guest, kind: Kind, vmnet: str, scratch: Path) -> dict[str, tuple[Change, Change]]:
    file = scratch / f"{kind.name}.xml"
    file.write_text(kind.xml)
    options = [part for name, value in kind.fields.items() for part in (f"--{name}", value)]
    network = ("--update", "--no-define", "--network")

    def command(program: str, verb: str, *argv: str) -> Change:
        return lambda: Took(timed(*program.split(), *verb.split(), guest.name, *argv))

    def virt_xml(verb: str, wish: str) -> Change:
        return lambda: Took(timed("virt-xml", guest.name, verb, *network, wish))

    return {
        VIRSH_XML: (
            command("virsh -q", "attach-device", str(file), "--live"),
            command("virsh -q", "detach-device", str(file), "--live"),
        ),
        VIRSH: (
            command("virsh -q", "attach-interface", *kind.virsh, "--mac", MAC, "--model", "virtio", "--live"),
            command("virsh -q", "detach-interface", kind.virsh[0], "--mac", MAC, "--live"),
        ),
        VIRT_XML: (
            virt_xml("--add-device", f"{kind.virt_xml},mac={MAC},model=virtio"),
            virt_xml("--remove-device", f"mac={MAC}"),
        ),
        VMNET: (
            command(vmnet, "attach", *options, "--mac", MAC, "--model", "virtio", "--live", "-q"),
            command(vmnet, "detach", MAC, "--live", "-q"),
        ),
    }


def _operations(guest: Guest, kind: Kind, connection: Connection) -> tuple[Change, Change]:
    """vmnet's operations as a Python program calls them.

    An unplug's own calls are its request and the event loop, in which the guest is waited for.
    """
    wish, here = NicWish(kind.fields | {"mac": MAC, "model": "virtio"}), Choice((guest.name,))

    def plug() -> Took:
        return _divided(lambda: attach(connection, here, wish, scope=Scope.LIVE, run=Run()))

    def unplug() -> Took:
        return _divided(lambda: detach(connection, here, MAC, scope=Scope.LIVE, run=Run()))

    return plug, unplug


_THEIRS = ((libvirt.virDomain, "attachDeviceFlags"), (libvirt.virDomain, "detachDeviceAlias"))
_WAITING = ((libvirt, "virEventRunDefaultImpl"),)
_ASKING = (
    *((libvirt.virConnect, name) for name in ("listAllDomains", "lookupByName", "lookupByUUIDString", "getLibVersion")),
    *((libvirt.virConnect, name) for name in ("domainEventRegisterAny", "domainEventDeregisterAny")),
    *((libvirt.virDomain, name) for name in ("XMLDesc", "state", "isActive", "isPersistent")),
)
_LOOKING = ((rtnetlink, "dump"),)


def _divided(change: Callable[[], object]) -> Took:
    """Where a change's time goes: to libvirt's attach or unplug with the wait for the guest, and to what else."""
    with ExitStack() as stack:
        theirs, asking, looking = (
            [stack.enter_context(_seconds_in(*one)) for one in some] for some in (_THEIRS + _WAITING, _ASKING, _LOOKING)
        )
        took = _clocked(change).seconds
    inside, asked, looked = (sum(map(sum, some)) for some in (theirs, asking, looking))
    return Took(took, took - inside, asked, looked)


def _clocked(change: Callable[[], object]) -> Took:
    start = time.perf_counter()
    change()
    return Took(time.perf_counter() - start)


@contextmanager
def _seconds_in(owner: object, name: str) -> Iterator[list[float]]:
    """How long each call of a function of libvirt-python takes."""
    original, taken = getattr(owner, name), list[float]()

    def clocked(*given: object) -> object:
        start = time.perf_counter()
        try:
            return original(*given)
        finally:
            taken.append(time.perf_counter() - start)

    with patch.object(owner, name, clocked):
        yield taken
