"""A bridge is told to a real network manager, and after a reboot the manager makes it as it was.

The reboot: the NIC is made anew, the bridge and its rules are gone, and the manager starts with nothing but its files.
All of it happens in private namespaces: /etc, /run, /var/lib and /sys as the manager sees them are the test's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host import boot
from tests.host.boot import needed, plug_in, private_files, reboot, seen
from tests.host.lan import ip
from tests.host.processes import soon
from vmnet.cli.app import run
from vmnet.host.port import wait_until

MANAGERS = {
    "networkd": (boot.networkd, ("networkctl",)),
    "netplan": (boot.netplan, ("netplan", "networkctl")),
    "networkmanager": (boot.network_manager, ("NetworkManager",)),
    "ifupdown": (boot.ifupdown, ("ifup", "brctl")),
}

STATIC = """\
addr add 192.0.2.10/24 dev up0
addr add 192.0.2.11/24 dev up0
addr add 198.51.100.7/32 dev up0
addr add 2001:db8::10/64 dev up0 nodad
route add default via 192.0.2.1 dev up0
route add 10.0.0.0/8 via 192.0.2.2 dev up0 metric 50 mtu 1400
route add 10.1.0.0/16 via 192.0.2.2 dev up0 table 100
route add 203.0.113.0/24 dev up0 scope link
route add 203.0.114.0/24 via 203.0.115.1 dev up0 onlink
rule add from 192.0.2.10 table 100 priority 1000
-6 route add default via 2001:db8::1 dev up0
-6 route add 2001:db8:1::/48 via 2001:db8::2 dev up0 metric 77"""
HOSTS = {
    "static": (STATIC, ()),
    "spanning tree": ("", ("--stp", "--forward-delay", "2")),
    "no address": ("", ("--ageing", "60", "--no-multicast-snooping")),
    "another MAC and MTU": ("addr add 192.0.2.10/24 dev up0\nlink set up0 mtu 1400", ("--mac", "02:00:00:00:00:b0")),
}
NOT_TOLD = {
    ("netplan", "no address"): ["netplan is not told: multicast snooping off"],
    ("networkd", "spanning tree"): ["the ageing time of br0 is not told"],  # prepare has just changed the tree
}
CASES = [
    ("networkd", "spanning tree"),  # which takes the others, too, its time
    *((manager, name) for manager in MANAGERS for name in HOSTS if name != "spanning tree"),
]


@pytest.fixture
def host(private_namespace: None) -> Iterator[None]:
    with private_files():
        plug_in()
        ip("link set up0 up")
        assert wait_until(lambda: "LOWER_UP" in boot._json("link show dev up0")[0]["flags"], 10)
        yield


@pytest.fixture
def vmnet(host, capfd, monkeypatch) -> Callable[..., Any]:
    """A command line that must succeed: its document."""

    def said(*words: str, code: int = 0) -> Any:
        monkeypatch.setattr(sys, "argv", ["vmnet", *words, "--json"])
        done = run()
        out, err = capfd.readouterr()
        assert done == code, out + err
        return json.loads(out)

    return said


@pytest.mark.parametrize(("manager", "name"), CASES)
def test_after_a_reboot_the_manager_makes_the_bridge_as_it_was(manager: str, name: str, vmnet) -> None:
    begun, programs = MANAGERS[manager]
    needed(*programs)
    told_before(manager)
    prepared(name, vmnet)
    before = seen()
    done = vmnet("bridge", "persist", "br0", "--format", manager, "--write")
    lost = [f["what"] for f in done["findings"] if f["code"] == "H453"]
    assert lost == NOT_TOLD.get((manager, name), [])
    if "snooping" in str(lost):
        before["settings"]["mcast_snooping"] = 1
    reboot()
    with begun():
        soon(lambda: seen() == before)
        after = seen()
        assert not differing(after, before), json.dumps(differing(after, before), indent=1)


OTHERS = {
    "networkd": ("systemd/network/20-up0.network", "[Match]\nName=up0\n[Network]\nAddress=192.0.2.99/24\n"),
    "netplan": (
        "netplan/50-up0.yaml",
        "network:\n  version: 2\n  ethernets:\n    up0:\n      dhcp6: true\n      mtu: 1499\n",
    ),
    "networkmanager": (
        "NetworkManager/system-connections/up0.nmconnection",
        "[connection]\nid=up0\nuuid=0e1c6f4e-7a35-4b0f-9c5e-0f3b6d3b1a11\ntype=ethernet\ninterface-name=up0\n\n"
        "[ipv4]\nmethod=manual\naddress1=192.0.2.99/24\n",
    ),
    "ifupdown": ("network/interfaces.d/up0", "allow-hotplug up0\niface up0 inet manual\n"),
}


def told_before(manager: str) -> None:
    """The manager has the uplink already, by a file that is to count no more, or does no harm."""
    path, text = OTHERS[manager]
    file = Path("/etc", path)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o600 if manager.startswith("net") and manager != "networkd" else 0o644)


def prepared(name: str, vmnet) -> None:
    commands, options = HOSTS[name]
    for command in commands.splitlines():
        ip(command)
    vmnet("bridge", "prepare", "br0", "--uplink", "up0", "--yes", "--no-probe", *options)


def differing(after: dict[str, Any], before: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is otherwise after the reboot, and how it was."""
    return {key: (after.get(key), value) for key, value in before.items() if after.get(key) != value}


LEASED = """\
addr add 192.0.2.10/24 dev up0 valid_lft 3600 preferred_lft 3600
addr add 203.0.113.7/24 dev up0
addr add 2001:db8::10/64 dev up0 nodad valid_lft 3600 preferred_lft 3600
addr add 2001:db8::77/128 dev up0 nodad valid_lft 3600 preferred_lft 3600
route add default via 192.0.2.1 dev up0 proto dhcp
route add 10.0.0.0/8 via 192.0.2.2 dev up0 proto 186
-6 route add default via fe80::1 dev up0 proto ra"""


