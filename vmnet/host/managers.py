"""Who else on this host looks after a link: daemons that put their own settings back, and DHCP clients.

They are told by their processes and by what they leave under /run, where nothing has to be asked. That they are files
of this network namespace's daemons is told by the daemons: a daemon counts if it lives here and may change links.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from vmnet.host.model import Link
from vmnet.host.processes import arguments, is_fit_for_root, is_roots_own, listed, program, started, target, text, told
from vmnet.rights import may_change_links
from vmnet.values import dataclass


class Manager(StrEnum):
    """Who may look after a link."""

    NETWORK_MANAGER = "NetworkManager"
    NETWORKD = "systemd-networkd"
    NETPLAN = "netplan"
    IFUPDOWN = "ifupdown"
    DHCLIENT = "dhclient"
    DHCPCD = "dhcpcd"
    UDHCPC = "udhcpc"
    WICKED = "wicked"
    CONNMAN = "ConnMan"
    NETIFD = "netifd"
    DHCP6C = "dhcp6c"
    ODHCP6C = "odhcp6c"
    KEEPALIVED = "keepalived"


@dataclass(frozen=True, slots=True)
class Client:
    """A DHCP client, by what it takes to end it, and to start it again.

    Args:
        process: Its process id.
        started: When it was started, as the kernel counts (proc(5), field 22 of stat): with the id it is one process.
        program: The file that it runs; empty where that is not known.
        words: Its arguments; of dhcpcd, which writes over them, what its title tells of them.
        links: The links that it names.
        service: The service of systemd's that it runs in, which may start it again; empty for none.
        apart: Whether it sees other files than we do, as in a container.
        folder: Where it stands; empty where that is not known.
        missing: Whether its program is not there any more, or nothing that can be run.
        foreign: Whether somebody else than root runs it, or could have changed its program.
    """

    process: int
    started: int = 0
    program: str = ""
    words: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    service: str = ""
    apart: bool = False
    folder: str = ""
    missing: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Owner:
    """One that looks after a link.

    Args:
        manager: Who it is.
        link: The link's name.
        evidence: By what that is known: a file, or what runs.
        process: The process that does it; None where none does, now.
        profile: The id of NetworkManager's profile that is active on the link; empty for any other manager.
        client: The DHCP client, where it is one.
    """

    manager: Manager
    link: str
    evidence: str
    process: int | None = None
    profile: str = ""
    client: Client | None = None

    def document(self) -> dict[str, Any]:
        """Itself as a JSON-able mapping; `of_document` reads it."""
        return asdict(self) | {"manager": self.manager.value}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Owner:
        """What `document` said. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        told = dict(document)
        manager, client = Manager(told.pop("manager")), told.pop("client")
        known = client and {key: tuple(value) if isinstance(value, list) else value for key, value in client.items()}
        return cls(manager, client=Client(**known) if known else None, **told)


def observe_owners(links: Iterable[Link], root: Path = Path("/")) -> tuple[Owner, ...]:
    """Who looks after these links, of those that live in this network namespace.

    Without root the namespaces of other people's processes cannot be told, and count as this one.

    Args:
        links: The links.
        root: Where /proc, /run and /etc are.
    """
    links = tuple(links)
    running = tuple(_processes(root))
    return tuple(owner for link in links for signs in _SIGNS for owner in signs(link, running, root))


def observe_running(root: Path = Path("/")) -> frozenset[Manager]:
    """The network managers that run in this network namespace, whatever they look after."""
    return frozenset(_DAEMONS[p.name] for p in _processes(root) if p.name in _DAEMONS)


@dataclass(frozen=True, slots=True)
class _Process:
    """A process that may change the links of this namespace."""

    pid: int
    name: str
    words: tuple[str, ...]
    parent: int


_Signs: TypeAlias = Callable[[Link, Sequence[_Process], Path], Iterator[Owner]]
"""By what one kind of manager is known to look after a link."""
_Settings: TypeAlias = Mapping[tuple[str, str], str]


def _network_manager(link: Link, running: Sequence[_Process], root: Path) -> Iterator[Owner]:
    """NetworkManager says of each link whether it manages it; what others set up it only shows, as an external one."""
    daemon = _running(running, "NetworkManager")
    device = root / f"run/NetworkManager/devices/{link.index}"
    state = _settings(text(device))
    if daemon is None or state.get(("device", "managed")) != "true":
        return
    profile, settings = _profile(root, state.get(("device", "connection-uuid")))
    if settings.get((".nmmeta", "external")) == "true":
        return
    manager = Manager.NETPLAN if profile and profile.name.startswith("netplan-") else Manager.NETWORK_MANAGER
    uuid = state.get(("device", "connection-uuid"), "")
    yield Owner(manager, link.name, _shown(profile or device, root), daemon.pid, uuid)


