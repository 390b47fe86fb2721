"""Who looks after a link, told from what lies under /proc, /run and /etc: made-up trees of files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from vmnet.host.carried import Carried
from vmnet.host.handover import on
from vmnet.host.managers import UNTOLD, Client, Manager, Owner, observe_owners
from vmnet.host.model import BridgeOptions, Host, Link
from vmnet.host.planner import Before, plan_dismantle, plan_prepare
from vmnet.host.processes import is_fit_for_root, is_roots_own, parts

HERE, ELSEWHERE = "net:[1]", "net:[2]"
UP0 = Link(name="up0", index=2, mac="02:00:00:00:00:10")
BR0 = Link(name="br0", index=5, mac="02:00:00:00:00:10", kind="bridge", alias="vmnet:0")
NETWORK_MANAGER = "/usr/sbin/NetworkManager --no-daemon"
NETWORKD = "/lib/systemd/systemd-networkd"

DEVICE = "run/NetworkManager/devices/2"
MANAGED = "[device]\nmanaged=true\nconnection-uuid=4a2e\nnm-owned=false\n"
PROFILES = "run/NetworkManager/system-connections"
STATE = "run/systemd/netif/links/2"
CONFIGURED = "# This is private data. Do not parse.\nADMIN_STATE=configured\nOPER_STATE=routable\nNETWORK_FILE={}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host on which nothing runs but who asks."""
    (tmp_path / "proc").mkdir()
    process(tmp_path, "thread-self", "vmnet")
    return tmp_path


def process(root: Path, pid: str, command: str, *, net: str = HERE, user: str = "user:[1]", rights: int = ~0) -> None:
    """A process as /proc shows it; `command` is its words, or its title."""
    folder = root / "proc" / pid
    (folder / "ns").mkdir(parents=True)
    (folder / "ns/net").symlink_to(net)
    (folder / "ns/user").symlink_to(user)
    words = [command] if ": " in command else command.split()
    (folder / "comm").write_text(Path(words[0].partition(":")[0]).name[:15] + "\n")
    (folder / "cmdline").write_bytes("\0".join(words).encode(errors="surrogateescape") + b"\0")
    (folder / "status").write_text(f"Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t{rights & 0x1FFFFFFFFFF:016x}\n")


