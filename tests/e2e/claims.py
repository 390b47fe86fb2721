"""What the rules of vmnet/nic/rules claim of libvirt, as cases that a real libvirt can be held to.

A case is the inside of one `<interface>` with `{mac}` where a MAC address goes, and what libvirt does with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vmnet.nic.version import Version

HELD_TO = Version(9, 0)
"""The libvirt that the claims are tried on: a rule that is not of it is not proved."""


class Does(Enum):
    """What libvirt does with a NIC."""

    REFUSES_DEFINE = "refuses to define it"
    """And to attach it."""
    REFUSES_ATTACH = "defines it, and refuses to attach it"
    TAKES = "defines and attaches it, and what it reads back has `shows`"
    DIFFERS = "does otherwise on this libvirt: the rule is for others"


@dataclass(frozen=True)
class Claim:
    """A case of one rule.

    Args:
        code: The rule.
        nic: The inside of the `<interface>`.
        does: What libvirt does.
        shows: Of a refusal, a part of libvirt's message; of a NIC that is taken, an XPath that holds for it.
        field: The field that the rule names.
        seen: What QEMU's device says of a property: what is really so.
        idle: What does nothing: the name of an element or attribute without which QEMU and the kernel have the same.
        libvirt: The version that the rule is asked about, where it is not the one that is installed.
    """

    code: str
    nic: str
    does: Does
    shows: str
    field: str | None
    seen: tuple[str, str] | None = None
    idle: str | None = None
    libvirt: str | None = None

    @property
    def xml(self) -> str:
        """The `<interface>`."""
        mac = "" if "<mac " in self.nic else f"<mac address='{MAC}'/>"
        return f"<interface {self.nic}{mac}</interface>"


MAC = "52:54:00:c1:a1:01"
ON_BRIDGE = "type='bridge'><source bridge='br0'/>"
ON_DIRECT = "type='direct'><source dev='up0' mode='bridge'/>"
VIRTIO = "<model type='virtio'/>"
INTEL = "<model type='e1000e'/>"
BRIDGE, DIRECT = ON_BRIDGE + VIRTIO, ON_DIRECT + VIRTIO
ID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"
QBG = f"<parameters managerid='1' typeid='2' typeidversion='3' instanceid='{ID}'/>"

QBH = "<parameters profileid='p'/>"
TRUSTED = "@trustGuestRxFilters='yes'"
DOWN = "/run/vmnet-lab/down"
"""A script of the test's."""

DEFINE, ATTACH, TAKES, DIFFERS = Does


def trusting(nic: str) -> str:
    """The inside of an `<interface>`, with trustGuestRxFilters."""
    return nic.replace(">", " trustGuestRxFilters='yes'>", 1)


