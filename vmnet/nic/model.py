"""The vocabulary: every field of a NIC, one line each, and the NIC as a view on its `<interface>`.

Reader, generator, command line and reference are derived from the table in `Nic`: a new field is a new line.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar, overload

from vmnet.errors import UsageError, VmnetError
from vmnet.nic import xml
from vmnet.nic.attachment import Attachment, Bridge, Direct, Fits, MacvtapMode, Network, Other
from vmnet.nic.places import At, AttachedTo, Mode, PciAddress, Place
from vmnet.nic.types import ALIAS, BRIDGE_NAME, DEVICE, MAC, MODEL, PCI, TARGET, Choice, Int, Type

T = TypeVar("T")


class Live(StrEnum):
    """What it takes for a running guest to get a new value of a field."""

    LIVE = "live"
    """Nothing: libvirt changes it under the guest."""
    REPLUG = "replug"
    """Unplugging the NIC and plugging it in again: the guest sees it go and come."""
    NEXT_BOOT = "next-boot"
    """The guest's next start."""


LIVE, REPLUG, NEXT_BOOT = Live
DIRECT, BRIDGE = Fits.DIRECT, Fits.BRIDGE


class LinkState(StrEnum):
    """The carrier that the guest sees on its NIC."""

    UP = "up"
    DOWN = "down"


class Field(Generic[T]):
    """One field of a NIC: what it is called, where it lives, what it can be.

    On the class it is the field; on a `Nic` it is the field's value there, None where it is not set.

    Args:
        place: Where the value lives; a `str` is a path.
        type: The values it can have.
        live: What it takes to change it on a running guest.
        help: One line for the reader of ``--help``.
        fits: The attachments on which libvirt takes it.
        since: The libvirt that brought it.
        daily: Whether it has an option of its own on the command line.
    """

    name: str

    def __init__(
        self,
        place: str | Place,
        type: Type[T],
        live: Live,
        *,
        help: str,
        fits: Fits = Fits.EVERY,
        since: str = "0.1.0",
        daily: bool = True,
    ) -> None:
        self.place = At(place) if isinstance(place, str) else place
        self.type = type
        self.fits = fits
        self.live = live
        self.since = since
        self.help = help
        self.daily = daily

    def __set_name__(self, owner: object, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, nic: None, owner: object) -> Field[T]: ...
    @overload
    def __get__(self, nic: Nic, owner: object) -> T | None: ...
    def __get__(self, nic: Nic | None, owner: object) -> Field[T] | T | None:
        return self if nic is None else self.read(nic._element)

    @property
    def option(self) -> str:
        """Its option on the command line."""
        return "--" + self.name.replace("_", "-")

    def parse(self, text: str) -> T:
        """The value that a person means by `text`.

        Raises:
            UsageError: ``bad-value``.
        """
        try:
            return self.type.parse(text)
        except ValueError as reason:
            raise UsageError(
                "bad-value",
                f"{self.option} cannot be {xml.quoted(text)}",
                why=str(reason),
                remedy=f"Give {self.type.means}",
            ) from None

    def read(self, element: xml.Element) -> T | None:
        """The value in an `<interface>`."""
        text = self.place.read(element)
        return None if text is None else self.type.read(text)

    def patch(self, element: xml.Element, value: T | str | None) -> None:
        """Write a value, or its text, into an `<interface>`; None removes it.

        Raises:
            UsageError: The value is none of the field's, or the field cannot be set or removed there.
        """
        if value is None:
            self.place.clear(element)
        else:
            self.place.write(element, str(self.parse(str(value))))


