"""With --take-over those who look after the uplink are told of the move, and are as before once it is undone.

The real NetworkManager and DHCP clients, in this lab.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.test_managers import CLIENTS, UDHCPC_SCRIPT, addresses, leased, network_manager, nmcli
from tests.e2e.world import GATEWAY, UPLINK, changed, ip, run, tool, until, vmnet

PREPARE = ("bridge", "prepare", "br0", "--uplink", UPLINK, "--take-over")
DISMANTLE = ("bridge", "dismantle", "br0", "--take-over", "--yes")


def clients(name: str) -> dict[int, list[str]]:
    """The processes of a DHCP client in this lab that may change links, and their words."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text().replace("\0", " ").split()
            if (
                (folder / "comm").read_text().strip() in (name, "busybox")
                and name in " ".join(words)
                and "CapEff:\t0000000000000000" not in (folder / "status").read_text()
            ):
                found[int(folder.name)] = words
        except OSError:
            continue
    return {pid: words for pid, words in found.items() if words}


def served(name: str) -> list[str]:
    """The links that a DHCP client serves, by what its processes say."""
    return sorted({link for words in clients(name).values() for link in (UPLINK, "br0") if link in words})


@contextmanager
def client(name: str, box: Path) -> Iterator[list[str]]:
    """A DHCP client on the uplink, by itself as at boot; yields the addresses it got."""
    (box / "request").write_text("request subnet-mask, routers;\n")
    (box / "script").write_text(UDHCPC_SCRIPT)
    (box / "script").chmod(0o755)
    (box / "leases").mkdir()
    (box / "dhcpcd.conf").write_text("nohook resolv.conf, hostname\n")
    ours = [("leases", "/var/lib/dhcpcd"), ("dhcpcd.conf", "/etc/dhcpcd.conf")] if name == "dhcpcd" else []
    for file, place in ours:
        tool("mount", "--bind", f"{box}/{file}", place)
    command = "dhcpcd -4 {link}" if name == "dhcpcd" else CLIENTS[name]
    words = command.format(box=box, link=UPLINK).split()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield leased(UPLINK)
    finally:
        for pid in clients(name):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        for _, place in ours:
            tool("umount", "--lazy", place)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("name", CLIENTS)
def test_a_dhcp_client_goes_along_to_the_bridge_and_back(name: str, box: Path) -> None:
    with client(name, box) as mine:
        plan = changed(*PREPARE, "--dry-run")
        steps = ["LeaveAlone", "CreateBridge", "CarryToBridge", "KeepAddresses", "TakeUp", "VerifyPeers"]
        assert [step["action"] for step in plan["steps"]] == steps
        assert served(name) == [UPLINK]
        transaction = changed(*PREPARE, "--yes")["transaction"]
        assert (addresses("br0"), served(name)) == (mine, ["br0"])
        assert vmnet("undo", transaction).code == 0
        assert (addresses(UPLINK), served(name)) == (mine, [UPLINK])
        changed(*PREPARE, "--yes")
        changed(*DISMANTLE)
        assert (addresses(UPLINK), served(name)) == (mine, [UPLINK])
        assert run("ping", "-c1", "-W2", GATEWAY).code == 0


KILLED_BEFORE = """\
import os, signal, sys
from vmnet.host.model import BridgeOptions
from vmnet.operations import bridge, undoing
from vmnet.operations.change import Run
if sys.argv[2] == "recover":
    say = "import os, signal, sys; os.write(os.open(sys.argv[1] + '/ready', os.O_WRONLY), b'!'); signal.pause()"
    undoing.WATCHDOG = ("-c", say)
die = lambda step: type(step).__name__ == sys.argv[1] and os.kill(os.getpid(), signal.SIGKILL)
bridge.prepare("br0", "up0", BridgeOptions(), terms=bridge.Terms(take_over=True), run=Run(progress=die))
"""


def is_undone() -> bool:
    """Whether the latest transaction is."""
    return vmnet("status", "--json").json["transactions"][0]["state"] == "undone"


def killed_before(step: str, saved_by: str) -> None:
    """Prepare the bridge in a process that is killed before one of its steps, and have it put back."""
    done = run(sys.executable, "-c", KILLED_BEFORE, step, saved_by)
    assert done.code == -signal.SIGKILL, done.err
    if saved_by == "recover":
        for folder in Path("/proc").glob("[0-9]*"):
            words = (folder / "cmdline").read_text() if (folder / "cmdline").exists() else ""
            if "signal.pause()" in words and "/vmnet/tx/" in words:
                os.kill(int(folder.name), signal.SIGKILL)
        assert vmnet("recover").code == 0
    until(is_undone, "it is undone")


def test_a_dhcp_client_is_back_whenever_vmnet_is_killed(box: Path) -> None:
    kills = [("CreateBridge", "recover"), ("TakeUp", "the watchdog"), ("VerifyPeers", "recover")]
    with client("dhclient", box) as mine:
        for step, saved_by in kills:
            killed_before(step, saved_by)
            assert (addresses(UPLINK), served("dhclient")) == (mine, [UPLINK]), step


def managed() -> bool:
    return f"{UPLINK}:connected" in nmcli("device", "status")


def test_networkmanager_lets_go_of_the_uplink_and_has_it_back(box: Path) -> None:
    with network_manager(box) as mine:
        plan = changed(*PREPARE, "--dry-run")
        assert next(step["action"] for step in plan["steps"]) == "LeaveAlone"
        assert managed()
        transaction = changed(*PREPARE, "--yes")["transaction"]
        assert f"{UPLINK}:unmanaged" in nmcli("device", "status")
        (bridge,) = ip("-j -4 addr show dev br0")
        assert [a["local"] for a in bridge["addr_info"]] == mine
        assert bridge["addr_info"][0]["valid_life_time"] == 2**32 - 1
        assert vmnet("undo", transaction).code == 0
        assert (addresses(UPLINK), managed()) == (mine, True)
        changed(*PREPARE, "--yes")
        changed("bridge", "dismantle", "br0", "--yes")
        assert (addresses(UPLINK), managed()) == (mine, True)
        killed_before("CarryToBridge", "recover")
        assert (addresses(UPLINK), managed()) == (mine, True)
        profile = tool("nmcli", "-g", "GENERAL.CON-UUID", "device", "show", UPLINK).strip()
        transaction = changed(*PREPARE, "--yes")["transaction"]
        tool("nmcli", "connection", "delete", "uuid", profile)
        undone = vmnet("undo", transaction)
        assert (undone.code, addresses(UPLINK)) == (4, mine), "NetworkManager cannot, and the host has its line"
        assert "NetworkManager did not do what it was told" in undone.err
    assert vmnet("recover").code == 0, "it does not run any more: there is nobody to give the uplink back to"
