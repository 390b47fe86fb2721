"""`vmnet list`: every NIC as libvirt has it, as the kernel has it, and where the guest is reached."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from subprocess import PIPE

import pytest
from lxml import etree

from tests.e2e.world import CONSOLES, UPLINK, changed, create, define, ip, make_bridge, tool, until, vmnet

MAC = "52:54:00:00:00:01"
NETWORKS = {
    "on-bridge": "<network><name>on-bridge</name><forward mode='bridge'/><bridge name='br0'/></network>",
    "on-uplink": f"<network><name>on-uplink</name><forward mode='vepa'><interface dev='{UPLINK}'/></forward></network>",
}


def rows(*domains: str) -> list[dict]:
    return vmnet("list", *domains, "--json").json["nics"]


def row(domain: str) -> dict:
    (only,) = rows(domain)
    return only


def of_network(name: str) -> str:
    return (
        f"<interface type='network'><mac address='{MAC}'/><source network='{name}'/><model type='virtio'/></interface>"
    )


def network(name: str) -> None:
    file = CONSOLES / "network.xml"
    file.write_text(NETWORKS[name])
    tool("virsh", "net-define", str(file))
    tool("virsh", "net-start", name)


def on_terminal(*arguments: str, columns: int = 80) -> str:
    """What a command shows on a terminal of that width, its colours left out."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["vmnet", *arguments], stdout=theirs, stdin=theirs, env=os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        said = b""
        try:
            while block := os.read(ours, 65536):
                said += block
        except OSError:  # EIO: the other end is closed
            pass
        assert process.wait() == 0
    os.close(ours)
    return re.sub(r"\x1b\[\d*m", "", said.decode().replace("\r\n", "\n"))


def test_nothing_is_listed_where_there_is_no_nic():
    assert rows() == []
    assert vmnet("list").out == "There is no NIC.\n"


def test_a_nic_is_shown_as_libvirt_and_the_kernel_have_it_with_its_address(guest1):
    nic = changed("attach", guest1.name, "--direct", UPLINK, "--mode", "private")["nics"][0]
    address = guest1.address(nic["mac"])
    shown = until(lambda: (r := row(guest1.name))["addresses"] and r, "the agent tells the address")
    assert shown["nic"] == {k: v for k, v in nic.items() if k not in ("domain", "documents", "changes")}
    assert shown["documents"] == ["live", "config"]
    assert shown["differs"] == {}
    assert shown["notes"] == []
    assert shown["kernel"] == {"link": nic["target"], "on": UPLINK, "mode": "private", "up": True}
    assert shown["addresses"][0] == {"address": f"{address}/24", "source": "agent"}


def test_addresses_come_from_the_hosts_neighbours_where_no_agent_answers(guest1, br0):
    ip(f"addr add 10.99.0.11/24 dev {br0}")
    nic = changed("attach", guest1.name, "--bridge", br0)["nics"][0]
    address = guest1.address(nic["mac"])
    tool("ping", "-c", "1", "-W", "2", address)
    tool("virsh", "suspend", guest1.name)
    known = row(guest1.name)["addresses"]
    assert {"address": address, "source": "neighbour"} in known


def test_what_runs_and_what_is_defined_are_told_apart(guest1):
    changed("attach", guest1.name, "--direct", UPLINK, "--mac", MAC)
    changed("attach", guest1.name, "--direct", UPLINK, "--mac", "seed:now", "--live")
    changed("attach", guest1.name, "--direct", UPLINK, "--mac", "seed:later", "--config")
    both, later, now = rows(guest1.name)
    assert [r["documents"] for r in (both, later, now)] == [["live", "config"], ["config"], ["live"]]
    assert both["notes"] == []
    assert "gone at the next start" in now["notes"][0]
    assert "not there before the next start" in later["notes"][0]
    assert [r["number"] for r in (both, later, now)] == [1, 2, 3]


def test_a_field_that_will_be_another_after_the_next_start_is_named(guest1):
    changed("attach", guest1.name, "--direct", UPLINK, "--mac", MAC)
    tool("virt-xml", guest1.name, "--edit", f"mac={MAC}", "--network", "source.mode=private")
    shown = row(guest1.name)
    assert shown["differs"] == {"mode": ["bridge", "private"]}
    assert shown["notes"] == ["mode is bridge now and private after the next start"]