class Nic:
    """One `<interface>`, not to be changed: the table of its fields, and a view on all of it.

    Args:
        element: The `<interface>`; it is copied.

    Raises:
        VmnetError: ``xml-not-interface``.
    """

    __slots__ = ("_element",)

    FIELDS: ClassVar[Mapping[str, Field[Any]]]
    """Every field by its name, in the order of the table, which is also the order of writing."""

    direct = Field(AttachedTo("direct"), DEVICE, REPLUG, fits=DIRECT, since="0.7.7", help="macvtap on this uplink")
    bridge = Field(AttachedTo("bridge"), BRIDGE_NAME, LIVE, fits=BRIDGE, help="port of this host bridge")
    mode = Field(Mode(), Choice(MacvtapMode), REPLUG, fits=DIRECT, since="0.7.7", help="macvtap mode")
    mac = Field("mac/@address", MAC, REPLUG, help="MAC address")
    model = Field("model/@type", MODEL, REPLUG, help="the NIC that the guest sees: virtio, e1000e, ...")
    queues = Field("driver/@queues", Int(1, 256), REPLUG, since="1.0.6", help="queue pairs (virtio only)")
    link = Field("link/@state", Choice(LinkState), LIVE, since="0.9.5", help="the carrier that the guest sees")
    mtu = Field("mtu/@size", Int(68, 65535), REPLUG, fits=BRIDGE, since="3.1.0", help="MTU of tap and NIC, bytes")
    boot_order = Field("boot/@order", Int(1, 2**31 - 1), NEXT_BOOT, since="0.8.8", help="place in the boot order")
    target = Field("target/@dev", TARGET, REPLUG, help="name of the tap or macvtap on the host")
    alias = Field("alias/@name", ALIAS, REPLUG, since="3.9.0", help="a name of your own for the NIC")
    address = Field(PciAddress(), PCI, REPLUG, help="PCI address in the guest")

    def __init__(self, element: xml.Element) -> None:
        if element.tag != "interface":
            raise VmnetError(
                "xml-not-interface",
                f"the XML is {xml.quoted(str(element.tag))}, not an <interface>",
                remedy="Give one <interface> element, as in a domain's <devices>",
            )
        self._element = xml.detached(element)

    @classmethod
    def parse(cls, text: str | bytes) -> Nic:
        """The NIC of an `<interface>` document.

        Raises:
            VmnetError: ``xml-invalid``, ``xml-not-interface``.
        """
        return cls(xml.parse(text))

    @classmethod
    def field(cls, name: str) -> Field[Any]:
        """The field of that name.

        Raises:
            UsageError: ``field-unknown``.
        """
        if name not in cls.FIELDS:
            raise UsageError(
                "field-unknown",
                f"a NIC has no field {xml.quoted(name)}",
                remedy="The fields are " + ", ".join(cls.FIELDS),
            )
        return cls.FIELDS[name]

    @property
    def attachment(self) -> Attachment:
        """How it reaches the network. On a running guest a libvirt network shows as what it resolved to."""
        match self._element.get("type", ""):
            case "direct":
                return Direct(self.direct or "", self.mode or MacvtapMode.VEPA)
            case "bridge":
                return Bridge(self.bridge or "")
            case "network":
                return Network(self.text("source/@network") or "", self.text("source/@portgroup"))
            case other:
                return Other(other)

    @property
    def element(self) -> xml.Element:
        """A copy of the `<interface>`, to be changed freely."""
        return xml.detached(self._element)

    def get(self, name: str) -> Any:
        """The value of the field of that name, None where it is not set.

        Raises:
            UsageError: ``field-unknown``.
        """
        return self.field(name).read(self._element)

    def values(self) -> dict[str, Any]:
        """Every field that is set, in the order of the table; JSON-able."""
        values = {name: field.read(self._element) for name, field in self.FIELDS.items()}
        return {name: value for name, value in values.items() if value is not None}

    def text(self, path: str) -> str | None:
        """What the XML says at a path such as ``filterref/@filter``, for what is no field; None if nothing."""
        return xml.get(self._element, path)

    def xml(self) -> str:
        """The `<interface>` as indented text."""
        return xml.serialize(self._element)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Nic) and xml.canonical(self._element) == xml.canonical(other._element)

    def __hash__(self) -> int:
        return hash(xml.canonical(self._element))

    def __repr__(self) -> str:
        return f"Nic({self.xml()!r})"


Nic.FIELDS = MappingProxyType({name: f for name, f in vars(Nic).items() if isinstance(f, Field)})