CLAIMS = [
    Claim("N101", DIRECT + "<mtu size='1400'/>", DEFINE, "MTU on interface type direct", "mtu"),
    Claim("N101", DIRECT + "<coalesce><rx><frames max='7'/></rx></coalesce>", DEFINE, "coalesce", "coalesce"),
    Claim("N101", DIRECT + "<port isolated='yes'/>", DEFINE, "isolated", "isolated"),
    Claim("N101", DIRECT + "<backend tap='/dev/net/tun'/>", ATTACH, "custom tap device path", "backend_tap"),
    Claim("N102", ON_BRIDGE + INTEL + "<driver queues='4'/>", TAKES, "not(driver)", "queues"),
    Claim("N103", BRIDGE + "<target dev='vnet4711'/>", TAKES, "not(target/@dev='vnet4711')", "target"),
    Claim("N103", DIRECT + "<target dev='macvtap4711'/>", TAKES, "not(target/@dev='macvtap4711')", "target"),
    Claim("N104", DIRECT + "<filterref filter='clean-traffic'/>", TAKES, "not(filterref)", "filter"),
    Claim("N105", "type='direct'><source dev='up0'/>" + VIRTIO, TAKES, "source/@mode='vepa'", "mode"),
    Claim("N106", "type='direct'><source dev='up0' mode='passthrough'/>" + VIRTIO, TAKES, "source", "mode"),
    # What no libvirt knows stands for what an older one does not.
    Claim("N107", BRIDGE + "<acpi index='5'/><unheard of='5'/>", TAKES, "not(unheard)", "acpi_index", libvirt="7.2"),
    Claim("N107", BRIDGE + "<driver rss='on' unheard='on'/>", TAKES, "not(driver/@unheard)", "rss", libvirt="8.2"),
    Claim("N108", BRIDGE + "<vlan><tag id='5'/></vlan>", ATTACH, "vlan tag not supported", "vlan"),
    Claim("N108", BRIDGE + "<vlan><tag id='5'/><tag id='6'/></vlan>", ATTACH, "vlan tag not supported", "trunk"),
    Claim("N109", BRIDGE + "<vlan><tag id='5'/></vlan>", DIFFERS, "", "vlan", libvirt="11.0"),
    Claim("N110", DIRECT + "<vlan><tag id='5'/></vlan>", ATTACH, "vlan tag not supported", "vlan"),
    Claim("N111", trusting(BRIDGE), TAKES, TRUSTED, "trust_rx", idle="trustGuestRxFilters"),
    Claim("N111", trusting(ON_DIRECT + INTEL), TAKES, TRUSTED, "trust_rx", idle="trustGuestRxFilters"),
    Claim("N112", trusting(DIRECT), TAKES, TRUSTED, "trust_rx"),
    Claim("N113", BRIDGE + "<bandwidth><inbound average='9' floor='5'/></bandwidth>", DEFINE, "floor", "inbound"),
    Claim("N113", DIRECT + "<bandwidth><inbound floor='5'/></bandwidth>", DEFINE, "floor", "inbound"),
    Claim("N114", BRIDGE + "<bandwidth><outbound average='9' floor='5'/></bandwidth>", DEFINE, "inbound", "outbound"),
    Claim("N114", BRIDGE + "<bandwidth><inbound peak='9'/></bandwidth>", DEFINE, "mandatory average", "inbound"),
    Claim("N114", BRIDGE + "<bandwidth><outbound burst='9'/></bandwidth>", DEFINE, "mandatory average", "outbound"),
    Claim(
        "N115", DIRECT + "<virtualport type='openvswitch'/>", TAKES, "virtualport", "virtualport", idle="virtualport"
    ),
    Claim(
        "N116",
        DIRECT + "<virtualport type='802.1Qbh'/>",
        DEFINE,
        "missing profileid",
        "virtualport_profileid",
    ),
    Claim(
        "N116",
        DIRECT + f"<virtualport type='802.1Qbg'>{QBG.replace('typeid=', 'type=')}</virtualport>",
        DEFINE,
        "missing typeid",
        "virtualport_typeid",
    ),
    Claim("N116", BRIDGE + "<virtualport type='midonet'/>", DEFINE, "interfaceid", "virtualport_interfaceid"),
    Claim(
        "N116",
        BRIDGE + "<virtualport><parameters profileid='p'/></virtualport>",
        DEFINE,
        "missing required virtualport type",
        "virtualport",
    ),
    Claim("N117", BRIDGE + "<virtualport type='openvswitch'/><port isolated='yes'/>", DEFINE, "isolated", "isolated"),
    Claim(
        "N117",
        BRIDGE + "<virtualport type='openvswitch'/><filterref filter='clean-traffic'/>",
        ATTACH,
        "filterref is not supported",
        "filter",
    ),
    Claim(
        "N118",
        "type='bridge'><source bridge='br0' network='n' portgroup='p'/>" + VIRTIO,
        TAKES,
        "not(source/@portgroup)",
        "portgroup",
    ),
    Claim("N119", "type='bridge'><source bridge=''/>" + VIRTIO, ATTACH, "No such device", "bridge"),
    Claim(
        "N120",
        BRIDGE + "<vlan trunk='yes'><tag id='5' nativeMode='tagged'/><tag id='6' nativeMode='tagged'/></vlan>",
        DEFINE,
        "duplicate native vlan",
        "native",
    ),
    Claim("N121", ON_BRIDGE + INTEL + "<driver name='qemu'/>", TAKES, "not(driver)", "driver"),
    Claim("N121", ON_DIRECT + INTEL + "<driver><host csum='off'/></driver>", TAKES, "not(driver)", "host_csum"),
    Claim("N121", ON_BRIDGE + INTEL + "<driver rx_queue_size='512'/>", TAKES, "not(driver)", "rx_queue_size"),
    Claim("N122", ON_BRIDGE + INTEL + "<driver iommu='on'/>", DEFINE, "only supported for virtio", "iommu"),
    Claim("N122", ON_DIRECT + INTEL + "<driver packed='on'/>", DEFINE, "only supported for virtio", "packed"),
    Claim("N123", BRIDGE + "<driver rx_queue_size='300'/>", DEFINE, "power of two", "rx_queue_size"),
    Claim("N123", BRIDGE + "<driver tx_queue_size='300'/>", DEFINE, "power of two", "tx_queue_size"),
    Claim("N123", BRIDGE + "<driver rx_queue_size='128'/>", ATTACH, "Invalid rx_queue_size", "rx_queue_size"),
    Claim("N123", BRIDGE + "<driver rx_queue_size='2048'/>", ATTACH, "Invalid rx_queue_size", "rx_queue_size"),
    Claim(
        "N124",
        BRIDGE + "<driver tx_queue_size='1024'/>",
        TAKES,
        "driver/@tx_queue_size='1024'",
        "tx_queue_size",
        seen=("tx_queue_size", "256"),
    ),
    Claim("N125", BRIDGE + "<driver queues='300'/>", ATTACH, "too long", "queues"),
    Claim(
        "N126",
        BRIDGE + "<virtualport type='openvswitch'><parameters managerid='7'/></virtualport>",
        DEFINE,
        "managerid",
        "virtualport_managerid",
    ),
    Claim("N127", BRIDGE + f"<virtualport type='802.1Qbg'>{QBG}</virtualport>", TAKES, "virtualport", "virtualport"),
    Claim("N127", BRIDGE + f"<virtualport type='802.1Qbh'>{QBH}</virtualport>", TAKES, "virtualport", "virtualport"),
    Claim("N131", BRIDGE + "<target dev='abcdefghijklmnop'/>", ATTACH, "too long", "target"),
    Claim("N131", "type='bridge'><source bridge='abcdefghijklmnop'/>" + VIRTIO, ATTACH, "", "bridge"),
    Claim("N132", BRIDGE + "<alias name='mine'/>", TAKES, "not(alias/@name='mine')", "alias"),
    Claim("N133", ON_BRIDGE, ATTACH, "No more available PCI slots", "model"),
    Claim("N134", ON_BRIDGE + "<model type='foo'/>", ATTACH, "not a valid device model", "model"),
    Claim(
        "N135",
        BRIDGE + "<mac address='00:00:00:00:00:00'/>",
        TAKES,
        "mac/@address='00:00:00:00:00:00'",
        "mac",
        seen=("mac", "52:54:00:12:34:"),
    ),
    Claim("N136", BRIDGE + "<acpi index='20000'/>", ATTACH, "acpi-index", "acpi_index"),
    Claim("N137", BRIDGE + "<rom enabled='no' bar='on'/>", DEFINE, "ROM tuning", "rom_bar"),
    Claim("N137", BRIDGE + "<rom enabled='no' file='/x'/>", DEFINE, "ROM tuning", "rom_file"),
    Claim("N138", ON_BRIDGE + INTEL + "<teaming type='persistent'/>", DEFINE, "model type='virtio'", "teaming"),
    Claim("N138", DIRECT + "<teaming type='transient' persistent='ua-x'/>", DEFINE, "hostdev", "teaming"),
    Claim("N139", BRIDGE + "<mtu size='40'/>", ATTACH, "MTU", "mtu"),
    Claim("N151", BRIDGE + "<ip address='10.0.0.1' prefix='24'/>", DEFINE, "guest-side IP", None),
    Claim("N151", DIRECT + "<route address='10.0.0.0' prefix='8' gateway='10.1.1.1'/>", DEFINE, "guest-side IP", None),
    Claim("N151", BRIDGE + "<script path='/bin/true'/>", ATTACH, "scripts are not supported", None),
    Claim("N152", BRIDGE + f"<downscript path='{DOWN}'/>", TAKES, "downscript", None, idle="downscript"),
    Claim("N152", BRIDGE + "<backenddomain name='x'/>", TAKES, "backenddomain", None, idle="backenddomain"),
    Claim("N152", BRIDGE + "<guest dev='x'/>", TAKES, "guest", None, idle="guest"),
    Claim(
        "N152",
        BRIDGE + "<portForward proto='tcp'><range start='80'/></portForward>",
        TAKES,
        "portForward",
        None,
        idle="portForward",
    ),
    Claim("N153", BRIDGE + "<target dev='x0' managed='no'/>", DEFINE, "unmanaged target", None),
]


