"""Domains as values: the live and the persistent document, and the NICs in both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import cached_property

from vmnet.guest.kinds import State, Target
from vmnet.nic import xml
from vmnet.nic.model import Nic
from vmnet.nic.types import OnOff
from vmnet.values import dataclass

LIMIT_BYTES = 1 << 24
"""libvirt's own word, and far more than it sends (VIR_NET_MESSAGE_STRING_MAX: 4 MiB)."""

_HOTPLUG_PORTS = ("pcie-root-port", "pcie-switch-downstream-port")
"""PCI controllers that take one device, at slot 0, while the guest runs."""

_HOTPLUG_BUSES = ("pci-root", "pci-bridge", "pcie-to-pci-bridge")
"""PCI controllers whose slots take devices while the guest runs; slot 0 is the bridge's own."""


@dataclass(frozen=True)
class Document:
    """One domain XML: the live one, or the persistent definition."""

    root: xml.Element = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Document:
        """The document of a domain XML. Raises `VmnetError` ``xml-invalid``."""
        return cls(xml.parse(text, limit=LIMIT_BYTES))

    @cached_property
    def nics(self) -> tuple[Nic, ...]:
        """The NICs, in the document's order."""
        return tuple(nic for devices in self.root.iterchildren("devices") for nic in Nic.within(devices))

    def find(self, nic: Nic) -> Nic | None:
        """This document's state of a NIC: the very one if it is there, else the first that may be in another state."""
        return _nearest(nic, self.nics)

    def with_nic(self, nic: Nic, before: Nic | None = None, place: int | None = None) -> Document:
        """The document with this state of a NIC, in the place of the one it has; where it has none, in another.

        Args:
            nic: The NIC as it is to be.
            before: The NIC as it is in the document, where its identity changes.
            place: Its number among the NICs where the document has none; None for the last.
        """
        return self._changed(before or nic, nic.element, place)

    def without_nic(self, nic: Nic) -> Document:
        """The document without a NIC."""
        return self._changed(nic, None)

    def _changed(self, nic: Nic, coming: xml.Element | None, place: int | None = None) -> Document:
        root = xml.detached(self.root)
        devices = root.find("devices")
        assert devices is not None, "a domain has devices"
        there = devices.findall("interface")
        states = [Nic(element) for element in there]
        found = _nearest(nic, states)
        going = None if found is None else there[states.index(found)]
        if coming is not None:
            follower = going if going is not None or place is None else next(iter(there[place:]), None)
            devices.insert(len(devices) if follower is None else devices.index(follower), coming)
        if going is not None:
            xml.remove(going)
        return Document(root)

    @property
    def has_agent(self) -> bool:
        """Whether a guest agent is connected; only a live document can tell."""
        targets = self.root.iterfind("devices/channel/target")
        agent = next((target for target in targets if target.get("name") == "org.qemu.guest_agent.0"), None)
        return agent is not None and agent.get("state") == "connected"

    def pci_in_use(self) -> set[tuple[int, int]]:
        """Bus and slot of every device that has a PCI address."""
        found = self.root.iterfind("devices//address[@type='pci']")
        return {(_number(a.get("bus")), _number(a.get("slot"))) for a in found}

    def cannot_place(self, nic: Nic, running: bool) -> str:
        """Why the NIC's PCI address cannot be its own; empty if it can, or if it has none.

        Args:
            nic: The NIC, which the document has not.
            running: Whether it is to be plugged in; libvirt adds a controller that a definition lacks.
        """
        if nic.address is None:
            return ""
        bus, slot, function = (int(part, 16) for part in re.split("[:.]", nic.address)[1:])
        found = self.root.iterfind("devices/*/address[@type='pci']")
        there = [a for a in found if (_number(a.get("bus")), _number(a.get("slot"))) == (bus, slot)]
        shared = nic.get("multifunction") is OnOff.ON or any(a.get("multifunction") == "on" for a in there)
        if there and (not shared or any(_number(a.get("function")) == function for a in there)):
            return "another device has it"
        if not running:
            return ""
        controllers = self.root.iterfind("devices/controller[@type='pci']")
        controller = next((c for c in controllers if _number(c.get("index")) == bus), None)
        if controller is None:
            return f"the running guest has no PCI controller {bus}"
        target, model = controller.find("target"), controller.get("model")
        off = target is not None and target.get("hotplug") == "off"
        if off or (slot != 0 if model in _HOTPLUG_PORTS else slot == 0 or model not in _HOTPLUG_BUSES):
            return f"PCI controller {bus} ({model}) of the running guest takes no device there"
        return ""

    def pci_slots(self) -> Iterator[tuple[int, int]]:
        """Bus and slot of every place that takes a device while the guest runs, free or not."""
        found = self.root.iterfind("devices/controller[@type='pci']")
        controllers = [c for c in found if (t := c.find("target")) is None or t.get("hotplug") != "off"]
        for bus, model in sorted((_number(c.get("index")), c.get("model")) for c in controllers):
            if model in _HOTPLUG_PORTS:
                yield bus, 0
            elif model in _HOTPLUG_BUSES:
                # Slots 1 and 2 of i440fx are the chipset's and, by libvirt's habit, the first video card's.
                yield from ((bus, slot) for slot in range(3 if model == "pci-root" else 1, 32))


