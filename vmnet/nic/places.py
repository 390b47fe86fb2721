"""Where a field's value lives in an `<interface>`, as one text; most live at a path, some span more."""

from __future__ import annotations

from abc import ABC, abstractmethod

from vmnet.errors import UsageError, VmnetError
from vmnet.nic import xml
from vmnet.nic.attachment import MacvtapMode


class Place(ABC):
    """How one value is read from an `<interface>` and patched into it.

    Attributes:
        paths: Every attribute or text that it may write, and one that says where the value is, first.
        slot: What a NIC has one of only; of two fields with one slot, one can be set. Empty for none.
        attribute: Where the value is nothing but an attribute of `<interface>` or of a child of it, that one's name.
        kind: The type of NIC that alone has it; empty for every one.
    """

    paths: tuple[str, ...]
    slot: str = ""
    attribute: str = ""
    kind: str = ""

    @abstractmethod
    def read(self, nic: xml.Element) -> str | None:
        """The value's text, None where it is not set."""

    @abstractmethod
    def write(self, nic: xml.Element, text: str) -> None:
        """Set the value, and leave everything else."""

    @abstractmethod
    def clear(self, nic: xml.Element) -> None:
        """Remove the value, if it is there."""


class At(Place):
    """One attribute or text, at a path such as ``mtu/@size``."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.paths = (path,)
        *parents, last = path.split("/")
        self.attribute = last[1:] if last.startswith("@") and len(parents) < 2 else ""

    def read(self, nic: xml.Element) -> str | None:
        """The text at the path."""
        return xml.get(nic, self.path)

    def write(self, nic: xml.Element, text: str) -> None:
        """Write the text at the path."""
        xml.put(nic, self.path, text)

    def clear(self, nic: xml.Element) -> None:
        """Remove the text at the path."""
        xml.drop(nic, self.path)


class PciAddress(Place):
    """`<address type='pci'>` as ``0000:05:00.0``; addresses on other buses read as none."""

    paths = tuple(f"address/@{name}" for name in ("type", "domain", "bus", "slot", "function"))

    def read(self, nic: xml.Element) -> str | None:
        """The address; None if it is on another bus, unreadable, or all zeros: libvirt takes that for none."""
        address = xml.first(nic, "address")
        if address is None or address.get("type") != "pci":
            return None
        try:
            numbers = [_number(address.get(name, "0")) for name in ("domain", "bus", "slot", "function")]
        except ValueError:
            return None
        return "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers) if any(numbers) else None

    def write(self, nic: xml.Element, text: str) -> None:
        """Set the address; an address on another bus makes way."""
        address = xml.first(nic, "address")
        if address is not None and address.get("type") != "pci":
            xml.remove(address)
        domain, bus, devfn = text.split(":")
        slot, function = devfn.split(".")
        numbers = {"domain": domain, "bus": bus, "slot": slot, "function": function}
        xml.put(nic, "address/@type", "pci")
        for name, digits in numbers.items():
            xml.put(nic, f"address/@{name}", f"0x{digits}")

    def clear(self, nic: xml.Element) -> None:
        """Remove the address, if it is a PCI address."""
        address = xml.first(nic, "address")
        if address is not None and address.get("type") == "pci":
            xml.remove(address)


SOURCES = {
    "direct": ("dev", "mode"),
    "bridge": ("bridge", "macTableManager"),
    "network": ("network", "portgroup", "portid"),
}
"""The attributes of `<source>` that belong to each kind of attachment; some appear in live XML only."""


class AttachedTo(Place):
    """What a NIC of one kind is attached to; writing it makes the NIC one of that kind."""

    slot = "attachment"

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.attribute = SOURCES[kind][0]
        self.path = f"source/@{self.attribute}"
        self.paths = (self.path, "@type")
        self._others = {name for other, names in SOURCES.items() if other != kind for name in names}

    def read(self, nic: xml.Element) -> str | None:
        """The name of the link; None on a NIC of another kind, or where a template leaves it empty."""
        return xml.get(nic, self.path) or None if nic.get("type") == self.kind else None

    def write(self, nic: xml.Element, text: str) -> None:
        """Attach it there; what belongs to its old kind goes, and a direct NIC gets its mode spelt out."""
        if nic.get("type") not in SOURCES:
            raise VmnetError(
                "attachment-unknown",
                f"a NIC of type {xml.quoted(nic.get('type') or '')} cannot be turned into a {self.kind} NIC",
                why="vmnet does not know what of it would be lost",
                remedy="Detach it, and attach a new one",
            )
        source = xml.child(nic, "source")
        going = self._others
        if nic.get("type") != self.kind or source.get(self.attribute) != text:
            going = going | {"portid"}  # the running guest's port on its old network
        for name in going.intersection(source.keys()):
            del source.attrib[name]
        nic.set("type", self.kind)
        source.set(self.attribute, text)
        # libvirt's own default is vepa, in which guests of one host do not reach each other.
        if self.kind == "direct" and source.get("mode") is None:
            source.set("mode", MacvtapMode.BRIDGE)

    def clear(self, nic: xml.Element) -> None:
        """Refuse on a NIC of that kind: it is attached to something, always."""
        if self.read(nic) is not None:
            raise UsageError(
                "field-required",
                f"a {self.kind} NIC is attached to something, always",
                remedy="Attach it to something else, or detach it",
            )


class Mode(Place):
    """The macvtap mode, which only a direct NIC has."""

    paths = ("source/@mode",)
    kind = "direct"

    def read(self, nic: xml.Element) -> str | None:
        """The mode; libvirt's default vepa where none is written."""
        return xml.get(nic, "source/@mode") or MacvtapMode.VEPA if nic.get("type") == "direct" else None

    def write(self, nic: xml.Element, text: str) -> None:
        """Set the mode of a direct NIC."""
        if nic.get("type") != "direct":
            raise UsageError(
                "mode-without-direct",
                "only a direct NIC has a macvtap mode",
                remedy="Say --direct DEV too, or leave --mode out",
            )
        xml.put(nic, "source/@mode", text)

    def clear(self, nic: xml.Element) -> None:
        """Refuse on a direct NIC: without a mode libvirt takes vepa."""
        if self.read(nic) is not None:
            raise UsageError(
                "field-required",
                "a direct NIC has a macvtap mode, always",
                why="without one libvirt takes vepa, in which guests of one host do not reach each other",
                remedy=f"Say --mode {MacvtapMode.BRIDGE}",
            )


def _number(text: str) -> int:
    """A number as libvirt reads it (base 0 of strtoul): hexadecimal, octal or decimal."""
    octal = text.startswith("0") and text.isdecimal()
    return int(text, 8 if octal else 0)