def _networkd(link: Link, running: Sequence[_Process], root: Path) -> Iterator[Owner]:
    """networkd keeps a state file for each link, which systemd's own library reads to tell the same."""
    daemon = _running(running, "systemd-network")  # the kernel cuts the name at 15 bytes
    state = root / f"run/systemd/netif/links/{link.index}"
    settings = _settings(text(state))
    if daemon is None or settings.get(("", "ADMIN_STATE"), "unmanaged") in ("unmanaged", "linger"):
        return
    file = settings.get(("", "NETWORK_FILE"), "")
    manager = Manager.NETPLAN if Path(file).name.startswith("10-netplan-") else Manager.NETWORKD
    yield Owner(manager, link.name, file or _shown(state, root), daemon.pid)


def _dhcp_clients(link: Link, running: Sequence[_Process], root: Path) -> Iterator[Owner]:
    """A client serves the links that it names; one that names none serves the NICs that there are."""
    for process in running:
        if any(process.parent == other.pid and process.name == other.name for other in running):
            continue  # a part of that one
        if client := _CLIENTS.get(process.name):
            manager, links_of = client
            named = links_of(process.words)
            if link.name in named or (not named and not link.is_bridge and not _denied(manager, link, root)):
                known = _client(manager, process, link.name, tuple(named), root)
                yield Owner(manager, link.name, f"process {process.pid}", process.pid, client=known)


def _ifupdown(link: Link, running: Sequence[_Process], root: Path) -> Iterator[Owner]:  # noqa: ARG001 - it runs no daemon
    """ifupdown acts at boot and when it is called, by its stanzas; those with the method `manual` leave the link be."""
    folder = root / "etc/network"
    for file in (folder / "interfaces", *listed(folder / "interfaces.d", "*")):
        for line in text(file).splitlines():
            match line.split():
                case ["iface", link.name, _, method, *_] if method != "manual":
                    yield Owner(Manager.IFUPDOWN, link.name, _shown(file, root))
                    return


def _others(link: Link, running: Sequence[_Process], root: Path) -> Iterator[Owner]:
    """Those of whom is known that they look after links, and not how they say which; by words that name a link."""
    for process in running:
        match process.name:
            case "wickedd" | "connmand" | "netifd":
                words: Iterable[str] = (link.name,)
            case "dhcp6c" | "odhcp6c":
                words = process.words[1:]
            case "keepalived":
                files = (root / "etc/keepalived/keepalived.conf", *listed(root / "etc/keepalived", "*/*.conf"))
                words = " ".join(map(text, files)).split()
            case _:
                continue
        if link.name in words:
            yield Owner(_OTHERS[process.name], link.name, f"process {process.pid}", process.pid)


_OTHERS = {
    "wickedd": Manager.WICKED,
    "connmand": Manager.CONNMAN,
    "netifd": Manager.NETIFD,
    "dhcp6c": Manager.DHCP6C,
    "odhcp6c": Manager.ODHCP6C,
    "keepalived": Manager.KEEPALIVED,
}

UNTOLD = frozenset(_OTHERS.values())
"""Those that are only known to be there."""

_SIGNS: tuple[_Signs, ...] = (_network_manager, _networkd, _dhcp_clients, _ifupdown, _others)


def _client(manager: Manager, process: _Process, link: str, links: tuple[str, ...], root: Path) -> Client:
    folder, own = root / "proc" / str(process.pid), root / "proc/thread-self"
    file = root / program(folder).removeprefix("/")
    return Client(
        process.pid,
        started(process.pid, root),
        program(folder),
        naming(manager, process.words, link, link),
        links,
        _service(text(folder / "cgroup")),
        apart=target(folder / "ns/mnt") != target(own / "ns/mnt"),
        folder=target(folder / "cwd"),
        missing=not file.is_file() or not os.access(file, os.X_OK),
        foreign=not is_roots_own(folder) or not is_fit_for_root(file),
    )


_ONE_SHOT = ("networking.service", "ifup@", "ifupdown-")
"""Services of Debian's that start a client and do not look after it."""


def _service(cgroup: str) -> str:
    """The service of systemd's that a process is a part of, but for those that only start something."""
    found = re.search(r"/([^/\n]+\.service)$", cgroup, re.MULTILINE)
    return found[1] if found and not found[1].startswith(_ONE_SHOT) else ""


def _running(running: Sequence[_Process], name: str) -> _Process | None:
    return next((p for p in running if p.name == name), None)


def _profile(root: Path, uuid: str | None) -> tuple[Path | None, _Settings]:
    """The profile of NetworkManager's that has this id, among those that live under /run."""
    for file in listed(root / "run/NetworkManager/system-connections", "*.nmconnection"):
        settings = _settings(text(file))
        if uuid and settings.get(("connection", "uuid")) == uuid:
            return file, settings
    return None, {}