@dataclass(frozen=True)
class DomainClaim:
    """A case of a rule on NICs that are together.

    Args:
        code: The rule.
        nics: The insides of the `<interface>`s.
        field: The field that the rule names, on the last of them.
        shows: A part of libvirt's message.
        starts: Whether libvirt defines it, and only fails to start it; else it refuses to define it.
        boot: Whether the domain has a `<boot>` in `<os>`.
    """

    code: str
    nics: tuple[str, ...]
    field: str
    shows: str
    starts: bool = False
    boot: bool = False

    @property
    def xmls(self) -> list[str]:
        """The `<interface>`s."""
        return [f"<interface {nic}</interface>" for nic in self.nics]


A, B = (f"<mac address='52:54:00:c1:a1:{n}'/>" for n in ("0a", "0b"))
PASSTHROUGH = DIRECT.replace("mode='bridge'", "mode='passthrough'")
SLOT = "<address type='pci' domain='0x0000' bus='0x0a' slot='0x00' function='0x0'/>"

DOMAIN_CLAIMS = [
    DomainClaim("N201", (BRIDGE + A + "<boot order='1'/>",), "boot_order", "per-device boot elements", boot=True),
    DomainClaim("N203", (BRIDGE + A + SLOT, BRIDGE + B + SLOT), "address", "double use of PCI"),
    DomainClaim(
        "N204", (BRIDGE + A + "<alias name='ua-x'/>", DIRECT + B + "<alias name='ua-x'/>"), "alias", "non unique alias"
    ),
    DomainClaim("N205", (PASSTHROUGH + A, PASSTHROUGH + B), "direct", "", starts=True),
    DomainClaim("N205", (DIRECT + A, PASSTHROUGH + B), "direct", "", starts=True),
    DomainClaim(
        "N206",
        (BRIDGE + A + "<boot order='7'/>", DIRECT + B + "<boot order='7'/>"),
        "boot_order",
        "boot order '7' used for more than one device",
    ),
    DomainClaim(
        "N207", (BRIDGE + A + "<target dev='t0'/>", BRIDGE + B + "<target dev='t0'/>"), "target", "t0", starts=True
    ),
]
TWINS = (BRIDGE + A, BRIDGE + A)
"""N202: two NICs of one MAC address, which libvirt takes and then cannot tell apart."""
