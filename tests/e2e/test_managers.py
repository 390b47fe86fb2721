"""Whoever else looks after the uplink: the real DHCP clients, NetworkManager and systemd-networkd, beside vmnet.

Each lives in this lab, with a D-Bus of the lab's. What vmnet advises is done, and must come out as it says.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.world import GATEWAY, UPLINK, changed, ip, links, run, tool, until, vmnet

NETWORKD = "/lib/systemd/systemd-networkd"
BUS = Path("/run/dbus/system_bus_socket")
BUS_CONFIGURATION = f"""\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={BUS}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
<allow user="*"/></policy></busconfig>
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A folder for what a daemon writes. Its links are away before the lab is cleaned."""
    return tmp_path


@contextmanager
def running(command: str, box: Path, **instead: str) -> Iterator[None]:
    """A daemon and its children, which end with the block.

    Args:
        command: Its command line.
        box: Where its log is.
        instead: Folders to be seen by it in the place of others: ``{"/etc/x": "/tmp/y"}``.
    """
    # As on a container's read-only /sys, they do without udev.
    mounts = ["mount -o remount,ro,bind /sys", *(f"mount --bind {ours} {theirs}" for theirs, ours in instead.items())]
    script = " && ".join([*mounts, f"exec {command}"])
    with (box / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script], stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def bus(box: Path) -> Iterator[None]:
    """The lab's D-Bus, while a daemon needs one."""
    BUS.parent.mkdir(exist_ok=True)
    (box / "bus.conf").write_text(BUS_CONFIGURATION)
    with running(f"dbus-daemon --config-file={box}/bus.conf --nofork --nopidfile", box):
        until(BUS.exists, "D-Bus listens")
        try:
            yield
        finally:
            BUS.unlink()


def addresses(link: str) -> list[str]:
    """The IPv4 addresses of a link."""
    (found,) = ip(f"-j -4 addr show dev {link}") or [{"addr_info": []}]
    return [a["local"] for a in found.get("addr_info", [])]


def leased(link: str) -> list[str]:
    """The addresses that a link gets by DHCP."""
    return until(lambda: addresses(link), f"{link} has a lease")


def refusal(*arguments: str) -> dict[str, str]:
    """The one error finding for which a command refuses, having changed nothing."""
    before = ip("-br addr")
    done = vmnet("bridge", *arguments, "--yes", "--json")
    assert done.code == 1, done.out + done.err
    assert ip("-br addr") == before
    (found,) = (f for f in done.error["findings"] if f["severity"] == "error")
    return found


UDHCPC_SCRIPT = """\
#!/bin/sh
case $1 in
deconfig) ip -4 addr flush dev $interface; ip link set $interface up ;;
bound)
    ip addr add $ip/$mask dev $interface valid_lft $lease preferred_lft $lease
    ip route replace default via $router ;;
esac
"""
CLIENTS = {
    "dhclient": "dhclient -d -4 -cf {box}/request -pf {box}/{link}.pid -lf {box}/{link}.leases {link}",
    "dhcpcd": "unshare --pid --fork --kill-child sh -c 'dhcpcd -4 -C resolv.conf -C hostname {link}; exec sleep inf'",
    "udhcpc": "udhcpc -f -s {box}/script -i {link}",
}


@contextmanager
def client(name: str, link: str, box: Path) -> Iterator[None]:
    """A DHCP client on a link; one that is asked for no name server leaves the machine's alone."""
    (box / "request").write_text("request subnet-mask, routers;\n")
    (box / "script").write_text(UDHCPC_SCRIPT)
    (box / "script").chmod(0o755)
    (box / "leases").mkdir(exist_ok=True)
    instead = {"/var/lib/dhcpcd": f"{box}/leases"} if name == "dhcpcd" else {}
    with running(CLIENTS[name].format(box=box, link=link), box, **instead):
        yield


def told_to_kill(finding: dict[str, str]) -> int:
    """The process that the remedy names."""
    kill, number, pid = shlex.split(finding["remedy"].partition(",")[0])
    assert (kill, number) == ("kill", "-KILL")
    return int(pid)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_dhcp_client_is_named_and_after_its_end_the_host_keeps_the_address(name: str, box: Path) -> None:
    with client(name, UPLINK, box):
        mine = leased(UPLINK)
        finding = refusal("prepare", "br0", "--uplink", UPLINK)
        assert finding["code"] == "H434"
        assert finding["what"].startswith(f"{name} (process ")
        kill(told_to_kill(finding))
        assert addresses(UPLINK) == mine
        changed("bridge", "prepare", "br0", "--uplink", UPLINK, "--yes")
    assert addresses("br0") == mine
    with client(name, "br0", box):
        until(lambda: has_renewed(box, name) and addresses("br0") == mine, f"{name} has the same address on br0")
        finding = refusal("dismantle", "br0")
        assert finding["code"] == "H434"
        assert run("ping", "-c1", "-W2", GATEWAY).code == 0
        kill(told_to_kill(finding))
        changed("bridge", "dismantle", "br0", "--yes")
    assert addresses(UPLINK) == mine


def kill(pid: int) -> None:
    """End a process at once; dhcpcd's other parts may stay, and have no right to change a link."""
    with suppress(FileNotFoundError, ProcessLookupError), Path(f"/proc/{pid}/status").open() as status:
        os.kill(pid, signal.SIGKILL)
        until(lambda: status.seek(0) or "State:\tZ" in status.read(), f"process {pid} ends")


def has_renewed(box: Path, name: str) -> bool:
    """Whether the client on the bridge has told of its lease: the second in the log."""
    said = {"dhclient": "bound to", "dhcpcd": "leased", "udhcpc": "lease of"}[name]
    return (box / "daemon.log").read_text(errors="replace").count(said) > 1


