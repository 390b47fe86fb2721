"""A host that can be booted: its own /etc, /run, /var/lib and /sys, and the real network managers, started by hand."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.host.lan import ip
from tests.host.processes import soon
from vmnet.lab.namespaces import mount, private_mounts

CLONE_NEWNS = 0x00020000
OURS = ("/run", "/var/lib", "/etc/systemd/network", "/etc/netplan", "/etc/NetworkManager", "/etc/network/interfaces.d")
"""What is the test's own, where this machine has it."""
_READ_ONLY = 1 | 32  # MS_RDONLY, which tells the managers that there is no udev; MS_REMOUNT
_libc = ctypes.CDLL(None, use_errno=True)
BUS = Path("/run/dbus/system_bus_socket")
BUS_CONFIGURATION = f"""\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={BUS}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
<allow user="*"/></policy></busconfig>
"""


@contextmanager
def private_files() -> Iterator[None]:
    """Private, empty folders of configuration and state while it lasts, in this process and its children."""
    here, home = Path.cwd(), os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    assert _libc.unshare(CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    try:
        private_mounts()
        for place in filter(os.path.isdir, OURS):
            mount("tmpfs", place, "tmpfs", options="mode=755")
        mount("sysfs", "/sys", "sysfs", flags=1)
        if Path("/etc/network/interfaces").exists():
            main = Path("/run/interfaces")
            main.write_text("source /etc/network/interfaces.d/*\n")
            mount(str(main), "/etc/network/interfaces", flags=0x1000)
        yield
    finally:
        assert _libc.setns(home, CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
        os.close(home)
        os.chdir(here)


def needed(*programs: str) -> None:
    """Go no further where a program is missing: CI has all of them."""
    if missing := [program for program in programs if not shutil.which(program, path="/sbin:/usr/sbin:/bin:/usr/bin")]:
        assert not os.environ.get("CI"), f"CI has {missing}, or does not know whether this holds"
        pytest.skip(f"not installed: {', '.join(missing)}; some would take over this machine's NICs")


def tool(*command: str) -> str:
    """What a program says that must succeed; without this checkout's path, as it may be Python too."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@contextmanager
def running(*command: str) -> Iterator[None]:
    """A daemon and its children, which end with the block; what it says is in /run/daemon.log."""
    with Path("/run/daemon.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def networkd() -> Iterator[None]:
    """systemd-networkd, begun as at boot."""
    for name in ("links", "leases", "lldp"):
        Path("/run/systemd/netif", name).mkdir(parents=True, exist_ok=True)
    tool("chown", "-R", "systemd-network", "/run/systemd/netif")
    with running("/lib/systemd/systemd-networkd"):
        yield


@contextmanager
def netplan() -> Iterator[None]:
    """netplan's generator, and then what it has written for networkd."""
    tool("netplan", "generate")
    with networkd():
        yield


@contextmanager
def network_manager() -> Iterator[None]:
    """NetworkManager, begun as at boot."""
    BUS.parent.mkdir(exist_ok=True)
    Path("/run/bus.conf").write_text(BUS_CONFIGURATION)
    Path("/etc/NetworkManager/NetworkManager.conf").write_text(
        "[main]\nplugins=keyfile\nauth-polkit=false\ndns=none\nrc-manager=unmanaged\nno-auto-default=*\n"
    )
    with running("dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile"):
        assert soon(BUS.exists)
        with running("/usr/sbin/NetworkManager", "--no-daemon"):
            yield


@contextmanager
def ifupdown() -> Iterator[None]:
    """What Debian's networking.service does at boot."""
    tool("ifup", "--all", "--read-environment")
    yield


def plug_in() -> None:
    """A NIC ``up0``, new, whose other end is up."""
    ip("link set lo up")
    ip("link add lan0 type veth peer name up0 address 02:00:00:00:00:10")
    ip("link set lan0 addrgenmode none up")


def reboot(bridge: str = "br0") -> None:
    """Forget all that the kernel was told."""
    ip(f"link del {bridge}")
    ip("link del lan0")
    for family in ("-4", "-6"):
        ip(f"{family} rule flush")
        ip(f"{family} rule add priority 32766 table main")
    ip("-4 rule add priority 32767 table default")
    plug_in()


def seen(bridge: str = "br0") -> dict[str, Any]:
    """The bridge and all that the host has by it, as iproute2 shows it, but for who told it and for how long."""
    links = {link["ifname"]: link for link in _json("-d link show")}
    if bridge not in links:
        return {}
    data = links[bridge]["linkinfo"].get("info_data", {})
    stp = data.get("stp_state")
    told = ("stp_state", "mcast_snooping", "vlan_filtering", "priority", "forward_delay" if stp else "ageing_time")
    (shown,) = _json(f"addr show dev {bridge}")
    addresses = [{k: a[k] for k in _ADDRESS if k in a} for a in shown["addr_info"] if a["scope"] != "link"]
    routes = [_json(f"{family} route show table all dev {bridge}") for family in ("-4", "-6")]
    rules = [_json(f"{family} rule show") for family in ("-4", "-6")]
    return {
        "mac": links[bridge]["address"],
        "mtu": links[bridge]["mtu"],
        "up": "UP" in links[bridge]["flags"],
        "settings": {key: data.get(key) for key in told},
        "ports": {n: link["mtu"] for n, link in links.items() if link.get("master") == bridge},
        "addresses": sorted(addresses, key=str),
        "first": next((a["local"] for a in addresses if a["family"] == "inet"), None),
        "routes": sorted((_route(r) for several in routes for r in several if _is_told(r)), key=str),
        "rules": sorted((_but(r, "protocol") for several in rules for r in several), key=str),
    }


_ADDRESS = ("family", "local", "prefixlen", "scope", "label", "address")


def _route(route: dict[str, Any]) -> dict[str, Any]:
    return _but(route, "protocol", "flags", "pref", "expires", "prefsrc") | {
        "onlink": "onlink" in route.get("flags", []),
        "metrics": [_but(m, "lock") for m in route.get("metrics", [])],
    }


def _but(told: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {k: v for k, v in told.items() if k not in keys}


def _is_told(route: dict[str, Any]) -> bool:
    """What the kernel makes of an address is told with the address."""
    return route.get("table") != "local" and route.get("protocol") != "kernel" and route.get("type") != "multicast"


def _json(command: str) -> list[Any]:
    done = subprocess.run(["ip", "-j", *command.split()], capture_output=True, text=True, check=True)
    return json.loads(done.stdout or "[]")
