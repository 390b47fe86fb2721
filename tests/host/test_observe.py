"""What vmnet observes is what iproute2 shows of the same namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vmnet.host import rtnetlink
from vmnet.host.model import BridgeSettings, Learned, PortState
from vmnet.host.observe import observe
from vmnet.host.port import wait_until


def _busy_host(ip):
    for command in (
        "link add v0 type veth peer name v1",
        "link add br0 address 02:00:00:00:00:01 type bridge stp_state 1 forward_delay 400",
        "link set v0 master br0",
        "link add mt0 link v1 type macvtap mode passthru",
        "link add mt1 link br0 type macvlan mode private",
        "tuntap add tap0 mode tap",
        "link property add dev v0 altname front altname enp0s1",
        "link set v1 alias some-text",
        "link set lo up",
        "link set v1 up",
        "link set br0 up",
        "addr add 192.0.2.1/24 dev br0",
        "addr add 2001:db8::1/64 dev br0 nodad",
        "route add 198.51.100.0/24 via 192.0.2.9",
        "route add default nexthop via 192.0.2.8 nexthop via 192.0.2.9",
        "route add 203.0.113.0/24 via 192.0.2.9 table 77",
        "route add 198.51.101.0/24 via inet6 2001:db8::9 dev br0",
        "route add 2001:db8:1::/64 nexthop via 2001:db8::8 dev br0 nexthop via 2001:db8::9 dev br0",
        "route add blackhole 198.51.102.0/24",
        "neigh add 192.0.2.7 lladdr 52:54:00:00:00:07 dev br0",
        "neigh add 2001:db8::7 lladdr 52:54:00:00:00:07 dev br0 nud stale",
    ):
        ip(command)


def test_links_are_those_that_ip_shows(ip):
    _busy_host(ip)
    by_index = {n["ifindex"]: n["ifname"] for n in ip("-j link")}
    shown = {
        n["ifname"]: (
            n["ifindex"],
            n.get("linkinfo", {}).get("info_kind"),
            n["address"],
            n["mtu"],
            "UP" in n["flags"],
            n.get("master"),
            n.get("link"),
            tuple(n.get("altnames", ())),
            n.get("ifalias"),
            n["operstate"].lower(),
            "LOWER_UP" in n["flags"],
            "LOOPBACK" in n["flags"],
            n["link_type"] == "ether",
        )
        for n in ip("-d -j link")
    }
    host = observe()
    assert shown == {
        n.name: (
            n.index,
            n.kind,
            n.mac,
            n.mtu,
            n.up,
            by_index.get(n.master),
            by_index.get(n.lower),
            n.altnames,
            n.alias,
            n.operstate,
            n.carrier,
            n.loopback,
            n.ethernet,
        )
        for n in host.links
    }


def test_bridges_ports_and_macvtap_modes_are_read(ip):
    _busy_host(ip)
    host = observe()
    bridge, port = host.link("br0"), host.link("v0")
    assert bridge.bridge == BridgeSettings(stp=True, forward_delay=400, vlan_filtering=False)
    assert host.ports(bridge) == (port,)
    assert port.port is PortState.DISABLED
    assert host.link("mt0").mode == "passthrough"
    assert host.link("mt1").mode == "private"
    assert host.link("enp0s1") == port


def test_what_is_stacked_on_a_link_is_told_from_the_other_end_of_a_pair(ip):
    _busy_host(ip)
    host = observe()
    assert [n.name for n in host.uppers(host.link("v1"))] == ["mt0"]
    assert [n.name for n in host.uppers(host.link("v0"))] == []


def test_addresses_are_those_that_ip_shows(ip):
    _busy_host(ip)
    host = observe()
    shown = {
        (n["ifindex"], f"{a['local']}/{a['prefixlen']}", a["family"] == "inet6" and a["scope"] == "link")
        for n in ip("-j addr")
        for a in n["addr_info"]
    }
    assert shown == {(a.index, a.address, a.link_local) for a in host.addresses}
    assert (host.link("br0").index, "192.0.2.1/24", False) in shown


def test_routes_are_those_that_ip_shows_of_all_tables_but_the_local_one(ip):
    _busy_host(ip)
    host = observe()
    number = {"main": 254}
    shown = {
        (
            "default" if n["dst"] == "default" else n["dst"] if "/" in n["dst"] else n["dst"] + full,
            tuple(sorted({hop["dev"] for hop in n.get("nexthops", [n] if "dev" in n else [])})),
            tuple(
                sorted(
                    (hop["dev"], gateway)
                    for hop in n.get("nexthops", [n])
                    if (gateway := hop.get("gateway") or hop.get("via", {}).get("host"))
                )
            ),
            number.get(n.get("table", "main")) or int(n["table"]),
            n.get("protocol") == "kernel",
        )
        for full, version in (("/32", "-4"), ("/128", "-6"))
        for n in ip(f"-j -d {version} route show table all")
        if n.get("table") != "local"
    }
    assert shown == {
        (
            r.destination,
            tuple(sorted(host.by_index(n).name for n in r.links)),
            tuple(sorted((host.by_index(n).name, gateway) for n, gateway in r.gateways)),
            r.table,
            r.kernel_made,
        )
        for r in host.routes
    }
    through = {(r.destination, r.table) for r in host.routes_through(host.link("br0"))}
    assert {("192.0.2.0/24", 254), ("default", 254), ("203.0.113.0/24", 77), ("198.51.101.0/24", 254)} <= through


def test_neighbours_are_those_that_ip_shows(ip):
    _busy_host(ip)
    host = observe()
    assert {(n["dst"], n["dev"], n["lladdr"]) for n in ip("-j neigh")} == {
        (n.address, host.by_index(n.index).name, n.mac) for n in host.neighbours
    }


def test_what_bridges_have_learned_is_told_from_what_was_said_to_them(ip):
    for command in (
        "link add br0 type bridge",
        "link add v0 type veth peer name v1",
        "link set v0 master br0",
        *(f"link set {name} up" for name in ("v0", "v1", "br0")),
    ):
        ip(command)
    index = {link.name: link.index for link in rtnetlink.links()}
    for mac, how in {"07": "dynamic", "08": "static", "09": "permanent", "0a": "dynamic extern_learn"}.items():
        command = f"bridge fdb add 52:54:00:00:00:{mac} dev v0 master {how}"
        subprocess.run(command.split(), check=True)
    heard = [entry for entry in rtnetlink.learned() if entry.mac.startswith("52:54")]
    assert heard == [Learned(index["br0"], index["v0"], "52:54:00:00:00:07", None)]


def test_a_guest_is_found_by_its_mac_among_the_neighbours(ip):
    _busy_host(ip)
    assert {n.address for n in observe().neighbours_at("52:54:00:00:00:07")} == {"192.0.2.7", "2001:db8::7"}


def test_a_link_whose_lower_is_in_another_namespace_does_not_point_at_a_link_here(ip):
    ip("link add v0 type veth peer name v1")
    ip("link add mv0 link v0 type macvlan")
    with another_namespace() as pid:
        ip(f"link set v1 netns {pid}")
        host = observe()
        assert host.link("v0").lower_netns is not None
        assert host.uppers(host.link("v0")) == (host.link("mv0"),)


@pytest.mark.parametrize("mode", ["private", "vepa", "bridge", "passthru", "source"])
def test_modes_of_macvtaps_are_in_libvirts_words(ip, mode):
    ip("link add v0 type veth peer name v1")
    ip(f"link add mt0 link v0 type macvtap mode {mode}")
    assert observe().link("mt0").mode == ("passthrough" if mode == "passthru" else mode)


def test_a_host_of_hundreds_of_links_is_read_whole(ip):
    many = "".join(f"link add a{n} type veth peer name b{n}\n" for n in range(200))
    subprocess.run(["ip", "-batch", "-"], input=many, text=True, check=True)
    assert len(observe().links) == len(ip("-j link")) > 400


def test_anybody_may_look(ip):
    _busy_host(ip)
    roots = observe()
    os.seteuid(65534)
    try:
        assert observe() == roots
    finally:
        os.seteuid(0)


def test_looking_does_not_wait_for_pyroute2():
    """Importing it takes ten times as long as starting Python, and every command looks."""
    look = "import sys; from vmnet.host.observe import observe; observe(); sys.exit('pyroute2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_a_change_of_links_ends_the_wait(ip):
    ip("link add v0 type veth peer name v1")
    index = observe().link("v0").index
    started = []

    def is_up() -> bool:
        up = next(n.up for n in rtnetlink.links() if n.index == index)
        if not started:
            started.append(ip("link set v0 up"))
        return up

    assert wait_until(is_up, timeout=30)


@contextmanager
def another_namespace() -> Iterator[int]:
    """The pid of a process in a namespace of its own."""
    command = ["unshare", "-n", "sh", "-c", "echo there; read until_told"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        yield child.pid
        child.stdin.close()