def test_what_is_leased_or_learned_is_asked_for_again_and_not_written_down(vmnet) -> None:
    for command in LEASED.splitlines():
        ip(command)
    vmnet("bridge", "prepare", "br0", "--uplink", "up0", "--yes", "--no-probe")
    done = vmnet("bridge", "persist", "br0", "--format", "networkd")
    text = "".join(f["text"] for f in done["files"])
    assert "DHCP=yes\nIPv6AcceptRA=yes\n" in text
    assert [line for line in text.splitlines() if line.startswith(("Address=", "Gateway="))] == [
        "Address=203.0.113.7/24"
    ]
    (left,) = (f["what"] for f in done["findings"] if f["code"] == "H451")
    for one in ("192.0.2.10/24", "2001:db8::10/64", "2001:db8::77/128", "route default", "route 10.0.0.0/8"):
        assert one in left


def test_a_guests_tap_is_never_written(vmnet) -> None:
    prepared("no address", vmnet)
    ip("tuntap add vnet7 mode tap")
    ip("link set vnet7 master br0")
    done = vmnet("bridge", "persist", "br0", "--format", "networkd")
    assert "up0" in str(done["files"])
    assert "vnet7" not in str(done["files"])


def test_a_way_out_that_cannot_be_told_is_refused_and_nothing_is_written(vmnet) -> None:
    ip("addr add 192.0.2.10/24 dev up0")
    ip("route add default nexthop via 192.0.2.1 dev up0 nexthop via 192.0.2.2 dev up0")
    vmnet("bridge", "prepare", "br0", "--uplink", "up0", "--yes", "--no-probe")
    for manager in MANAGERS:
        told = vmnet("bridge", "persist", "br0", "--format", manager, "--write", code=1)["error"]
        assert next(f["code"] for f in told["findings"] if f["severity"] == "error") == "H454"
    assert not any(Path("/etc/systemd/network").iterdir())


def test_nothing_is_written_beside_another_file_that_wins_and_the_whole_is_taken_back(vmnet) -> None:
    prepared("no address", vmnet)
    folder = Path("/etc/systemd/network")
    persist = ("bridge", "persist", "br0", "--format", "networkd")
    other = folder / "01-up.network"
    other.write_text("[Match]\nName=up0\n[Network]\nDHCP=yes\n")
    told = vmnet(*persist, "--write", code=1)["error"]
    assert "01-up.network" in told["what"]
    assert vmnet(*persist, "--write", "--dry-run", code=1)["error"] == told
    printed = vmnet(*persist)  # all the same
    assert printed["files"]
    assert [f["severity"] for f in printed["findings"] if f["code"] == "H456"] == ["warning"]
    other.unlink()
    done = vmnet(*persist, "--write")
    files = sorted(folder.iterdir())
    assert (done["applied"], len(files), {f.stat().st_mode & 0o777 for f in files}) == (True, 3, {0o644})
    (listed,) = (t for t in vmnet("status")["transactions"] if t["id"] == done["transaction"])
    assert (listed["state"], listed["names"]) == ("confirmed", ["br0"])
    files[0].write_text(files[0].read_text() + "#\n")
    told = vmnet(*persist, "--write", code=1)["error"]
    assert [f["code"] for f in told["findings"] if f["severity"] == "error"] == ["H458"]
    for manager in ("netplan", "ifupdown"):
        (rival,) = (
            f for f in vmnet("bridge", "persist", "br0", "--format", manager)["findings"] if f["code"] == "H459"
        )
        assert rival["what"].startswith("networkd is told of these links too")
    files[0].write_text(files[0].read_text()[:-2])
    assert vmnet("undo", done["transaction"])["state"] == "undone"
    assert not any(folder.iterdir())


def test_of_an_uplink_that_is_none_any_more_nothing_is_left_and_dismantling_says_what_is(
    vmnet, capfd, monkeypatch
) -> None:
    folder = Path("/etc/systemd/network")
    persist = ("bridge", "persist", "br0", "--format", "networkd", "--write")
    ip("link add lan1 type veth peer name up1")
    prepared("no address", vmnet)
    vmnet(*persist)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    (found,) = (f for f in vmnet("bridge", "dismantle", "br0", "--yes")["findings"] if f["code"] == "H420")
    assert found["what"].startswith("br0 comes back at the next boot, by /etc/systemd/network/05-vmnet-br0")
    vmnet("bridge", "prepare", "br0", "--uplink", "up1", "--yes", "--no-probe")
    monkeypatch.setattr(sys, "argv", ["vmnet", *persist])
    assert run() == 0
    said = capfd.readouterr().out
    assert said.startswith("Wrote 2 files and removed 1 file; vmnet undo ")
    assert {path.name for path in folder.iterdir()} == {
        "05-vmnet-br0.netdev",
        "05-vmnet-br0.network",
        "05-vmnet-br0-up1.network",
    }
    assert vmnet("undo", said.split()[9])["state"] == "undone"
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


@pytest.mark.parametrize("folder", ["/run/tools", "/run/my tools"])
def test_systemd_takes_the_unit_that_recovers_at_boot(folder: str, vmnet, monkeypatch) -> None:
    Path(folder).mkdir()
    Path(folder, "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", f"{folder}/python")
    done = vmnet("recover", "--unit")
    assert f'ExecStart="{folder}/python" -P -m vmnet recover --quiet\n' in done["text"]
    unit = Path("/run") / done["name"]
    unit.write_text(done["text"])
    assert boot.tool("systemd-analyze", "verify", "--man=no", str(unit)) == ""
