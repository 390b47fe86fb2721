"""Rules on the NICs of one domain together, and beside its other devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from vmnet.findings import Severity
from vmnet.nic import xml
from vmnet.nic.attachment import Direct, MacvtapMode
from vmnet.nic.places import PciAddress
from vmnet.nic.rules.table import Definition, Remark, domain_rule
from vmnet.nic.types import RESERVED_TARGETS


@domain_rule("N201", Severity.ERROR)
def boot_is_said_twice(domain: Definition) -> Iterator[tuple[int, Remark]]:
    """libvirt refuses <boot order> of a device beside <os><boot dev> (0.8.8 to 12.8)."""
    if domain.root.find("os/boot") is not None:
        for number, nic in enumerate(domain.nics, 1):
            if nic.boot_order is not None:
                yield (
                    number,
                    Remark(
                        "boot_order does not go with <boot> in <os>",
                        "a domain orders its devices in one way, and libvirt refuses the other beside it",
                        "Take <boot> out of <os>, or leave boot_order out",
                        "boot_order",
                    ),
                )


@domain_rule("N202", Severity.WARNING)
def mac_is_there_twice(domain: Definition) -> Iterator[tuple[int, Remark]]:
    """libvirt takes two NICs with one MAC address, and then finds neither by it (9.0 to 12.8)."""
    seen: dict[str, int] = {}
    for number, nic in enumerate(domain.nics, 1):
        if nic.mac and nic.teaming is None and (first := seen.setdefault(nic.mac, number)) != number:
            yield (
                number,
                Remark(
                    f"NIC {first} has the MAC address {xml.escaped(nic.mac)} too",
                    "libvirt takes it; then it finds neither by its MAC, and a switch sends to the one last heard",
                    "Give one of them another",
                    "mac",
                ),
            )


@domain_rule("N203", Severity.ERROR)
def address_is_there_twice(domain: Definition) -> Iterator[tuple[int, Remark]]:
    """libvirt refuses two devices at one PCI address (9.0 to 12.8, XML_ERROR)."""
    holders = _others(domain, PciAddress().read)
    for number, nic in enumerate(domain.nics, 1):
        if nic.address and len(holders[nic.address]) > 1:
            yield (
                number,
                Remark(
                    f"the PCI address {nic.address} is there twice",
                    f"it is of {_devices(holders[nic.address])}, and libvirt refuses that",
                    "Leave the address out: libvirt chooses a free one",
                    "address",
                ),
            )


@domain_rule("N204", Severity.ERROR)
def alias_is_there_twice(domain: Definition) -> Iterator[tuple[int, Remark]]:
    """libvirt refuses two devices with one alias of a user's (3.9 to 12.8, XML_ERROR)."""
    holders = _others(domain, lambda device: xml.get(device, "alias/@name"))
    for number, nic in enumerate(domain.nics, 1):
        if (nic.alias or "").startswith("ua-") and len(holders[nic.alias or ""]) > 1:
            yield (
                number,
                Remark(
                    f"the alias {xml.quoted(nic.alias or '')} is there twice",
                    f"it is of {_devices(holders[nic.alias or ''])}, and libvirt refuses that",
                    "Give one of them another",
                    "alias",
                ),
            )


@domain_rule("N205", Severity.ERROR)
def uplink_is_taken_twice(domain: Definition) -> Iterator[tuple[int, Remark]]:
    """A macvtap in mode passthrough is alone on its uplink (kernel); libvirt defines it and fails at the start."""
    on: dict[str, list[int]] = defaultdict(list)
    for number, nic in enumerate(domain.nics, 1):
        if isinstance(nic.attachment, Direct):
            on[nic.attachment.dev].append(number)
    for number, nic in enumerate(domain.nics, 1):
        match nic.attachment:
            case Direct(dev, MacvtapMode.PASSTHROUGH) if dev and len(on[dev]) > 1:
                rest = ", ".join(str(n) for n in on[dev] if n != number)
                yield (
                    number,
                    Remark(
                        f"the NIC cannot have {xml.quoted(dev)} for itself: NIC {rest} is on it too",
                        "the kernel refuses the second at the start, and libvirt leaves the uplink with a wrong MAC",
                        "Give it an uplink of its own, or another mode",
                        "direct",
                    ),
                )


@domain_rule("N206", Severity.ERROR)
def boot_order_is_there_twice(domain: Definition) -> Iterator[tuple[int, Remark]]:
    """libvirt refuses two devices with one boot order (0.8.8 to 12.8)."""
    holders = _others(domain, lambda device: xml.get(device, "boot/@order"))
    for number, nic in enumerate(domain.nics, 1):
        if nic.boot_order is not None and len(holders[str(nic.boot_order)]) > 1:
            yield (
                number,
                Remark(
                    f"the boot order {nic.boot_order} is there twice",
                    f"it is of {_devices(holders[str(nic.boot_order)])}, and libvirt refuses that",
                    "Give one of them another",
                    "boot_order",
                ),
            )


@domain_rule("N207", Severity.ERROR)
def target_is_there_twice(domain: Definition) -> Iterator[tuple[int, Remark]]:
    """libvirt defines two NICs with one target, and the kernel has no two links of one name when the guest starts."""
    seen: dict[str, int] = {}
    for number, nic in enumerate(domain.nics, 1):
        if not nic.target or nic.target.startswith(RESERVED_TARGETS):
            continue
        if (first := seen.setdefault(nic.target, number)) != number:
            yield (
                number,
                Remark(
                    f"NIC {first} has the target {xml.quoted(nic.target)} too",
                    "the host has no two links of one name: the guest would not start",
                    "Give one of them another, or leave it to libvirt",
                    "target",
                ),
            )


def _others(domain: Definition, key: Callable[[xml.Element], str | None]) -> dict[str, list[str]]:
    """The devices of the domain by something that they have."""
    found: dict[str, list[str]] = defaultdict(list)
    for device in domain.root.iterfind("devices/*"):
        if isinstance(device.tag, str) and (value := key(device)):
            found[value].append(device.tag)
    return found


def _devices(tags: list[str]) -> str:
    return ", ".join(f"<{xml.escaped(tag)}>" for tag in tags)