def _denied(manager: Manager, link: Link, root: Path) -> bool:
    """Whether dhcpcd was told to keep off a link."""
    if manager is not Manager.DHCPCD:
        return False
    denied: list[str] = []
    allowed: list[str] = []
    for line in text(root / "etc/dhcpcd.conf").splitlines():
        match line.split():
            case ["denyinterfaces", *patterns]:
                denied += patterns
            case ["allowinterfaces", *patterns]:
                allowed += patterns
    return any(fnmatchcase(link.name, p) for p in denied) or not any(fnmatchcase(link.name, p) for p in allowed or "*")


_DHCLIENT_TAKES_A_VALUE = frozenset(
    {"-p", "-D", "-e", "-df", "-lf", "-pf", "-cf", "-sf", "-s", "-g", "-C", "-H", "-F", "-V", "-timeout", "--timeout"}
    | {"--dad-wait-time", "--prefix-len-hint", "--decline-wait-time", "--address-prefix-len"}
)
"""Options of dhclient 4.4 that are followed by a word of their own."""


def _links_of_dhclient(words: Sequence[str]) -> list[str]:
    return [
        word for before, word in pairwise(words) if word[:1] not in ("", "-") and before not in _DHCLIENT_TAKES_A_VALUE
    ]


def _dhclient_on(words: Sequence[str], link: str, other: str) -> list[str]:
    pairs = pairwise(words)
    return [words[0], *(other if w == link and before not in _DHCLIENT_TAKES_A_VALUE else w for before, w in pairs)]


def _links_of_dhcpcd(words: Sequence[str]) -> list[str]:
    """By its title, ``dhcpcd: [privileged proxy] eth0 [ip4]`` (9.4), or where it gives itself none by its words."""
    said = re.sub(r"\[[^]]*\]", " ", " ".join(words))
    return [word for word in said.split()[1:] if word[:1] != "-"]


def _dhcpcd_on(words: Sequence[str], _link: str, other: str) -> list[str]:
    """Its title tells no more of its options than the families that it serves."""
    said = " ".join(words)
    of = [option for family, option in (("ip4", "-4"), ("ip6", "-6")) if f"[{family}]" in said or option in words]
    return ["dhcpcd", *(of if len(of) == 1 else []), other]


def _links_of_udhcpc(words: Sequence[str]) -> list[str]:
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if found := _UDHCPC_LINK.fullmatch(word):
            return [found[2] or following]
    return ["eth0"]


def _udhcpc_on(words: Sequence[str], _link: str, other: str) -> list[str]:
    for at, word in enumerate(words):
        if found := _UDHCPC_LINK.fullmatch(word):
            own = 1 if found[2] else 2
            return [*words[:at], "-i", other, *words[at + own :]]
    return [*words, "-i", other]


_UDHCPC_LINK = re.compile(r"(-i|--interface=?)(.*)")

_CLIENTS = {
    "dhclient": (Manager.DHCLIENT, _links_of_dhclient),
    "dhcpcd": (Manager.DHCPCD, _links_of_dhcpcd),
    "udhcpc": (Manager.UDHCPC, _links_of_udhcpc),
}
"""DHCP clients by the name of their process, and how they say which links they serve."""

_ON_ANOTHER = {Manager.DHCLIENT: _dhclient_on, Manager.DHCPCD: _dhcpcd_on, Manager.UDHCPC: _udhcpc_on}


def naming(client: Manager, words: Sequence[str], link: str, other: str) -> tuple[str, ...]:
    """The arguments of a DHCP client, with another link in the place of the one that it serves."""
    return tuple(_ON_ANOTHER[client](words, link, other))


_DAEMONS = {"NetworkManager": Manager.NETWORK_MANAGER, "systemd-network": Manager.NETWORKD}
"""Managers by the name of their process, which the kernel cuts at 15 bytes."""

_OF_INTEREST = frozenset({"busybox", *_DAEMONS, *_CLIENTS, *_OTHERS})


def _processes(root: Path) -> Iterator[_Process]:
    """The processes of interest that live in this network namespace and may change links in it."""
    for folder in listed(root / "proc", "[0-9]*"):
        name = text(folder / "comm").strip()
        if name in _OF_INTEREST and _lives_here(folder, root / "proc/thread-self") and may_change_links(folder):
            said = arguments(folder)
            if name == "busybox" and said[1:2] == ("udhcpc",):
                name, said = "udhcpc", said[1:]
            if any(said) and not any("nm-dhcp-" in word for word in said):  # NetworkManager answers for its own clients
                yield _Process(int(folder.name), name, said, told(folder, 4))


def _lives_here(process: Path, own: Path) -> bool:
    """Whether it has the namespaces that `own` has: its network, and its right to it."""
    try:
        return all((process / "ns" / of).readlink() == (own / "ns" / of).readlink() for of in ("net", "user"))
    except PermissionError:
        return True
    except OSError:  # it ended meanwhile
        return False


def _settings(text: str) -> _Settings:
    """The settings of a file of sections and ``key=value``, by section and key."""
    section, found = "", {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[section, key.strip()] = value.strip()
    return found


def _shown(path: Path, root: Path) -> str:
    return f"/{path.relative_to(root)}"