@contextmanager
def network_manager(box: Path) -> Iterator[list[str]]:
    """NetworkManager with DHCP on the uplink; yields the addresses it got."""
    if shutil.which("NetworkManager") is None:
        assert not os.environ.get("CI"), "CI has NetworkManager, or does not know whether this holds"
        pytest.skip(
            "NetworkManager is not installed, and 'make setup' does not: it would take over this machine's NICs"
        )
    etc, var = box / "etc", box / "var"
    etc.mkdir()
    var.mkdir()
    (etc / "NetworkManager.conf").write_text(
        "[main]\nplugins=keyfile\nauth-polkit=false\ndns=none\nrc-manager=unmanaged\n"
    )
    instead = {"/etc/NetworkManager": f"{etc}", "/var/lib/NetworkManager": f"{var}"}
    try:
        with bus(box), running("NetworkManager --no-daemon", box, **instead):
            mine = leased(UPLINK)
            until(lambda: f"{UPLINK}:connected" in nmcli("device", "status"), "NetworkManager manages the uplink")
            yield mine
    finally:  # else the next one would leave alone what this one was told to
        shutil.rmtree("/run/NetworkManager", ignore_errors=True)


def test_networkmanager_is_named_and_leaves_the_link_with_its_address_when_told_to(box: Path) -> None:
    with network_manager(box) as mine:
        finding = refusal("prepare", "br0", "--uplink", UPLINK)
        assert (finding["code"], finding["what"]) == ("H431", f"NetworkManager manages {UPLINK}")
        assert f"nmcli device set {UPLINK} managed no" in finding["remedy"]
        nmcli("device", "set", UPLINK, "managed", "no")
        until(lambda: f"{UPLINK}:unmanaged" in nmcli("device", "status"), "NetworkManager leaves the uplink alone")
        assert addresses(UPLINK) == mine
        changed("bridge", "prepare", "br0", "--uplink", UPLINK, "--yes")
        until(lambda: "br0:connected (externally)" in nmcli("device", "status"), "NetworkManager has seen the bridge")
        assert addresses("br0") == mine
        assert run("ping", "-c1", "-W2", GATEWAY).code == 0
        changed("bridge", "dismantle", "br0", "--yes")
        assert addresses(UPLINK) == mine


def nmcli(*words: str) -> str:
    return run("nmcli", "--terse", "--fields", "DEVICE,STATE", *words, env=os.environ | {"LC_ALL": "C"}).out


@pytest.fixture
def networkd(box: Path) -> Iterator[Path]:
    """The folder of networkd's own files while it runs, with DHCP on the uplink by a file such as netplan's."""
    runtime, etc = Path("/run/systemd/network"), box / "network"
    etc.mkdir()
    runtime.mkdir(parents=True)
    for name in ("links", "leases", "lldp"):
        (runtime.parent / "netif" / name).mkdir(parents=True)
    tool("chown", "-R", "systemd-network", f"{runtime.parent}/netif")
    with bus(box), running(NETWORKD, box, **{"/etc/systemd/network": f"{etc}"}):
        until(lambda: run("networkctl", "reload").code == 0, "networkd answers")
        yield runtime
    shutil.rmtree("/run/systemd")


DHCP = f"[Match]\nName={UPLINK}\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n[DHCPv4]\nUseDNS=no\nUseHostname=no\n"


def reload(**files: str) -> None:
    for name, text in files.items():
        Path("/run/systemd/network", name.replace("_", ".")).write_text(text)
    tool("networkctl", "reload")


def test_networkd_is_named_and_makes_the_bridge_itself_as_advised(networkd: Path) -> None:
    reload(up0_network=DHCP)
    mine = leased(UPLINK)
    finding = until(lambda: refusal_of_networkd(), "networkd has written its state")
    assert (finding["code"], finding["what"]) == ("H432", f"systemd-networkd manages {UPLINK}")
    assert f"{networkd}/up0.network" in finding["why"]
    reload(
        br0_netdev=f"[NetDev]\nName=br0\nKind=bridge\nMACAddress={links()[UPLINK]['address']}\n",
        br0_network=DHCP.replace(UPLINK, "br0"),
        up0_network=f"[Match]\nName={UPLINK}\n[Network]\nBridge=br0\n",
    )
    assert leased("br0") == mine
    assert links()[UPLINK]["master"] == "br0"


def test_networkd_takes_the_address_away_when_told_to_leave_the_link_or_its_lease_alone(networkd: Path) -> None:
    for told in (
        "[Link]\nUnmanaged=yes\n[Network]\nKeepConfiguration=yes\n",
        "[Network]\nDHCP=no\nKeepConfiguration=dhcp\n",
    ):
        reload(up0_network=DHCP)
        leased(UPLINK)
        reload(up0_network=DHCP + told)
        until(lambda: not addresses(UPLINK), "the address is gone")


def test_netplan_is_named_where_it_wrote_the_file(networkd: Path) -> None:
    (networkd / "10-netplan-up0.network").write_text(DHCP)
    reload()
    leased(UPLINK)
    finding = until(lambda: refusal_of_networkd(), "networkd has written its state")
    assert (finding["code"], finding["what"]) == ("H433", f"netplan has {UPLINK} managed")
    assert "netplan try" in finding["remedy"]


def refusal_of_networkd() -> dict[str, str] | None:
    index = links()[UPLINK]["ifindex"]
    state = Path(f"/run/systemd/netif/links/{index}")
    configured = state.exists() and "ADMIN_STATE=configured" in state.read_text()
    return refusal("prepare", "br0", "--uplink", UPLINK) if configured else None