def write(root: Path, files: Mapping[str, str]) -> None:
    """Files, by where they are."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def managers(root: Path, link: Link = UP0) -> list[Manager]:
    """Who looks after a link."""
    return [owner.manager for owner in observe_owners([link], root)]


def test_nobody_looks_after_the_links_of_a_bare_host(root: Path) -> None:
    assert observe_owners([UP0, BR0], root) == ()


DAEMONS = [
    ("managed", NETWORK_MANAGER, {DEVICE: MANAGED}, [Manager.NETWORK_MANAGER]),
    ("left alone", NETWORK_MANAGER, {DEVICE: "[device]\nmanaged=false\n"}, []),
    ("in another section", NETWORK_MANAGER, {DEVICE: "[dhcp4]\nmanaged=true\n"}, []),
    ("never seen", NETWORK_MANAGER, {}, []),
    (
        "set up by others, and only shown",
        NETWORK_MANAGER,
        {DEVICE: MANAGED, f"{PROFILES}/up0.nmconnection": "[connection]\nuuid=4a2e\n[.nmmeta]\nexternal=true\n"},
        [],
    ),
    (
        "another link is set up by others",
        NETWORK_MANAGER,
        {DEVICE: MANAGED, f"{PROFILES}/x.nmconnection": "[connection]\nuuid=77\n[.nmmeta]\nexternal=true\n"},
        [Manager.NETWORK_MANAGER],
    ),
    (
        "written by netplan for NetworkManager",
        NETWORK_MANAGER,
        {DEVICE: MANAGED, f"{PROFILES}/netplan-up0.nmconnection": "[connection]\nuuid=4a2e\n"},
        [Manager.NETPLAN],
    ),
    ("networkd", NETWORKD, {STATE: CONFIGURED.format("/etc/systemd/network/up.network")}, [Manager.NETWORKD]),
    ("on its way", NETWORKD, {STATE: "ADMIN_STATE=configuring\n"}, [Manager.NETWORKD]),
    ("not to be managed", NETWORKD, {STATE: "ADMIN_STATE=unmanaged\n"}, []),
    ("unknown to networkd", NETWORKD, {}, []),
    (
        "written by netplan for networkd",
        NETWORKD,
        {STATE: CONFIGURED.format("/run/systemd/network/10-netplan-up0.network")},
        [Manager.NETPLAN],
    ),
    ("NetworkManager's files, networkd running", NETWORKD, {DEVICE: MANAGED}, []),
]


@pytest.mark.parametrize(("command", "files", "expected"), [c[1:] for c in DAEMONS], ids=[c[0] for c in DAEMONS])
def test_a_daemon_manages_what_its_files_say(
    root: Path, command: str, files: dict[str, str], expected: list[Manager]
) -> None:
    process(root, "44", command)
    write(root, files)
    assert managers(root) == expected


def test_files_of_a_daemon_that_does_not_run_are_of_yesterday(root: Path) -> None:
    write(root, {DEVICE: MANAGED, STATE: CONFIGURED.format("x")})
    assert managers(root) == []


@pytest.mark.parametrize(
    "who",
    [{"net": ELSEWHERE}, {"user": "user:[2]"}, {"rights": 0}],
    ids=["of another network namespace", "of another user namespace", "without the right to change links"],
)
def test_a_process_manages_nothing_here(root: Path, who: dict[str, str | int]) -> None:
    write(root, {DEVICE: MANAGED})
    process(root, "44", NETWORK_MANAGER, **who)  # type: ignore[arg-type]
    process(root, "45", "dhclient up0", **who)  # type: ignore[arg-type]
    assert managers(root) == []


CLIENTS = [
    ("dhclient up0", Manager.DHCLIENT),
    ("/sbin/dhclient -4 -v -i -pf /run/dhclient.up0.pid -lf /x/leases -I -df /x/leases up0", Manager.DHCLIENT),
    ("dhclient eth9 up0", Manager.DHCLIENT),
    ("dhclient -cf up0 eth9", None),
    ("dhclient -1 -pf /run/pid", Manager.DHCLIENT),
    ("dhclient up01", None),
    ("dhclient -d -q -sf /usr/lib/NetworkManager/nm-dhcp-helper up0", None),
    ("udhcpc -b -i up0", Manager.UDHCPC),
    ("udhcpc -iup0", Manager.UDHCPC),
    ("udhcpc --interface=up0", Manager.UDHCPC),
    ("udhcpc --interface up0", Manager.UDHCPC),
    ("udhcpc -f", None),
    ("busybox udhcpc -i up0", Manager.UDHCPC),
    ("busybox sh up0", None),
    ("dhcpcd: [privileged proxy] up0 [ip4]", Manager.DHCPCD),
    ("dhcpcd: up0 [ip4] [ip6]", Manager.DHCPCD),
    ("dhcpcd: [privileged proxy] eth9 [ip4]", None),
    ("dhcpcd: [privileged proxy]", Manager.DHCPCD),
    ("dhcpcd: [manager] [ip4]", Manager.DHCPCD),
    ("dhcpcd -q -b", Manager.DHCPCD),
    ("dhcpcd -q up0", Manager.DHCPCD),
    ("cat up0", None),
]


@pytest.mark.parametrize(("command", "expected"), CLIENTS, ids=[c for c, _ in CLIENTS])
def test_a_dhcp_client_serves_the_links_it_names_else_all(root: Path, command: str, expected: Manager | None) -> None:
    process(root, "44", command)
    wanted = [(expected, "up0", "process 44", 44)] if expected else []
    assert [(o.manager, o.link, o.evidence, o.process) for o in observe_owners([UP0], root)] == wanted


def test_a_client_that_names_no_link_does_not_serve_bridges(root: Path) -> None:
    process(root, "44", "dhclient")
    process(root, "45", "dhcpcd: [manager] [ip4]")
    assert managers(root, BR0) == []


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ("denyinterfaces up0", False),
        ("denyinterfaces veth* up*", False),
        ("denyinterfaces eth*", True),
        ("allowinterfaces eth0 eth1", False),
        ("allowinterfaces up?", True),
        ("# denyinterfaces up0", True),
    ],
)
def test_dhcpcd_keeps_off_what_it_is_told_to(root: Path, settings: str, served: bool) -> None:
    process(root, "44", "dhcpcd: [manager] [ip4]")
    write(root, {"etc/dhcpcd.conf": f"hostname\n{settings}\n"})
    assert bool(managers(root)) is served


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"etc/network/interfaces": "auto up0\niface up0 inet dhcp\n"}, True),
        ({"etc/network/interfaces.d/nic": "iface up0 inet static\n  address 192.0.2.1/24\n"}, True),
        ({"etc/network/interfaces": "iface up0 inet manual\niface up0 inet6 auto\n"}, True),
        ({"etc/network/interfaces": "iface up0 inet manual\n"}, False),
        ({"etc/network/interfaces": "# iface up0 inet dhcp\niface up01 inet dhcp\niface up0\n"}, False),
    ],
)
def test_ifupdown_is_known_by_its_stanzas(root: Path, files: dict[str, str], found: bool) -> None:
    write(root, files)
    assert managers(root) == [Manager.IFUPDOWN] * found


OTHERS = [
    ("/usr/sbin/wickedd --systemd --foreground", Manager.WICKED),
    ("/usr/sbin/connmand -n", Manager.CONNMAN),
    ("/sbin/netifd", Manager.NETIFD),
    ("dhcp6c -c /etc/dhcp6c.conf up0", Manager.DHCP6C),
    ("dhcp6c eth9", None),
    ("odhcp6c -s /lib/netifd/dhcpv6.script -P0 up0", Manager.ODHCP6C),
    ("/usr/sbin/keepalived --dont-fork", Manager.KEEPALIVED),
]


@pytest.mark.parametrize(("command", "manager"), OTHERS)
def test_others_keep_a_bridge_from_being_prepared_with_a_word_of_what_to_do(
    root: Path, command: str, manager: Manager | None
) -> None:
    process(root, "44", command)
    write(root, {"etc/keepalived/keepalived.conf": "vrrp_instance A {\n  interface up0\n}\n"})
    assert managers(root) == [manager] * (manager is not None)
    plan = plan_prepare(Host(links=(UP0,)), {}, "br0", "up0", managers=observe_owners([UP0], root))
    assert [f.code for f in plan.findings] == ["H437"] * (manager is not None)
    assert all("Write br0 in place of up0" in f.remedy for f in plan.findings)


@pytest.mark.parametrize("manager", sorted(UNTOLD))
def test_to_take_over_from_those_who_cannot_be_told_is_refused(manager: Manager) -> None:
    owner = Owner(manager, "up0", "process 44", 44)
    plan = plan_prepare(Host(links=(UP0,)), {}, "br0", "up0", managers=(owner,), take_over=True)
    assert [f.code for f in plan.findings] == ["H437"]
    assert "--take-over cannot change that" in plan.findings[0].why


def test_a_keepalived_of_another_link_does_not_matter(root: Path) -> None:
    process(root, "44", "keepalived")
    write(root, {"etc/keepalived/keepalived.conf": "vrrp_instance A {\n  interface up01\n}\n"})
    assert managers(root) == []


HOSTILE = ["", "\0" * 9, "[" * 99, "=\n==\n[=]\n", "[device\nmanaged", "\x1b[2J\udcff", "iface " * 999, "CapEff:"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_the_files_say_nothing_breaks(root: Path, text: str) -> None:
    process(root, "44", NETWORK_MANAGER)
    process(root, "45", NETWORKD)
    process(root, "46", f"dhcpcd: {text}".replace("\0", " "))
    for name in (DEVICE, STATE, f"{PROFILES}/x.nmconnection", "etc/network/interfaces", "etc/dhcpcd.conf"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode(errors="surrogateescape"))
    (root / "proc/47").mkdir()
    (root / "proc/47/comm").symlink_to("nowhere")
    observe_owners([UP0, BR0], root)


def test_an_owner_of_the_uplink_refuses_the_bridge_and_is_told_how_to_let_go() -> None:
    owner = Owner(Manager.DHCLIENT, "up0", "process 44", 44)
    plan = plan_prepare(Host(links=(UP0,)), {}, "br0", "up0", managers=(owner,))
    assert plan.steps == ()
    (finding,) = plan.findings
    assert (finding.code, finding.what) == ("H434", "dhclient (process 44) holds the DHCP lease of up0")
    assert finding.remedy.startswith("kill -KILL 44,")
    assert finding.remedy.endswith("dhclient br0. Or let vmnet do that, and undo it: --take-over")


@pytest.mark.parametrize(("link", "again"), [("br0", "udhcpc -i up0"), ("up0", "udhcpc -i up0")])
def test_an_owner_of_either_keeps_a_bridge_from_being_dismantled(link: str, again: str) -> None:
    port = Link(name="up0", index=2, mac=BR0.mac, master=BR0.index)
    owner = Owner(Manager.UDHCPC, link, "process 44", 44)
    plan = plan_dismantle(Host(links=(port, BR0)), {}, "br0", managers=(owner,))
    assert plan.steps == ()
    assert [f.code for f in plan.findings] == ["H434"]
    assert plan.findings[0].remedy.partition(". Or let vmnet")[0].endswith(again)


def test_who_looks_after_another_link_does_not_matter() -> None:
    owner = Owner(Manager.NETWORKD, "eth9", "/etc/systemd/network/x.network", 44)
    assert plan_prepare(Host(links=(UP0,)), {}, "br0", "up0", managers=(owner,)).findings == ()


def test_ifupdown_only_warns_for_it_does_nothing_by_itself() -> None:
    owner = Owner(Manager.IFUPDOWN, "up0", "/etc/network/interfaces")
    plan = plan_prepare(Host(links=(UP0,)), {}, "br0", "up0", managers=(owner,))
    assert [(f.code, f.is_error) for f in plan.findings] == [("H435", False)]
    assert plan.steps


def client(command: str, **more: object) -> Owner:
    """A DHCP client that was started so, on up0."""
    words = tuple(command.split())
    about = {"program": f"/usr/sbin/{words[0]}", "links": ("up0",)} | more
    return Owner(Manager(words[0]), "up0", "process 44", 44, client=Client(44, 7, words=words, **about))


@pytest.mark.parametrize(
    ("command", "there"),
    [
        ("dhclient -4 -v -i -pf /run/up0.pid -lf up0 up0", "dhclient -4 -v -i -pf /run/up0.pid -lf up0 br0"),
        ("dhcpcd -4 up0", "dhcpcd -4 br0"),
        ("udhcpc -f -i up0 -s up0", "udhcpc -f -i br0 -s up0"),
        ("udhcpc -iup0", "udhcpc -i br0"),
        ("udhcpc --interface=up0", "udhcpc -i br0"),
        ("udhcpc -f", "udhcpc -f -i br0"),
    ],
)
def test_a_client_goes_along_under_its_own_arguments(command: str, there: str) -> None:
    assert on(client(command), "br0").client.words == tuple(there.split())


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        (client("dhclient up0 up1", links=("up0", "up1")), "It serves up1 too"),
        (client("dhclient", links=()), "It serves every NIC"),
        (client("dhcpcd up0", service="dhcpcd@up0.service"), "It is part of dhcpcd@up0.service"),
        (client("udhcpc -i up0", apart=True), "It sees other files"),
        (client("udhcpc -i up0", program=""), "It sees other files"),
        (client("dhclient up0", missing=True), "/usr/sbin/dhclient is not there any more"),
        (client("dhclient up0", foreign=True), "Somebody else than root runs it, or can change /usr/sbin/dhclient"),
        (Owner(Manager.NETWORKD, "up0", "/etc/x.network", 44), "There is no way"),
        (Owner(Manager.NETPLAN, "up0", "/etc/x.network", 44), "There is no way"),
    ],
)
def test_who_cannot_be_told_is_refused_with_take_over_too_and_it_says_why(owner: Owner, why: str) -> None:
    plan = plan_prepare(Host((UP0,)), {}, "br0", "up0", managers=[owner], take_over=True)
    (found,) = (f for f in plan.findings if f.code in ("H432", "H433", "H434"))
    assert f"--take-over cannot change that: {why}" in found.why
    assert not plan.steps


def test_of_the_parts_of_a_client_the_first_is_it(root: Path) -> None:
    for pid, parent in (("44", "1"), ("45", "44"), ("46", "44")):
        process(root, pid, "dhcpcd: [privileged proxy] up0 [ip4]")
        (root / "proc" / pid / "stat").write_text(f"{pid} (dhcpcd) S {parent} " + "0 " * 17 + "99 0")
    (found,) = observe_owners([UP0], root)
    assert found.client.process == 44
    assert (found.client.started, found.client.words) == (99, ("dhcpcd", "-4", "up0"))
    assert parts(45, root) == [45, 44, 46]


@pytest.mark.parametrize("other", [{"net": ELSEWHERE}, {"user": "user:[2]"}, {"exe": "/usr/sbin/other"}])
def test_a_namesake_of_another_program_or_place_is_no_part_of_a_client(root: Path, other: dict[str, str]) -> None:
    exe = other.pop("exe", "/usr/sbin/dhcpcd")
    for pid, parent, program in (("44", "1", "/usr/sbin/dhcpcd"), ("45", "44", exe)):
        process(root, pid, "dhcpcd: up0 [ip4]", **(other if pid == "45" else {}))
        (root / "proc" / pid / "exe").symlink_to(program)
        (root / "proc" / pid / "stat").write_text(f"{pid} (dhcpcd) S {parent} " + "0 " * 17 + "99 0")
    assert parts(44, root) == [44]


@pytest.mark.parametrize("after", ["", " (deleted)"])
def test_a_program_that_an_upgrade_replaced_is_the_one_in_its_place(root: Path, after: str) -> None:
    process(root, "44", "dhclient up0")
    (root / "proc/44/exe").symlink_to(f"/sbin/dhclient{after}")
    assert [o.client.missing for o in observe_owners([UP0], root)] == [True]
    write(root, {"sbin/dhclient": "#!/bin/true\n"})
    (root / "sbin/dhclient").chmod(0o755)
    (found,) = observe_owners([UP0], root)
    assert (found.client.program, found.client.missing) == ("/sbin/dhclient", False)


@pytest.mark.parametrize(("users", "own"), [("0 0 0 0", True), ("1000 0 0 0", False), ("1000 1000 1000 1000", False)])
def test_a_client_is_roots_if_it_has_no_other_user(root: Path, users: str, own: bool) -> None:
    process(root, "44", "dhclient up0")
    (root / "proc/44/status").write_text(f"Name:\tdhclient\nUid:\t{users}\nCapEff:\t{1 << 12:016x}\n")
    assert is_roots_own(root / "proc/44") == own
    assert observe_owners([UP0], root)[0].client.foreign >= (not own)


def test_root_starts_no_program_that_others_could_have_put_there(tmp_path: Path) -> None:
    assert is_fit_for_root(Path("/usr/bin/env"))
    file = tmp_path / "dhclient"
    assert not is_fit_for_root(file)
    file.write_text("")
    file.chmod(0o777)
    assert not is_fit_for_root(file)


def test_the_arguments_of_a_client_are_kept_byte_for_byte(root: Path) -> None:
    process(root, "44", "dhclient up0")
    (root / "proc/44/cmdline").write_bytes(b"dhclient\0-cf\0\0-lf\0/x/\xff\0up0\0")
    (found,) = observe_owners([UP0], root)
    assert found.client.links == ("up0",)
    assert os.fsencode("\0".join(found.client.words)) == b"dhclient\0-cf\0\0-lf\0/x/\xff\0up0"
    assert Owner.of_document(json.loads(json.dumps(found.document()))) == found


@pytest.mark.parametrize(
    ("cgroup", "service"),
    [
        ("0::/system.slice/dhcpcd.service", "dhcpcd.service"),
        ("0::/system.slice/system-ifup.slice/ifup@up0.service", ""),
        ("0::/system.slice/networking.service", ""),
        ("0::/user.slice/user-0.slice/session-3.scope", ""),
        ("0::/", ""),
    ],
)
def test_a_client_that_a_service_looks_after_is_known(root: Path, cgroup: str, service: str) -> None:
    process(root, "44", "dhclient up0")
    (root / "proc/44/cgroup").write_text(cgroup + "\n")
    (found,) = observe_owners([UP0], root)
    assert found.client.service == service


def test_an_owner_goes_to_disk_and_back() -> None:
    for owner in (client("dhclient -4 up0"), Owner(Manager.NETWORK_MANAGER, "up0", "/run/x", 44, "4a2e")):
        assert Owner.of_document(json.loads(json.dumps(owner.document()))) == owner


def carrying(link: Link) -> dict[str, Carried]:
    return {link.name: Carried(link=link, at=1.0)}


NETWORK_MANAGERS = Owner(Manager.NETWORK_MANAGER, "up0", "/run/x", 44, "4a2e")


@pytest.mark.parametrize(
    ("owner", "last", "codes"),
    [
        (NETWORK_MANAGERS, ["KeepAddresses"], ["H441"]),
        (replace(NETWORK_MANAGERS, manager=Manager.NETPLAN), ["KeepAddresses"], ["H441"]),
        (client("dhclient up0"), ["KeepAddresses", "TakeUp"], []),
        (client("udhcpc -i up0"), ["KeepAddresses", "TakeUp"], ["H442"]),
        (client("dhcpcd up0"), ["KeepAddresses", "TakeUp"], ["H443"]),
    ],
)
def test_whoever_is_told_is_told_first_and_a_client_starts_once_all_has_moved(
    owner: Owner, last: list[str], codes: list[str]
) -> None:
    plan = plan_prepare(Host((UP0,)), carrying(UP0), "br0", "up0", managers=[owner], take_over=True)
    assert [type(s).__name__ for s in plan.steps] == ["LeaveAlone", "CreateBridge", "CarryToBridge", *last]
    assert [f.code for f in plan.findings if f.code.startswith("H44")] == codes


def test_networkmanager_has_the_uplink_back_when_the_bridge_is_gone() -> None:
    port = Link(name="up0", index=2, mac=BR0.mac, master=BR0.index)
    before = {"up0": Before((NETWORK_MANAGERS,), lro=True)}
    plan = plan_dismantle(Host((port, BR0)), carrying(BR0), "br0", before=before)
    assert [type(s).__name__ for s in plan.steps] == ["CarryToUplink", "DeleteBridge", "TakeUp"]
    assert (plan.steps[0].lro, plan.steps[2].owner) == (True, NETWORK_MANAGERS)


def test_without_the_address_nobody_goes_along_and_a_client_is_refused() -> None:
    options = BridgeOptions(without_address=True)
    owner = client("dhclient up0")
    plan = plan_prepare(Host((UP0,)), carrying(UP0), "br0", "up0", options, [owner], take_over=True)
    assert [f.code for f in plan.findings] == ["H434"]
