"""The vocabulary: every field of a NIC, one line each, and the NIC as a view on its `<interface>`.

Reader, generator, command line, JSON Schema and reference are derived from the table in `Nic`: a new field is a new
line. What libvirt's schema allows beyond it is in `excluded`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

from vmnet.errors import UsageError, VmnetError
from vmnet.nic import xml
from vmnet.nic.attachment import Attachment, Bridge, Direct, Fits, MacvtapMode, Network, Other
from vmnet.nic.compound import (
    FILTER_PARAMS,
    INBOUND,
    NATIVE,
    OUTBOUND,
    TAG,
    TAGS,
    TEAMING,
    FilterParams,
    Native,
    Rates,
    Tag,
    Tags,
    Teaming,
)  # fmt: skip
from vmnet.nic.field import Field, Live, Since
from vmnet.nic.places import AttachedTo, Mode, PciAddress
from vmnet.nic.types import (
    ALIAS,
    BRIDGE_NAME,
    DEVICE,
    FILTER,
    LOADPARM,
    MAC,
    MODEL,
    NETWORK_NAME,
    ONOFF,
    PATH,
    PCI,
    PORTGROUP,
    PROFILE,
    TARGET,
    UUID,
    YESNO,
    Choice,
    Int,
    PowerOfTwo,
)  # fmt: skip

LIVE, REPLUG, IGNORED, NEXT_BOOT = Live
DIRECT, BRIDGE, NET = Fits.DIRECT, Fits.BRIDGE, Fits.NETWORK
TAP = BRIDGE | NET
"""What ends in a tap, or may: which a network resolves to is known when the guest starts."""
MUTE_10_0 = Since("10.0.0", LIVE, before=IGNORED)
MUTE_11_3 = Since("11.3.0", REPLUG, before=IGNORED)
VLAN_LIVE = Since("11.0.0", LIVE, before=REPLUG)
VPORT = "virtualport/parameters"
QUEUE_SIZE = PowerOfTwo(256, 1024)
QUEUES = Int(1, 256, unset=1)  # libvirt keeps neither one queue nor a batch of none (9.0 to 12.8)
BATCH = Int(0, 2**31 - 1, unset=0)


class LinkState(StrEnum):
    """The carrier that the guest sees on its NIC."""

    UP = "up"
    DOWN = "down"


class Driver(StrEnum):
    """Who moves the packets of a virtio NIC."""

    VHOST = "vhost"
    """The host's kernel."""
    QEMU = "qemu"


class TxMode(StrEnum):
    """How QEMU sends without vhost."""

    IOTHREAD = "iothread"
    TIMER = "timer"


class VirtualPort(StrEnum):
    """The switch, other than a bridge of the kernel's, that the port is on."""

    QBG = "802.1Qbg"
    QBH = "802.1Qbh"
    OPENVSWITCH = "openvswitch"
    MIDONET = "midonet"


