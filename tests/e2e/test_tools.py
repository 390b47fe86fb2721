"""Other tools read what vmnet made; guests and daemons that start again keep it."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.e2e.world import ATTACHMENTS, CONSOLES, UPLINK, changed, links, make_bridge, tool, until, vmnet

MAC = "52:54:00:00:00:01"


@pytest.mark.parametrize("kind", ["macvtap-vepa", "bridge-existing"])
def test_virsh_lists_the_nic_like_vmnet(guest1, kind):
    if kind == "bridge-existing":
        make_bridge("br0")
    nic = changed("attach", guest1.name, *ATTACHMENTS[kind])["nics"][0]
    live = tool("virsh", "domiflist", guest1.name).split("\n")[2].split()
    config = tool("virsh", "domiflist", guest1.name, "--inactive").split("\n")[2].split()
    how, where = ("bridge", "br0") if kind == "bridge-existing" else ("direct", UPLINK)
    assert live == [nic["target"], how, where, "virtio", nic["mac"]]
    assert config[1:] == live[1:]


def test_virsh_takes_back_what_it_shows(guest1):
    changed("attach", guest1.name, "--direct", UPLINK, "--mode", "private", "--mac", MAC)
    shown = tool("virsh", "dumpxml", guest1.name, "--inactive")
    tool("virsh", "define", _written(shown), "--validate")
    assert tool("virsh", "dumpxml", guest1.name, "--inactive") == shown


def test_virt_xml_edits_a_nic_that_vmnet_made(guest1):
    changed("attach", guest1.name, "--direct", UPLINK, "--mode", "private", "--mac", MAC)
    before = guest1.defined[0]
    shown = tool("virt-xml", guest1.name, "--edit", f"mac={MAC}", "--network", "link.state=down", "--print-xml")
    (nic,) = etree.fromstring(shown).iterfind("devices/interface")
    assert nic.find("link").get("state") == "down"
    nic.remove(nic.find("link"))
    assert type(before)(nic).same_in_both == before.same_in_both


def test_virt_xml_removes_a_nic_that_vmnet_made(guest1):
    changed("attach", guest1.name, "--direct", UPLINK, "--mac", MAC)
    tool("virt-xml", guest1.name, "--remove-device", "--network", f"mac={MAC}")
    assert guest1.defined == []
    (row,) = vmnet("list", guest1.name, "--json").json["nics"]
    assert row["documents"] == ["live"]


def test_vmnet_lists_and_detaches_what_virsh_made(guest1):
    tool(
        "virsh",
        "attach-interface",
        guest1.name,
        "direct",
        UPLINK,
        "--model",
        "virtio",
        "--mac",
        MAC,
        "--live",
        "--config",
    )
    (row,) = vmnet("list", guest1.name, "--json").json["nics"]
    assert (row["nic"]["mac"], row["documents"]) == (MAC, ["live", "config"])
    guest1.sees(MAC)
    changed("detach", guest1.name, MAC)
    assert (guest1.running, guest1.defined) == ([], [])


@pytest.mark.parametrize("how", [("reboot", "guest1", "--mode", "agent"), ("reset", "guest1")], ids=lambda h: h[0])
@pytest.mark.parametrize("kind", ["macvtap-bridge", "bridge-made"])
def test_a_guest_that_reboots_keeps_its_nic(guest1, how, kind):
    nic = changed("attach", guest1.name, *ATTACHMENTS[kind])["nics"][0]
    guest1.reaches_lan(nic["mac"])
    was = guest1.running[0].same_in_both
    boots = guest1.console.count("lab: ready")
    tool("virsh", *how)
    guest1.has_booted(boots + 1)
    guest1.reaches_lan(nic["mac"])
    assert guest1.running[0].same_in_both == was
    changed("detach", guest1.name, nic["mac"])
    until(lambda: nic["target"] not in links(), "its link is gone")


def _written(xml: str) -> str:
    file = CONSOLES / "shown.xml"
    file.write_text(xml)
    return str(file)
