"""libvirt keeps what the vocabulary says: no field of ours is dropped or changed on its way."""

from __future__ import annotations

import libvirt
import pytest
from lxml import etree

from tests.e2e.world import CONSOLES, Guest, changed, hypervisor, ip, tool
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic

OFFLOADS = {
    **{f"host_{name}": "off" for name in ("csum", "gso", "tso4", "tso6", "ecn", "ufo", "mrg_rxbuf")},
    **{f"guest_{name}": "off" for name in ("csum", "tso4", "tso6", "ecn", "ufo")},
}
EVERYWHERE = {
    **{"mac": "52:54:00:0f:0f:01", "mac_type": "static", "mac_check": "no", "model": "virtio", "link": "down"},
    **{"trust_rx": "yes", "inbound": "1000,2000,512", "outbound": "1000,,512", "driver": "qemu", "queues": "2"},
    **{"rx_queue_size": "512", "tx_queue_size": "256", "txmode": "timer", "ioeventfd": "off", "event_idx": "off"},
    **{"rss": "on", "rss_hash_report": "on", "iommu": "on", "ats": "on", "packed": "on", "page_per_vq": "on"},
    **{"sndbuf": "1600", "target": "t0", "alias": "ua-t0", "address": "0000:02:00.0", "multifunction": "on"},
    **{"acpi_index": "7", "boot_order": "1", "rom_enabled": "yes", "rom_bar": "on", "rom_file": "/rom.bin"},
    **{"teaming": "persistent", "backend_vhost": "/dev/vhost-net"},
    **OFFLOADS,
}
ON_TAP = {
    **{"mtu": "1400", "filter": "clean-traffic", "filter_params": "IP=10.0.0.2,IP=10.0.0.3", "coalesce": "7"},
    **{"backend_tap": "/dev/net/tun"},
}
ID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"
QBG = {f"virtualport_{name}": "7" for name in ("managerid", "typeid", "typeidversion")}

CASES = {
    "bridge": {"bridge": "br0", "vlan": "42", "isolated": "yes", **EVERYWHERE, **ON_TAP},
    "trunk": {"bridge": "br0", "trunk": "10,20-22", "native": "10"},
    "native tagged": {"bridge": "br0", "trunk": "10,20", "native": "20:tagged"},
    "trunk of one": {"bridge": "br0", "trunk": "10"},
    "openvswitch": {
        "bridge": "ovs0",
        "virtualport": "openvswitch",
        "virtualport_profileid": "finance",
        "virtualport_interfaceid": ID,
    },
    "direct": {"direct": "up0", "mode": "private", **EVERYWHERE},
    "802.1Qbg": {"direct": "up0", "mode": "vepa", "virtualport": "802.1Qbg", "virtualport_instanceid": ID, **QBG},
    "network": {"network": "n", "portgroup": "p", **EVERYWHERE, **ON_TAP, "inbound": "1000,2000,512,300"},
}
S390 = {"loadparm"}
"""What a domain of another architecture refuses."""


def test_every_field_is_tried() -> None:
    assert {name for case in CASES.values() for name in case} == set(Nic.FIELDS) - S390


@pytest.mark.parametrize("case", CASES)
def test_libvirt_keeps_every_field_of_a_definition(case: str) -> None:
    bare = Nic.parse("<interface type='bridge'><source bridge='br0'/></interface>")
    nic = rewrite(bare, CASES[case])
    with hypervisor() as connection:
        root = etree.fromstring(connection.lookupByName("guest1").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        root.remove(root.find("uuid"))
        root.find("name").text = "keeper"
        root.find("devices").append(nic.element)
        for element in root.findall("os/boot"):
            element.getparent().remove(element)
        domain = connection.defineXML(etree.tostring(root, encoding="unicode"))
        try:
            found = etree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).find("devices/interface")
        finally:
            domain.undefine()
    kept = Nic(found)
    assert {name: kept.get(name) for name in nic.values()} == nic.values()


@pytest.mark.parametrize(
    ("forward", "link"),
    [
        ("<forward mode='bridge'/><bridge name='br0'/>", "bridge"),
        ("<forward mode='bridge'><interface dev='up0'/></forward>", "direct"),
    ],
)
def test_a_nic_of_a_libvirt_network_is_attached_to_what_the_network_has(forward: str, link: str, guest1: Guest) -> None:
    ip("link add br0 type bridge stp_state 0 forward_delay 0")
    ip("link set br0 up")
    file = CONSOLES / "network.xml"
    file.write_text(f"<network><name>lab</name>{forward}<portgroup name='sales'/></network>")
    tool("virsh", "net-define", str(file))
    tool("virsh", "net-start", "lab")
    [nic] = changed("attach", "guest1", "--network", "lab", "--set", "portgroup=sales")["nics"]
    assert link in nic
    [running], [kept] = guest1.running, guest1.defined
    assert running.attachment[0] == link
    assert kept.attachment[0] == "network"
    assert (running.mac, running.address) == (kept.mac, kept.address)
    assert changed("attach", "guest1", "--network", "lab", "--mac", running.mac)["steps"] == []