class MacType(StrEnum):
    """Where a MAC address comes from, for VMware."""

    GENERATED = "generated"
    STATIC = "static"


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

    # fmt: off
    direct = Field(AttachedTo("direct"), DEVICE, REPLUG, "0.7.7", "macvtap on this uplink", fits=DIRECT, daily=True)
    bridge = Field(AttachedTo("bridge"), BRIDGE_NAME, LIVE, "0.1.0", "port of this bridge", fits=BRIDGE, daily=True)
    network = Field(AttachedTo("network"), NETWORK_NAME, LIVE, "0.1.0", "on this libvirt network", fits=NET, daily=True)
    mode = Field(Mode(), Choice(MacvtapMode), REPLUG, "0.7.7", "macvtap mode", fits=DIRECT, daily=True)
    portgroup = Field("source/@portgroup", PORTGROUP, MUTE_11_3, "0.9.4", "port group there", fits=NET, needs="network")
    virtualport = Field("virtualport/@type", Choice(VirtualPort), REPLUG, "0.8.2", "kind of switch that the port is on")
    virtualport_managerid = Field(f"{VPORT}/@managerid", Int(0, 255), REPLUG, "0.8.2", "802.1Qbg: VSI manager")
    virtualport_typeid = Field(f"{VPORT}/@typeid", Int(0, 2**24 - 1), REPLUG, "0.8.2", "802.1Qbg: VSI type")
    virtualport_typeidversion = Field(f"{VPORT}/@typeidversion", Int(0, 255), REPLUG, "0.8.2", "802.1Qbg: its version")
    virtualport_instanceid = Field(f"{VPORT}/@instanceid", UUID, REPLUG, "0.8.2", "802.1Qbg: VSI instance")
    virtualport_profileid = Field(f"{VPORT}/@profileid", PROFILE, REPLUG, "0.8.2", "802.1Qbh, OVS: port profile")
    virtualport_interfaceid = Field(f"{VPORT}/@interfaceid", UUID, REPLUG, "0.9.11", "OVS, midonet: port id")

    mac = Field("mac/@address", MAC, REPLUG, "0.1.0", "MAC address", daily=True)
    mac_type = Field("mac/@type", Choice(MacType), IGNORED, "6.6.0", "who chose the MAC address (VMware)", needs="mac")
    mac_check = Field("mac/@check", YESNO, IGNORED, "6.6.0", "check its range (VMware)", needs="mac")
    model = Field("model/@type", MODEL, REPLUG, "0.1.0", "the NIC that the guest sees: virtio, ...", daily=True)
    link = Field("link/@state", Choice(LinkState), LIVE, "0.9.5", "the carrier that the guest sees", daily=True)
    mtu = Field("mtu/@size", Int(68, 65535), REPLUG, "3.1.0", "MTU of tap and NIC, bytes", fits=TAP, daily=True)
    trust_rx = Field("@trustGuestRxFilters", YESNO, MUTE_10_0, "1.2.10", "let the guest set MAC filters", daily=True)
    filter = Field("filterref/@filter", FILTER, LIVE, "0.8.0", "packet filter, such as clean-traffic", daily=True)
    filter_params = Field(FilterParams(), FILTER_PARAMS, LIVE, "0.8.0", "parameters of the filter", needs="filter")
    vlan = Field(Tag(), TAG, VLAN_LIVE, "0.10.0", "the one VLAN that the NIC is in", daily=True)
    trunk = Field(Tags(), TAGS, VLAN_LIVE, "0.10.0", "VLANs that the guest sees tagged", daily=True)
    native = Field(Native(), NATIVE, VLAN_LIVE, "1.1.0", "the untagged one of them", daily=True, needs="trunk")
    isolated = Field("port/@isolated", YESNO, LIVE, "6.1.0", "cut off from isolated ports", fits=TAP, daily=True)
    inbound = Field(Rates("inbound"), INBOUND, LIVE, "0.9.4", "limit to the guest, KiB/s and KiB", daily=True)
    outbound = Field(Rates("outbound"), OUTBOUND, LIVE, "0.9.4", "limit from the guest, KiB/s and KiB", daily=True)
    coalesce = Field("coalesce/rx/frames/@max", BATCH, LIVE, "3.3.0", "packets in a tap's batch", fits=TAP)

    driver = Field("driver/@name", Choice(Driver), REPLUG, "0.8.8", "who moves the packets (virtio only)", daily=True)
    queues = Field("driver/@queues", QUEUES, REPLUG, "1.0.6", "queue pairs (virtio only)", daily=True)
    rx_queue_size = Field("driver/@rx_queue_size", QUEUE_SIZE, REPLUG, "2.3.0", "receive queue, descriptors")
    tx_queue_size = Field("driver/@tx_queue_size", QUEUE_SIZE, REPLUG, "3.7.0", "transmit queue, descriptors")
    txmode = Field("driver/@txmode", Choice(TxMode), REPLUG, "0.8.8", "how QEMU sends without vhost")
    ioeventfd = Field("driver/@ioeventfd", ONOFF, REPLUG, "0.9.3", "handle the guest's notifications in a thread")
    event_idx = Field("driver/@event_idx", ONOFF, REPLUG, "0.9.5", "fewer interrupts and exits")
    rss = Field("driver/@rss", ONOFF, REPLUG, "8.3.0", "receive-side scaling in QEMU")
    rss_hash_report = Field("driver/@rss_hash_report", ONOFF, REPLUG, "8.3.0", "tell the guest each packet's hash")
    iommu = Field("driver/@iommu", ONOFF, REPLUG, "3.5.0", "the device goes through the guest's IOMMU")
    ats = Field("driver/@ats", ONOFF, REPLUG, "3.5.0", "address translation service (PCIe)")
    packed = Field("driver/@packed", ONOFF, REPLUG, "6.3.0", "packed virtqueues")
    page_per_vq = Field("driver/@page_per_vq", ONOFF, REPLUG, "7.9.0", "a page of notifications for each queue")
    host_csum = Field("driver/host/@csum", ONOFF, REPLUG, "1.2.9", "host takes packets without checksum")
    host_gso = Field("driver/host/@gso", ONOFF, REPLUG, "1.2.9", "host takes unsegmented packets")
    host_tso4 = Field("driver/host/@tso4", ONOFF, REPLUG, "1.2.9", "host takes unsegmented TCP over IPv4")
    host_tso6 = Field("driver/host/@tso6", ONOFF, REPLUG, "1.2.9", "host takes unsegmented TCP over IPv6")
    host_ecn = Field("driver/host/@ecn", ONOFF, REPLUG, "1.2.9", "host takes unsegmented TCP with ECN")
    host_ufo = Field("driver/host/@ufo", ONOFF, REPLUG, "1.2.9", "host takes unsegmented UDP")
    host_mrg_rxbuf = Field("driver/host/@mrg_rxbuf", ONOFF, REPLUG, "1.2.13", "a packet may span receive buffers")
    guest_csum = Field("driver/guest/@csum", ONOFF, REPLUG, "1.2.9", "guest takes packets without checksum")
    guest_tso4 = Field("driver/guest/@tso4", ONOFF, REPLUG, "1.2.9", "guest takes unsegmented TCP over IPv4")
    guest_tso6 = Field("driver/guest/@tso6", ONOFF, REPLUG, "1.2.9", "guest takes unsegmented TCP over IPv6")
    guest_ecn = Field("driver/guest/@ecn", ONOFF, REPLUG, "1.2.9", "guest takes unsegmented TCP with ECN")
    guest_ufo = Field("driver/guest/@ufo", ONOFF, REPLUG, "1.2.9", "guest takes unsegmented UDP")
    backend_tap = Field("backend/@tap", PATH, MUTE_11_3, "1.2.9", "open this, not /dev/net/tun", fits=TAP)
    backend_vhost = Field("backend/@vhost", PATH, MUTE_11_3, "1.2.9", "open this, not /dev/vhost-net")
    sndbuf = Field("tune/sndbuf", Int(0, 2**31 - 1), REPLUG, "0.8.8", "send buffer of the tap, bytes")

    target = Field("target/@dev", TARGET, REPLUG, "0.1.0", "name of the tap or macvtap on the host", daily=True)
    alias = Field("alias/@name", ALIAS, REPLUG, "3.9.0", "a name of your own for the NIC", daily=True)
    address = Field(PciAddress(), PCI, REPLUG, "0.1.0", "PCI address in the guest", daily=True)
    multifunction = Field("address/@multifunction", ONOFF, IGNORED, "0.9.7", "its slot has others", needs="address")
    acpi_index = Field("acpi/@index", Int(1, 16383), REPLUG, "7.3.0", "the guest names the NIC eno<index>")
    boot_order = Field("boot/@order", Int(1, 2**31 - 1), NEXT_BOOT, "0.8.8", "place in the boot order", daily=True)
    loadparm = Field("boot/@loadparm", LOADPARM, NEXT_BOOT, "3.5.0", "boot parameter (s390)", needs="boot_order")
    rom_enabled = Field("rom/@enabled", YESNO, REPLUG, "4.3.0", "the NIC has a boot ROM")
    rom_bar = Field("rom/@bar", ONOFF, REPLUG, "0.9.7", "the ROM shows in the guest's memory map")
    rom_file = Field("rom/@file", PATH, REPLUG, "0.9.10", "file of the boot ROM on the host")
    teaming = Field(Teaming(), TEAMING, IGNORED, "6.1.0", "half of a failover pair")
    # fmt: on

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
    def taking(cls, element: xml.Element) -> Nic:
        """The NIC of an `<interface>` that is nobody else's: it is not copied, and is not to be changed any more."""
        nic = cls.__new__(cls)
        nic._element = element
        return nic

    @classmethod
    def within(cls, devices: xml.Element) -> Iterator[Nic]:
        """The NICs among a domain's devices, not copied: for a document that is never changed."""
        return map(cls.taking, devices.iterchildren("interface"))

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
                remedy=nearest(name, cls.FIELDS),
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
                return Network(self.network or "", self.portgroup)
            case other:
                return Other(other)

    @property
    def is_virtio(self) -> bool:
        """Whether its model is one of virtio's, which alone has queues and offloads to choose."""
        return (self.model or "").startswith("virtio")

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
        interface = self._element
        kinds = ("", interface.get("type"))
        found: list[tuple[int, str, Any]] = []
        nodes: dict[object, xml.Element] = {"": interface}
        for child in interface.iterchildren():
            nodes.setdefault(child.tag, child)
        for tag in nodes.keys() & _IN_ELEMENT.keys():
            node = nodes[tag]
            attributes, others = _IN_ELEMENT[tag]
            for attribute in node.keys():  # noqa: SIM118 - an element; items() takes as long as their number squared
                if attribute in attributes:
                    number, name, kind, read = attributes[attribute]
                    if kind in kinds and (value := read(node.get(attribute))) is not None:
                        found.append((number, name, value))
            for number, name, kind, field in others:
                if kind in kinds and (value := field.read(interface)) is not None:
                    found.append((number, name, value))
        found.sort()
        return {name: value for _, name, value in found}

    def text(self, path: str) -> str | None:
        """What the XML says at a path such as ``filterref/@filter``, for what is no field; None if nothing."""
        return xml.get(self._element, path)

    def count(self, path: str) -> int:
        """How many elements there are at a path such as ``vlan/tag``."""
        return len(self._element.findall(path))

    def line(self, field: str | None) -> int | None:
        """The line of a field in the document that the NIC was read from; its own line where the field is not set."""
        path = self.FIELDS[field].place.paths[0] if field else "@type"
        return xml.line(self._element, path)

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

_Attribute: TypeAlias = tuple[int, str, str, Callable[[Any], Any]]
_Other: TypeAlias = tuple[int, str, str, Field[Any]]
_IN_ELEMENT: dict[object, tuple[dict[object, _Attribute], list[_Other]]] = {}
"""The fields in each child of `<interface>`: those that are one attribute of it, by its name, and the others.

Each with its number in the table and the kind of NIC that has it: a list of ten thousand guests reads little else.
"""
for _number, _field in enumerate(Nic.FIELDS.values()):
    _attributes, _others = _IN_ELEMENT.setdefault(_field.element, ({}, []))
    _place = _field.place
    if _place.attribute:
        _attributes[_place.attribute] = (_number, _field.name, _place.kind, _field.type.read)
    else:
        _others.append((_number, _field.name, _place.kind, _field))


def nearest(name: str, names: Iterable[str]) -> str:
    """What somebody may have meant who wrote `name`, as a sentence; where the names are if nothing is near."""
    from difflib import get_close_matches

    near = get_close_matches(name.lower().replace("-", "_"), list(names), n=3)
    return f"Did you mean {' or '.join(near)}?" if near else "vmnet xml --help and docs/reference/nic.md have them all"