@dataclass(frozen=True)
class GuestNic:
    """A NIC as the running guest has it, and as its definition has it; one of them can be missing.

    Args:
        live: In the live document.
        config: In the persistent definition.
    """

    live: Nic | None
    config: Nic | None

    @property
    def nic(self) -> Nic:
        """The NIC as the guest has it now, or will have it when it starts."""
        nic = self.live or self.config
        assert nic is not None, "a guest's NIC is in one document at least"
        return nic

    @property
    def mac(self) -> str:
        """Its MAC address, which is what makes it the same NIC in both documents."""
        return self.nic.mac or ""

    def on(self, target: Target) -> Nic | None:
        """The NIC in one of the documents."""
        return self.live if target is Target.LIVE else self.config


@dataclass(frozen=True)
class Domain:
    """A domain as it was observed.

    Args:
        name: Its name.
        uuid: Its UUID, by which it is found again.
        state: What it was doing.
        live: Its live document, if it runs.
        config: Its persistent definition, if it has one.
    """

    name: str
    uuid: str
    state: State
    live: Document | None
    config: Document | None

    def document(self, target: Target) -> Document | None:
        """One of the documents, None if the domain has none of the kind."""
        return self.live if target is Target.LIVE else self.config

    @cached_property
    def nics(self) -> tuple[GuestNic, ...]:
        """The NICs of both documents, those with the same MAC as one: the definition's first, in its order.

        A NIC that is plugged in again is the last of the live document, and stays where it was in the definition.
        """
        defined = self.config.nics if self.config else ()
        waiting = dict(enumerate(defined))
        running: dict[int, Nic] = {}
        passing = []
        for live in self.live.nics if self.live else ():
            place = next((place for place, nic in waiting.items() if same(live, nic)), None)
            if place is None:
                passing.append(live)
            else:
                running[place] = live
                del waiting[place]
        pairs = (GuestNic(running.get(place), nic) for place, nic in enumerate(defined))
        return (*pairs, *(GuestNic(nic, None) for nic in passing))

    def free_address(self, targets: Sequence[Target]) -> str | None:
        """A PCI address that is free in all the documents to be changed.

        Returns:
            None when there is no such place.
        """
        documents = [d for d in map(self.document, targets) if d]
        used = set[tuple[int, int]]().union(*(d.pci_in_use() for d in documents))
        places = [list(d.pci_slots()) for d in documents]
        common = (place for place in places[0] if all(place in others for others in places[1:])) if places else ()
        return next((f"0000:{bus:02x}:{slot:02x}.0" for bus, slot in common if (bus, slot) not in used), None)

    @property
    def has_pci(self) -> bool:
        """Whether its machine has a PCI bus at all; s390x and the like have not."""
        return any(d.root.find("devices/controller[@type='pci']") is not None for d in (self.live, self.config) if d)


def same(one: Nic, other: Nic) -> bool:
    """Whether two states are of one NIC; the address tells NICs with one MAC apart, where both have one."""
    return one.mac == other.mac and (not (here := one.address) or not (there := other.address) or here == there)


def _nearest(nic: Nic, among: Sequence[Nic]) -> Nic | None:
    """The very NIC if it is there, for another can have its MAC address and no PCI address; else a state of it."""
    alike = [one for one in among if same(nic, one)]
    return next((one for one in alike if one == nic), next(iter(alike), None))


def _number(text: str | None) -> int:
    return int(text or "0", 0)
