"""Names that act on a terminal, from domains, definitions and guests, arrive there spelt out."""

from __future__ import annotations

import json

import pytest

from tests.e2e.test_bad_input import clear
from tests.e2e.world import UPLINK, Done, Guest, Waiting, changed, define, hypervisor, tool, until, vmnet

HOSTILE = {
    "bidi": "a\u202egnp.exe",
    "C1": "\x9b31mred\x9b0m\x85next",
    "tab": "tab\there",
    "rubout": "x\x7f\x7fdel",
    "invisible": "z\u200bw\u2066",
}
"""Text that libvirt takes; what XML itself forbids (ESC, BEL) cannot come this way."""
IN_GUEST = "e\x1b[2J\u202e\x85x"
"""What the kernel takes for the name of a link: all but blanks, '/' and ':'."""
MAC = "52:54:00:00:00:66"
NIC = "<interface type='{kind}'><source {source}/><mac address='" + MAC + "'/><model type='virtio'/>{more}</interface>"


def told(done: Done, code: int, *words: str) -> None:
    """What a command said is clear, and is about what it should be."""
    assert done.code == code, done.out + done.err
    assert clear(done.out), ascii(done.out)
    assert clear(done.err), ascii(done.err)
    assert "Traceback" not in done.err
    assert all(word in done.out + done.err for word in words), ascii(done.out + done.err)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_domain_with_a_hostile_name_is_listed_changed_and_waited_for(text: str) -> None:
    shown = ascii(text)[1:-1]
    define(text, extra=[NIC.format(kind="direct", source=f"dev='{UPLINK}' mode='bridge'", more="")])
    told(vmnet("list"), 0, shown, MAC)
    told(vmnet("list", "--json"), 0)
    told(vmnet("list", text), 0, shown)
    told(vmnet("wait", text, "--ip", "--timeout", "0"), 1, shown)
    told(vmnet("set", text, "1", "--mode", "vepa", "--diff"), 0, shown)
    told(vmnet("attach", text, "--direct", UPLINK), 0, shown)
    told(vmnet("attach", "guest1", "--direct", UPLINK, "--mac", MAC), 1, shown)
    told(vmnet("detach", text, "7"), 1, shown)
    told(vmnet("detach", text + "!", "1"), 1, shown)
    told(vmnet("detach", text, "1"), 0, shown)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(
    "nic",
    [
        NIC.format(kind="bridge", source="bridge='{text}'", more=""),
        NIC.format(kind="direct", source="dev='{text}' mode='bridge'", more=""),
        NIC.format(kind="network", source="network='{text}' portgroup='{text}'", more=""),
        NIC.format(kind="bridge", source="bridge='br0'", more="<target dev='{text}'/><alias name='ua-{text}'/>"),
    ],
    ids=["bridge", "uplink", "network", "target and alias"],
)
def test_a_definition_with_a_hostile_name_in_its_nic_is_listed_changed_and_detached(nic: str, text: str) -> None:
    define("off", extra=[nic.replace("{text}", text.replace("\t", "&#9;").replace("\x85", "&#133;"))])
    told(vmnet("list"), 0, MAC)
    told(vmnet("list", "--json"), 0)
    told(vmnet("set", "off", "1", "--link", "down", "--diff"), 0)
    told(vmnet("detach", "off", "7"), 1, MAC)
    told(vmnet("detach", "off", "1"), 0, MAC)


def test_a_title_and_a_description_are_not_shown_raw() -> None:
    define("off", extra=[NIC.format(kind="direct", source=f"dev='{UPLINK}' mode='bridge'", more="")])
    with hypervisor() as connection:
        domain = connection.lookupByName("off")
        for kind in (0, 1):  # VIR_DOMAIN_METADATA_DESCRIPTION, _TITLE
            domain.setMetadata(kind, HOSTILE["C1"] + HOSTILE["bidi"], None, None, 2)
    for command in (
        ("list",),
        ("list", "--json"),
        ("set", "off", "1", "--mode", "vepa", "--diff"),
        ("detach", "off", "1"),
    ):
        told(vmnet(*command), 0)


def test_a_guest_that_gives_its_nic_a_hostile_name_is_listed_waited_for_and_let_go(guest1: Guest) -> None:
    mac = changed("attach", guest1.name, "--direct", UPLINK)["nics"][0]["mac"]
    address = guest1.address(mac)
    name = "".join(f"\\{byte:03o}" for byte in IN_GUEST.encode())
    code, said = guest1.execute(
        "/bin/sh", "-c",
        f"N=$(printf '{name}'); ip link set eth0 down && ip link set eth0 name \"$N\" && ip link set \"$N\" up",
    )  # fmt: skip
    assert code == 0, said
    until(lambda: IN_GUEST in names_by_agent(guest1), "the agent reports the name")
    told(vmnet("list"), 0, mac)
    told(vmnet("list", "--json"), 0, mac)
    told(vmnet("wait", guest1.name, "--ip"), 0, address)
    told(vmnet("wait", guest1.name, mac, "--ip", "--json"), 0, address)
    tool("virsh", "suspend", guest1.name)
    with Waiting("Unplug", "detach", guest1.name, mac) as detaching:
        tool("virsh", "resume", guest1.name)
        told(detaching.end(), 0, mac)


def names_by_agent(guest: Guest) -> list[str]:
    asked = json.dumps({"execute": "guest-network-get-interfaces"})
    return [link["name"] for link in json.loads(tool("virsh", "qemu-agent-command", guest.name, asked))["return"]]
