"""What each manager is told of a bridge, a file for each; written anew by running this module as a script."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmnet.errors import VmnetError
from vmnet.host.managers import Manager, Owner
from vmnet.host.model import BridgeSettings
from vmnet.host.persist.describe import says
from vmnet.host.persist.formats import FORMATS, choose, contested, rivals, stale
from vmnet.host.persist.model import Lasting, LastingAddress, LastingRoute, LastingRule, NativeFile, Port
from vmnet.host.persist.seal import Hand, hand

GOLDEN = Path(__file__).parent / "golden"
UP0 = Port("up0", "02:00:00:00:00:10", 1500)
BARE = Lasting(name="br0", mac="02:00:00:00:00:10", ports=(UP0,))
STATIC = replace(
    BARE,
    addresses=(
        LastingAddress(family=4, address="192.0.2.10/24"),
        LastingAddress(family=4, address="192.0.2.11/24", label="br0:x"),
        LastingAddress(family=6, address="2001:db8::10/64", deprecated=True),
    ),
    routes=(
        LastingRoute(family=4, to=None, via="192.0.2.1"),
        LastingRoute(family=4, to="10.0.0.0/8", via="192.0.2.2", metric=50, mtu=1400, source="192.0.2.11"),
        LastingRoute(family=4, to="10.1.0.0/16", via="203.0.113.1", table=100, onlink=True),
        LastingRoute(family=6, to=None, via="2001:db8::1", metric=77),
    ),
    rules=(LastingRule(family=4, priority=1000, table=100, source="192.0.2.10/32"),),
    name_servers=("192.0.2.53", "2001:db8::53"),
    search=("example.org",),
)
BRIDGES = {
    "bare": replace(BARE, ipv6=False),
    "leased": replace(BARE, dhcp4=True, dhcp6=True, ra=True),
    "static": STATIC,
    "tree": replace(
        BARE,
        settings=BridgeSettings(
            stp=True, forward_delay=400, ageing=6000, multicast_snooping=False, vlan_filtering=True
        ),
        further={"priority": 4096, "hello_time": 100, "vlan_default_pvid": 7, "multicast_router": 2},
        ports=(UP0, Port("bond0", "02:00:00:00:00:11", 1400, "bond")),
        mtu=1400,
    ),
    "hops": replace(
        BARE,
        addresses=(LastingAddress(family=4, address="192.0.2.10/24", peer="192.0.2.1/24", metric=7, bare=True),),
        routes=(
            LastingRoute(family=4, to=None, further=("several next hops",)),
            LastingRoute(family=4, to="10.0.0.0/8", via="192.0.2.2", further=("initcwnd",)),
        ),
        rules=(LastingRule(family=4, priority=9, table=100, incoming="br0", mark="0x1/0xff"),),
    ),
}
CASES = [(format, name) for format in FORMATS for name in BRIDGES]


def told(format: str, name: str) -> str:
    """The files and the findings."""
    one = FORMATS[format]
    lasting, findings = says(BRIDGES[name], one.says, format)
    files = [f"== {f.path} {f.mode:04o}\n{f.text}" for f in one.files(lasting, {})]
    return "".join([*files, "== findings\n", *(f"{f.severity} {f.code} {f.what}\n" for f in findings)])


@pytest.mark.parametrize(("format", "name"), CASES)
def test_a_bridge_is_told_as_its_golden_file_has_it(format, name):
    assert told(format, name) == (GOLDEN / f"{format}-{name}.txt").read_text()


@pytest.mark.parametrize("format", FORMATS)
def test_a_name_or_a_domain_cannot_end_its_line(format):
    for text in ("a\nb", "a;$(x)", "a'b", 'a"', "a b\\", "%n", "a\0", "a{"):
        with pytest.raises(VmnetError):
            FORMATS[format].files(replace(STATIC, name=text), {})


@given(st.text(min_size=1, max_size=20))
def test_whatever_a_name_holds_no_file_gets_a_line_more(text):
    plain = FORMATS["networkd"].files(BARE, {})
    try:
        files = FORMATS["networkd"].files(replace(BARE, name=text), {})
    except VmnetError:
        return
    assert [f.text.count("\n") for f in files] == [f.text.count("\n") for f in plain]


OTHERS = {
    "networkd": [
        ("/etc/systemd/network/01-a.network", "[Match]\nName=up*\n[Network]\nDHCP=yes\n", "H456", "01-a.network"),
        ("/etc/systemd/network/20-up0.network", "[Match]\nName=up0\n", "H457", "it is for up0 too"),
        ("/etc/systemd/network/01-mac.network", "[Match]\nMACAddress=02:00:00:00:00:10\n", "H456", "br0, up0"),
        ("/etc/systemd/network/01-b.network", "[Match]\nName=!up0 br0\n", None, ""),
        ("/etc/systemd/network/01-c.network", "[Match]\nName=eth*\n", None, ""),
        ("/usr/lib/systemd/network/01-br.netdev", "[NetDev]\nName=br0\nKind=bridge\n", "H456", "01-br.netdev"),
    ],
    "netplan": [
        ("/etc/netplan/01-a.yaml", "network:\n  ethernets:\n    up0:\n      dhcp4: true\n", None, ""),
        (
            "/etc/netplan/01-a.yaml",
            "network:\n  version: 2\n  ethernets:\n    up0:\n      addresses: [192.0.2.10/24]\n      routes:\n"
            "        - to: default\n          via: 192.0.2.1\n",
            "H456",
            "/etc/netplan/01-a.yaml:5 would have it otherwise at boot: it gives up0 addresses, routes",
        ),
        (
            "/etc/netplan/99-b.yaml",
            "network:\n  ethernets:\n    up0:\n      mtu: 1500\n",
            "H456",
            "it comes after",
        ),
        (
            "/etc/netplan/01-c.yaml",
            "network:\n  bridges:\n    br0:\n      dhcp4: true\n",
            "H456",
            "it defines br0",
        ),
        (
            "/etc/netplan/01-d.yaml",
            "network: {ethernets: {up0: {dhcp4: true}}}\n",
            "H456",
            "it is written in a way",
        ),
        ("/etc/netplan/01-e.yaml", "network:\n  ethernets:\n    up1:\n      addresses: [192.0.2.9/24]\n", None, ""),
    ],
    "networkmanager": [
        (
            "/etc/NetworkManager/system-connections/wired",
            "[connection]\nid=wired\ninterface-name=up0\nautoconnect-priority=999\n",
            "H456",
            "weighs as much",
        ),
        (
            "/etc/NetworkManager/system-connections/w.nmconnection",
            "[ethernet]\nmac-address=02:00:00:00:00:10\n",
            "H457",
            "is overruled at boot",
        ),
        ("/etc/NetworkManager/conf.d/a.conf", "[keyfile]\nunmanaged-devices=interface-name:up0\n", "H456", "a.conf:2"),
        ("/etc/NetworkManager/system-connections/other", "[connection]\ninterface-name=up1\n", None, ""),
    ],
    "ifupdown": [
        (
            "/etc/network/interfaces",
            "source /etc/network/interfaces.d/*\nauto up0\niface up0 inet static\n  address 192.0.2.10/24\n\nauto x\n",
            "H456",
            "/etc/network/interfaces:3 would have it otherwise at boot: it has ifupdown configure up0",
        ),
        ("/etc/network/interfaces", "auto lo\niface lo inet loopback\n", "H456", "it does not have"),
        ("/etc/network/interfaces", "source interfaces.d/*\niface up0 inet manual\n", None, ""),
        (
            "/etc/network/interfaces",
            "source-directory /etc/network/interfaces.d\niface br0 inet dhcp\n",
            "H456",
            "interfaces:2 would",
        ),
    ],
}


@pytest.mark.parametrize(
    ("format", "path", "text", "code", "what"), [(f, *o) for f, several in OTHERS.items() for o in several]
)
def test_what_another_file_says_of_the_same_links_is_refused_overridden_or_let_be(format, path, text, code, what):
    found = list(FORMATS[format].clashes(STATIC, {Path(path): text}))
    assert [f.code for f in found] == ([code] if code else [])
    assert all(what in f.what and (f.remedy or not f.is_error) for f in found)


def test_netplan_is_told_by_the_id_that_it_knows_a_port_by():
    text = "network:\n  ethernets:\n    lan:\n      match:\n        macaddress: 02:00:00:00:00:10\n      dhcp4: true\n"
    (file,) = FORMATS["netplan"].files(BARE, {Path("/etc/netplan/50-cloud-init.yaml"): text})
    assert '    "lan":\n      dhcp4: false' in file.text
    assert '        - "lan"' in file.text


LEASES = {
    "networkd": ("/etc/systemd/network/20-a.network", "[Match]\nName=up0\n[Network]\nDHCP=ipv4\n"),
    "netplan": ("/etc/netplan/01-a.yaml", "network:\n  ethernets:\n    up0:\n      dhcp4: yes\n"),
    "networkmanager": (
        "/run/NetworkManager/system-connections/w.nmconnection",
        "[connection]\ninterface-name=up0\n[ipv4]\nmethod=auto\n",
    ),
    "ifupdown": ("/etc/network/interfaces", "source interfaces.d/*\nauto up0\niface up0 inet dhcp\n"),
}
NOTHING = {name: {} for name in FORMATS}


@pytest.mark.parametrize("format", FORMATS)
def test_the_manager_that_is_told_of_the_uplink_is_the_one_and_its_lease_is_known(format):
    path, text = LEASES[format]
    texts = NOTHING | {format: {Path(path): text}}
    assert choose(None, BARE, (), (), texts).name == format
    assert FORMATS[format].leases(BARE, texts[format]).startswith(path)


def test_who_is_to_make_the_bridge_is_asked_where_it_is_not_plain():
    nm, networkd = (Owner(m, "up0", "") for m in (Manager.NETWORK_MANAGER, Manager.NETWORKD))
    assert choose(None, BARE, (nm,), (), NOTHING).name == "networkmanager"
    assert choose(None, BARE, (), (Manager.NETWORKD,), NOTHING).name == "networkd"
    for owners in ((), (nm, networkd)):
        with pytest.raises(VmnetError) as told:
            choose(None, BARE, owners, (), NOTHING)
        assert told.value.code == "format-unclear"
        assert "networkd|" in told.value.remedy
    with pytest.raises(VmnetError) as told:
        choose("wicked", BARE, (), (), NOTHING)
    assert told.value.code == "format-unknown"


def test_another_manager_that_is_told_of_the_links_too_is_named():
    path, text = LEASES["ifupdown"]
    (found,) = rivals(FORMATS["networkd"], BARE, NOTHING | {"ifupdown": {Path(path): text}})
    assert (found.code, found.what) == ("H459", f"ifupdown is told of these links too: {path}:3")


def test_a_file_that_is_not_as_vmnet_wrote_it_is_left_alone():
    (file, *_) = FORMATS["networkd"].files(BARE, {})
    anew = NativeFile(file.path, FORMATS["networkd"].files(replace(BARE, mtu=1400), {})[0].text, file.mode)
    edited = file.text.replace("STP=no", "STP=yes")
    assert [hand(text) for text in (file.text, edited, "[NetDev]\n")] == [Hand.VMNET, Hand.EDITED, Hand.SOMEBODY]
    assert contested("br0", [anew], {file.path: file.text}) == []
    for text, what in ((edited, "was edited since vmnet wrote it"), ("[NetDev]\n", "is not vmnet's")):
        (found,) = contested("br0", [anew], {file.path: text})
        assert (found.code, found.what) == ("H458", f"{file.path} is not written over: it {what}")


@pytest.mark.parametrize(
    ("manager", "one", "other"),
    [
        ("ifupdown", replace(BARE, name="br.1"), replace(BARE, name="br_1")),
        ("networkd", replace(BARE, ports=(Port("eth0", None, 1500),)), replace(BARE, name="br0-eth0")),
        ("networkmanager", replace(BARE, ports=(Port("eth0", None, 1500),)), replace(BARE, name="br0-eth0")),
    ],
)
def test_a_file_of_another_bridge_is_not_written_over(manager, one, other):
    there = {file.path: file.text for file in FORMATS[manager].files(one, {})}
    (found,) = contested(other.name, FORMATS[manager].files(other, {}), there)
    assert (found.code, found.is_error) == ("H458", True)
    assert found.what.endswith(f"it is of {one.name}, whose file has the same name")


@pytest.mark.parametrize("manager", ["networkd", "networkmanager"])
def test_the_file_of_a_port_that_is_none_any_more_is_to_go(manager):
    before, now = (FORMATS[manager].files(replace(BARE, ports=(Port(n, None, 1500),)), {}) for n in ("up0", "up1"))
    texts = {file.path: file.text for file in before}
    (place,) = set(texts) - {file.path for file in now}
    assert stale("br0", FORMATS[manager], now, texts) == ([place], [])
    assert stale("br1", FORMATS[manager], now, texts) == ([], [])
    paths, (found,) = stale("br0", FORMATS[manager], now, {**texts, place: texts[place] + "#\n"})
    assert (paths, found.code) == ([], "H458")
    assert found.what == f"{place} is not removed: it was edited since vmnet wrote it"


if __name__ == "__main__":
    for case in CASES:
        (GOLDEN / f"{'-'.join(case)}.txt").write_text(told(*case))
