"""Rules on what a NIC is attached to, and on what its attachment does not take."""

from __future__ import annotations

from collections.abc import Iterator

from vmnet.findings import Severity
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode, Other
from vmnet.nic.model import Nic, VirtualPort
from vmnet.nic.rules.table import Remark, rule, versioned_rule
from vmnet.nic.types import YesNo
from vmnet.nic.version import Version
from vmnet.nic.xml import quoted

_PARAMETERS = {
    VirtualPort.QBG: ("managerid", "typeid", "typeidversion", "instanceid"),
    VirtualPort.QBH: ("profileid",),
    VirtualPort.OPENVSWITCH: ("profileid", "interfaceid"),
    VirtualPort.MIDONET: ("interfaceid",),
}
_OF_BRIDGES = (VirtualPort.OPENVSWITCH, VirtualPort.MIDONET)


@rule("N101", Severity.ERROR)
def field_does_not_fit(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses mtu, coalesce, isolated and backend_tap on type='direct' (9.0 to 12.8, CONFIG_UNSUPPORTED)."""
    attachment = nic.attachment
    kind = type(attachment).__name__.lower()
    for name in nic.values():
        field = Nic.FIELDS[name]
        harmless = field.needs or (name == "isolated" and nic.isolated is YesNo.NO)
        if not field.fits & attachment.fits and not harmless:
            yield Remark(
                f"{name} does not go with a {kind} NIC",
                f"libvirt refuses it on type='{kind}'",
                f"Leave {name} out, or choose another attachment",
                name,
            )


@rule("N104", Severity.ERROR)
def filter_is_lost_on_direct(nic: Nic) -> Iterator[Remark]:
    """libvirt drops <filterref> on type='direct' without a word (9.0 to 11.3), and anti-spoofing with it."""
    if nic.filter is not None and isinstance(nic.attachment, Direct):
        yield Remark(
            f"the filter {quoted(nic.filter)} would be lost",
            "macvtap passes by nwfilter, and libvirt drops it without a word",
            "Keep the NIC on a bridge, or take the filter off it knowingly",
            "filter",
        )


@rule("N105", Severity.NOTE)
def vepa_needs_a_hairpin_switch(nic: Nic) -> Iterator[Remark]:
    """In vepa, libvirt's default where no mode is written, the switch must send frames back (802.1Qbg)."""
    match nic.attachment:
        case Direct(mode=MacvtapMode.VEPA):
            silent = "it is libvirt's default where no mode is written; " if nic.text("source/@mode") is None else ""
            yield Remark(
                "in mode vepa guests of one uplink reach each other only through a switch with hairpin",
                f"{silent}frames between them leave the host, and most switches do not send them back",
                "Say --mode bridge unless the switch does",
                "mode",
            )


@rule("N106", Severity.NOTE)
def passthrough_takes_the_uplink(nic: Nic) -> Iterator[Remark]:
    """A macvtap in mode passthrough is alone on its lower device, and sets its MAC (kernel macvlan)."""
    match nic.attachment:
        case Direct(dev, MacvtapMode.PASSTHROUGH):
            yield Remark(
                f"the NIC takes {quoted(dev)} for itself",
                "a macvtap in mode passthrough must be alone on its uplink, which gets the guest's MAC",
                "Say --mode bridge if others are to use the uplink too",
                "mode",
            )


@versioned_rule("N107", Severity.ERROR)
def field_is_newer_than_libvirt(nic: Nic, libvirt: Version | None) -> Iterator[Remark]:
    """libvirt ignores what it does not know: attach and update take no flag to validate (9.0 to 12.8)."""
    for name in nic.values() if libvirt else ():
        if libvirt and Nic.FIELDS[name].since > libvirt:
            yield Remark(
                f"libvirt {libvirt} does not know {name}",
                f"it came with {Nic.FIELDS[name].since}, and an older one ignores it without a word",
                f"Leave {name} out, or use a newer libvirt",
                name,
            )


@rule("N108", Severity.ERROR, until="11.0.0")
def bridge_has_no_vlans(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses <vlan> on a bridge of the kernel's when it attaches or starts, not before (until 11.0)."""
    if isinstance(nic.attachment, Bridge) and nic.virtualport is not VirtualPort.OPENVSWITCH:
        for name in _vlan_fields(nic):
            yield Remark(
                f"this libvirt cannot put a NIC of a bridge in a VLAN ({name})",
                "libvirt before 11.0 refuses it when the guest starts",
                "Use a bridge over a VLAN link (eth0.42), or libvirt 11.0",
                name,
            )


@rule("N109", Severity.NOTE, since="11.0.0")
def bridge_must_filter_vlans(nic: Nic) -> Iterator[Remark]:
    """A bridge of the kernel's separates VLANs only with vlan_filtering=1; <vlan> needs libvirt 11.0 there."""
    if isinstance(nic.attachment, Bridge) and nic.virtualport is not VirtualPort.OPENVSWITCH:
        for name in _vlan_fields(nic):
            yield Remark(
                f"the bridge must filter VLANs for {name} to mean anything",
                "without vlan_filtering the kernel's bridge ignores tags; libvirt has it since 11.0",
                "Set it: ip link set BRIDGE type bridge vlan_filtering 1",
                name,
            )


@rule("N110", Severity.ERROR)
def direct_has_no_vlans(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses <vlan> on type='direct' in any mode but passthrough, when it attaches or starts (9.0 to 12.8)."""
    if isinstance(nic.attachment, Direct) and nic.mode is not MacvtapMode.PASSTHROUGH:
        for name in _vlan_fields(nic):
            yield Remark(
                f"{name} does not go with a macvtap in mode {nic.mode or quoted(nic.text('source/@mode') or '')}",
                "libvirt has VLANs for passthrough to an SR-IOV function only",
                "Use a macvtap on a VLAN link (--direct eth0.42)",
                name,
            )


@rule("N111", Severity.WARNING)
def trust_rx_does_nothing(nic: Nic) -> Iterator[Remark]:
    """trustGuestRxFilters is kept and does nothing on a bridge, or with another model than virtio (9.0 to 12.8)."""
    if nic.trust_rx is YesNo.YES:
        on_bridge = isinstance(nic.attachment, Bridge)
        if on_bridge or (isinstance(nic.attachment, Direct) and not nic.is_virtio):
            yield Remark(
                "trust_rx does nothing here",
                "only a macvtap has filters for the guest to set" if on_bridge else "only virtio tells its filters",
                "Leave it out" if on_bridge else "Say --model virtio, or leave it out",
                "trust_rx",
            )


@rule("N112", Severity.NOTE)
def trust_rx_trusts(nic: Nic) -> Iterator[Remark]:
    """With trustGuestRxFilters the guest sets its MAC, multicast and promiscuous mode on the uplink (since 1.2.10)."""
    if nic.trust_rx is YesNo.YES and isinstance(nic.attachment, Direct) and nic.is_virtio:
        yield Remark(
            "the guest may take any MAC address and listen to all of the uplink",
            "libvirt applies the filters that the guest asks for; IPv6 and multicast of a macvtap need that",
            "Leave trust_rx out for guests of others",
            "trust_rx",
        )


@rule("N113", Severity.ERROR)
def floor_needs_a_network(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses a floor but on type='network' with its own bridge (9.0 to 12.8, CONFIG_UNSUPPORTED)."""
    if nic.text("bandwidth/inbound/@floor") is not None and isinstance(nic.attachment, Direct | Bridge):
        yield Remark(
            "a guaranteed rate (floor) needs a libvirt network",
            "libvirt shares out the bandwidth of its own bridges only",
            "Leave the fourth number of --inbound out",
            "inbound",
        )


@rule("N114", Severity.ERROR)
def bandwidth_is_incomplete(nic: Nic) -> Iterator[Remark]:
    """libvirt's parser wants an average, or inbound a floor, and no floor outbound (9.0 to 12.8)."""
    for name in ("inbound", "outbound"):
        at = f"bandwidth/{name}/@"
        said = {rate for rate in ("average", "peak", "burst", "floor") if nic.text(at + rate) is not None}
        if "floor" in said and name == "outbound":
            yield Remark("there is no floor outbound", "libvirt refuses it", "Leave the floor out", name)
        elif said and not said & {"average", "floor"}:
            yield Remark(
                f"{name} has no average", "libvirt takes no peak or burst without it", "Say the average too", name
            )


@rule("N115", Severity.WARNING)
def virtualport_does_nothing(nic: Nic) -> Iterator[Remark]:
    """libvirt keeps a <virtualport> of a bridge's kind on type='direct', and ignores it (9.0)."""
    if isinstance(nic.attachment, Direct) and nic.virtualport in _OF_BRIDGES:
        yield Remark(
            f"virtualport {nic.virtualport} does nothing here",
            "it is of a bridge; libvirt keeps it on a macvtap and ignores it",
            "Leave it out, or choose another attachment",
            "virtualport",
        )


@rule("N116", Severity.ERROR)
def virtualport_is_incomplete(nic: Nic) -> Iterator[Remark]:
    """libvirt's parser wants the type and its parameters, but on type='network' (9.0 to 12.8)."""
    if not isinstance(nic.attachment, Direct | Bridge):
        return
    if nic.virtualport is None and any(name.startswith("virtualport_") for name in nic.values()):
        yield Remark("the virtualport has no type", "libvirt refuses it", "Say --set virtualport=TYPE", "virtualport")
    if nic.virtualport in (None, VirtualPort.OPENVSWITCH):  # which can do without
        return
    for name in _PARAMETERS[nic.virtualport]:
        if nic.text(f"virtualport/parameters/@{name}") is None:
            yield Remark(
                f"virtualport {nic.virtualport} has no {name}",
                "libvirt refuses it without",
                f"Say --set virtualport_{name}=VALUE",
                f"virtualport_{name}",
            )


@rule("N126", Severity.ERROR)
def virtualport_has_a_stray_parameter(nic: Nic) -> Iterator[Remark]:
    """libvirt's schema and parser refuse a parameter that is not of the virtualport's type (9.0 to 12.8)."""
    for name in nic.values():
        parameter = name.removeprefix("virtualport_")
        if nic.virtualport is not None and parameter != name and parameter not in _PARAMETERS[nic.virtualport]:
            yield Remark(
                f"{name} does not go with virtualport {nic.virtualport}",
                "it is of another kind of switch, and libvirt refuses it",
                f"Leave {name} out",
                name,
            )


@rule("N127", Severity.ERROR)
def virtualport_takes_the_nic_off_its_bridge(nic: Nic) -> Iterator[Remark]:
    """With a <virtualport> of a macvtap's kind libvirt makes the tap a port of no bridge, without a word (9.0)."""
    kind = nic.virtualport
    if isinstance(nic.attachment, Bridge) and kind is not None and kind not in _OF_BRIDGES:
        yield Remark(
            f"with virtualport {kind} the NIC would be on no bridge",
            "802.1Qbg and 802.1Qbh are of macvtap, and libvirt then leaves the tap alone without a word",
            "Leave it out, or say --direct",
            "virtualport",
        )


@rule("N117", Severity.ERROR)
def switch_has_neither_isolation_nor_filter(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses isolated at once, a filter when it attaches, on a bridge with a <virtualport> (9.0 to 12.8)."""
    if isinstance(nic.attachment, Bridge) and nic.virtualport in _OF_BRIDGES:
        for name in ("isolated", "filter"):
            if nic.get(name) not in (None, YesNo.NO):
                yield Remark(
                    f"{name} does not go with virtualport {nic.virtualport}",
                    "libvirt has it for bridges of the kernel's only",
                    f"Leave {name} out, or use a bridge of the kernel's",
                    name,
                )


@rule("N118", Severity.WARNING)
def portgroup_needs_a_network(nic: Nic) -> Iterator[Remark]:
    """libvirt drops source/@portgroup on any type but network without a word (9.0 to 12.8)."""
    if nic.portgroup is not None and nic.text("@type") in ("direct", "bridge") and not nic.text("source/@portid"):
        yield Remark(
            "the portgroup will be lost",
            "it is of a libvirt network, and libvirt drops it elsewhere without a word",
            "Say --network NAME, or leave it out",
            "portgroup",
        )


@rule("N119", Severity.ERROR)
def bridge_is_not_named(nic: Nic) -> Iterator[Remark]:
    """libvirt takes an empty <source bridge=''/> and fails when it attaches or starts (9.0 to 12.8)."""
    if nic.attachment == Bridge(""):
        yield Remark("the NIC is on no bridge", "libvirt fails when the guest starts", "Say --bridge NAME", "bridge")


@rule("N120", Severity.ERROR)
def vlan_is_native_twice(nic: Nic) -> Iterator[Remark]:
    """libvirt's parser refuses a second nativeMode (9.0 to 12.8)."""
    if not isinstance(nic.attachment, Other) and nic.count("vlan/tag[@nativeMode]") > 1:
        yield Remark(
            "two VLANs of the trunk are native", "libvirt refuses the second", "Say --native VLAN once", "native"
        )


def _vlan_fields(nic: Nic) -> Iterator[str]:
    return (name for name in ("vlan", "trunk") if nic.get(name) is not None)
