"""Rules on the NIC as a device: its names, its addresses, its place in the guest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmnet.findings import Severity
from vmnet.nic.attachment import Bridge, Direct, Other
from vmnet.nic.model import Nic
from vmnet.nic.rules.table import Remark, rule
from vmnet.nic.types import RESERVED_TARGETS, YesNo
from vmnet.nic.xml import quoted

_MODELS = (
    *("virtio", "virtio-transitional", "virtio-non-transitional", "e1000", "e1000-82544gc", "e1000-82545em", "e1000e"),
    *("igb", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3", "tulip", "usb-net", "spapr-vlan", "lan9118", "smc91c111"),
    *("i82550", "i82551", "i82557a", "i82557b", "i82557c", "i82558a", "i82558b", "i82559a", "i82559b", "i82559c"),
    *("i82559er", "i82562", "i82801", "ne2k_isa", "netfront", "scm91c111"),
)
"""What QEMU has, up to 10."""


@rule("N103", Severity.NOTE)
def target_name_is_reserved(nic: Nic) -> Iterator[Remark]:
    """libvirt strips a target name with one of its prefixes from the persistent definition (9.0 to 12.8)."""
    if nic.target and nic.target.startswith(RESERVED_TARGETS):
        yield Remark(
            f"the target name {quoted(nic.target)} will not last",
            f"libvirt gives names in {', '.join(RESERVED_TARGETS)} itself, anew at each start",
            "Choose another name if it is to stay",
            "target",
        )


@rule("N131", Severity.ERROR)
def name_is_too_long(nic: Nic) -> Iterator[Remark]:
    """A link's name has 15 characters at most (kernel, IFNAMSIZ); libvirt's schema takes any, and attaching fails."""
    for name in ("target", "direct", "bridge"):
        value = nic.get(name)
        if value is not None and len(value.encode()) > 15:
            yield Remark(
                f"the name {quoted(value)} is too long for a link",
                f"it has {len(value.encode())} bytes, and the kernel takes 15 at most",
                f"Give {name} a shorter name",
                name,
            )


@rule("N132", Severity.NOTE)
def alias_is_not_a_users(nic: Nic) -> Iterator[Remark]:
    """libvirt drops an alias that does not start with ua- without a word, and gives its own (3.9 to 12.8)."""
    if nic.alias and not nic.alias.startswith("ua-") and not re.fullmatch("(net|hostdev)[0-9]+", nic.alias):
        yield Remark(
            f"the alias {quoted(nic.alias)} will be lost",
            "libvirt keeps only those that start with ua-",
            "Give it one that does",
            "alias",
        )


@rule("N133", Severity.WARNING)
def model_is_missing(nic: Nic) -> Iterator[Remark]:
    """Without a model libvirt takes the machine's oldest: rtl8139 on x86, for which q35 has no hotplug slot (9.0)."""
    if nic.model is None and isinstance(nic.attachment, Direct | Bridge):
        yield Remark(
            "the NIC has no model",
            "libvirt takes an old one, on x86 rtl8139: slow, and not to be plugged into a running q35 guest",
            "Say --model virtio",
            "model",
        )


@rule("N134", Severity.WARNING)
def model_is_unknown(nic: Nic) -> Iterator[Remark]:
    """libvirt takes any model's name; QEMU fails at one that it does not know, when the guest starts (9.0 to 12.8)."""
    if nic.model is not None and nic.model not in _MODELS and not isinstance(nic.attachment, Other):
        yield Remark(
            f"QEMU is not known to have a model {quoted(nic.model)}",
            "libvirt takes any name, and QEMU then fails at it",
            "Say --model virtio, or look into qemu-system-x86_64 -device help",
            "model",
        )


@rule("N135", Severity.ERROR)
def mac_of_zeros(nic: Nic) -> Iterator[Remark]:
    """libvirt takes the MAC address 00:00:00:00:00:00, and QEMU gives the guest another one (qemu_macaddr_default)."""
    if nic.mac == "00:00:00:00:00:00":
        yield Remark(
            "the MAC address of all zeros is none",
            "QEMU makes up another one for the guest, of which libvirt knows nothing",
            "Give another one with --mac, or leave it out",
            "mac",
        )


@rule("N136", Severity.ERROR)
def acpi_index_is_too_big(nic: Nic) -> Iterator[Remark]:
    """QEMU takes an ACPI index up to 16383; libvirt takes any, and fails when it attaches or starts (7.3 to 12.8)."""
    index = nic.acpi_index
    if index is not None and index > 16383:
        yield Remark(
            f"the ACPI index {index} is too big", "QEMU takes 16383 at most", "Give a smaller one", "acpi_index"
        )


@rule("N137", Severity.ERROR)
def rom_is_off_and_tuned(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses rom_bar and rom_file with rom_enabled=no (4.3 to 12.8)."""
    if nic.rom_enabled is YesNo.NO:
        for name in ("rom_bar", "rom_file"):
            if nic.get(name) is not None:
                yield Remark(
                    f"{name} does not go with rom_enabled=no",
                    "there is no ROM to tune, and libvirt refuses it",
                    "Say one of them",
                    name,
                )


@rule("N138", Severity.ERROR)
def teaming_is_wrong(nic: Nic) -> Iterator[Remark]:
    """libvirt wants virtio for the persistent half of a pair, and type='hostdev' for the transient (6.1 to 12.8)."""
    half = nic.text("teaming/@type")
    if isinstance(nic.attachment, Direct | Bridge) and half == "transient":
        yield Remark(
            "the transient half of a pair is a PCI function of the host",
            "libvirt refuses it on any type but hostdev, or a network of such",
            "Say teaming=persistent, or use a network with forward mode hostdev",
            "teaming",
        )
    if half == "persistent" and not nic.is_virtio:
        yield Remark(
            "the persistent half of a pair is a virtio NIC",
            "libvirt refuses another model",
            "Say --model virtio",
            "teaming",
        )


@rule("N139", Severity.ERROR)
def mtu_is_out_of_range(nic: Nic) -> Iterator[Remark]:
    """The kernel's tap has an MTU from 68; libvirt's schema takes 0, and attaching fails (tun, ETH_MIN_MTU)."""
    if nic.mtu is not None and not 68 <= nic.mtu <= 65535:
        yield Remark(f"the MTU {nic.mtu} is out of range", "a tap has one from 68 to 65535", "Give one of these", "mtu")