@pytest.mark.parametrize("state", ["running", "shut off"])
def test_a_network_is_shown_as_what_it_resolves_to(state):
    make_bridge("br0")
    network("on-bridge")
    guest = define("networked", extra=[of_network("on-bridge")])
    if state == "running":
        tool("virsh", "start", guest.name, "--paused")
    shown = row(guest.name)
    assert (shown["type"], shown["state"]) == ("bridge", "paused") if state == "running" else ("network", "shut off")
    assert shown["network"]["name"] == "on-bridge"
    assert (shown["network"]["forward"], shown["network"]["bridge"]) == ("bridge", "br0")
    assert shown["differs"] == {}
    assert "on-bridge: br0" in vmnet("list", guest.name).out
    if state == "running":
        assert shown["kernel"]["on"] == "br0"


def test_a_network_of_macvtaps_is_shown_as_its_uplinks():
    network("on-uplink")
    shown = row(define("networked", extra=[of_network("on-uplink")]).name)
    assert (shown["network"]["forward"], shown["network"]["uplinks"]) == ("vepa", [UPLINK])


def test_a_network_that_is_not_there_is_shown_as_unknown():
    shown = row(define("networked", extra=[of_network("missing")]).name)
    assert (shown["network"]["name"], shown["network"]["forward"]) == ("missing", None)
    assert "missing: ?" in vmnet("list", "networked").out


def test_a_tap_that_was_taken_out_of_its_bridge_is_noted(guest1, br0):
    nic = changed("attach", guest1.name, "--bridge", br0)["nics"][0]
    ip(f"link set {nic['target']} nomaster")
    assert row(guest1.name)["notes"] == [f"{nic['target']} is a port of no bridge, not of br0"]
    make_bridge("br1", uplink=None)
    ip(f"link set {nic['target']} master br1")
    assert row(guest1.name)["notes"] == [f"{nic['target']} is a port of br1, not of br0"]


@pytest.mark.parametrize(
    ("command", "note"),
    [
        ("link set {} type macvtap mode vepa", "{} is in mode vepa, not bridge"),
        ("link set {} down", "{} is down"),
        ("link del {}", "the kernel has no link {}"),
    ],
)
def test_a_macvtap_that_was_changed_by_hand_is_noted(guest1, command, note):
    target = changed("attach", guest1.name, "--direct", UPLINK)["nics"][0]["target"]
    ip(command.format(target))
    assert row(guest1.name)["notes"] == [note.format(target)]


def test_transient_and_shut_off_domains_are_listed_too(off):
    changed("attach", off.name, "--direct", UPLINK, "--mac", "seed:off")
    passing = create("passing", "--paused")
    changed("attach", passing.name, "--direct", UPLINK, "--mac", "seed:passing")
    assert [(r["domain"], r["documents"]) for r in rows()] == [("off", ["config"]), ("passing", ["live"])]
    assert re.search(r"^off +1 +shut off +up0 bridge", vmnet("list").out, re.MULTILINE)


def test_text_that_would_act_on_a_terminal_is_only_shown():
    root = etree.fromstring(of_network("missing"))
    root.find("source").set("network", "r\u202eed")
    define("a\u202eb", extra=[etree.tostring(root, encoding="unicode")])
    for said in (vmnet("list").out, on_terminal("list")):
        assert "\\u202e" in said
        assert all(c.isprintable() or c == "\n" for c in said)
    assert json.loads(vmnet("list", "--json").out)["nics"][0]["domain"] == "a\u202eb"


def test_a_list_fits_the_terminal_that_it_is_shown_on(guest1):
    changed("attach", define("a-guest-with-quite-a-long-name-of-its-own").name, "--direct", UPLINK)
    changed("attach", guest1.name, "--direct", UPLINK, "--mac", MAC)
    for columns in (80, 120):
        shown = on_terminal("list", columns=columns)
        assert max(map(len, shown.splitlines())) <= columns
        assert MAC in shown
    piped = vmnet("list").out.splitlines()
    assert [line.split()[0] for line in piped[:3]] == ["DOMAIN", "a-guest-with-quite-a-long-name-of-its-own", "guest1"]


def test_a_reader_that_has_seen_enough_is_no_error(guest1):
    changed("attach", guest1.name, "--direct", UPLINK)
    for unbuffered in ("", "1"):
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        with subprocess.Popen(["vmnet", "list"], stdout=PIPE, stderr=PIPE, text=True, env=environment) as listing:
            listing.stdout.close()
            assert listing.stderr.read() == ""
        assert listing.returncode == 0, f"PYTHONUNBUFFERED={unbuffered}"
