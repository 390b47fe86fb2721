"""Tell those who look after a link to let go of it, and to look after it again: programs are run, and ended, here."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from vmnet.change.watchdog import has_systemd
from vmnet.errors import VmnetError
from vmnet.host import programs, rtnetlink
from vmnet.host.carried import observe_carried
from vmnet.host.findings import listed
from vmnet.host.managers import Client, Manager, Owner, observe_owners, observe_running
from vmnet.host.observe import observe
from vmnet.host.processes import parts, started
from vmnet.host.wire import Line

NMCLI = "/usr/bin/nmcli"
_NMCLI_SECONDS = 20
_ENDING_SECONDS = 5.0
_STANDING_SECONDS = 0.3
"""How long a DHCP client in the foreground is watched: one that does not like its arguments ends at once."""
_FOREGROUND = frozenset({"-d", "-f", "--foreground"})
"""Options of dhclient and udhcpc; without, a client goes to the background once it has a lease."""
_LEASE_SECONDS = 15.0
_TICK_SECONDS = 0.01


def leave_alone(owner: Owner) -> None:
    """Have whoever looks after a link let go of it; its addresses stay.

    Raises:
        VmnetError: A client is another process by now (``host-changed``), or is not to be ended (``owner-stays``);
            NetworkManager refuses (``owner-refuses``).
    """
    if owner.client:
        _end(owner.manager, owner.client)
        return
    _nmcli("device", "set", owner.link, "managed", "no")
    if not _until(lambda: _seen(owner) is None, _ENDING_SECONDS):
        raise VmnetError("owner-stays", f"NetworkManager goes on managing {owner.link}")


def keep_addresses(line: Line, link: str, *, ipv6: bool) -> None:
    """Have the addresses of a link last until somebody gives them an end again.

    The script of dhclient (4.4) does not touch an address that is there until it renews its lease, which may be later
    than the address had left.

    Args:
        line: To the kernel.
        link: The link's name.
        ipv6: Whether those of IPv6 are meant too.
    """
    families = (socket.AF_INET, socket.AF_INET6) if ipv6 else (socket.AF_INET,)
    if carried := observe_carried(line, [link]).get(link):
        lasting = [e.lasting for e in carried.addresses if e.family in families]
        line.do([message for e in lasting if e and (message := e.add(0))])


def take_up(owner: Owner, *, verify: bool = True) -> None:
    """Have somebody look after a link.

    Args:
        owner: Who, and which link.
        verify: Whether to wait until a DHCP client that takes the addresses away when it begins has them again.

    Raises:
        VmnetError: It does not start, or does not get the addresses again (``owner-refuses``).
    """
    before = _addresses(owner.link)
    if owner.client:
        _start(owner)
        if verify and not _until(lambda: before <= _addresses(owner.link), _LEASE_SECONDS):
            raise VmnetError(
                "owner-refuses",
                f"{owner.manager} took {listed(sorted(before - _addresses(owner.link)))} away from {owner.link}, and "
                f"did not get it again in {_LEASE_SECONDS:g} s",
                remedy="See whether the DHCP server answers",
            )
    elif owner.profile:
        _nmcli("connection", "up", "uuid", owner.profile, "ifname", owner.link)
    else:
        _nmcli("device", "set", owner.link, "managed", "yes")


def let_go(heir: Owner) -> list[str]:
    """Have whoever a change set on a link let go of it, if they are there; what was done, a sentence each."""
    found = _seen(heir)
    if found is None:
        return []
    leave_alone(found)
    return [f"{found.manager} has let go of {found.link}"]


def give_back(owner: Owner) -> list[str]:
    """Have whoever looked after a link do so again, unless they do; what was done, a sentence each.

    Raises:
        VmnetError: As `take_up`.
    """
    if _seen(owner) is not None:
        return []
    if owner.client is None and Manager.NETWORK_MANAGER not in observe_running():
        return []
    take_up(owner, verify=False)
    return [f"{owner.manager} looks after {owner.link} again"]


def _addresses(name: str) -> frozenset[str]:
    host = observe()
    link = host.link(name)
    return frozenset(a.address for a in host.addresses_on(link) if not a.link_local) if link else frozenset()


def _seen(owner: Owner) -> Owner | None:
    """The same manager on the same link, as it is now; a client by its arguments."""
    there = observe_owners(link for link in rtnetlink.links() if link.name == owner.link)
    return next((found for found in there if found.manager is owner.manager and _asked(found) == _asked(owner)), None)


def _asked(owner: Owner) -> tuple[str, ...]:
    return owner.client.words[1:] if owner.client else ()


def _end(name: Manager, client: Client) -> None:
    """End the very process that was seen: by a handle, behind which its identity is looked at again."""
    process = client.process
    with ExitStack() as held:
        handles = [_handle(part, held) for part in (parts(process) if name is Manager.DHCPCD else [process])]
        if started(process) not in (client.started, 0):
            raise VmnetError("host-changed", f"process {process} is not {name} any more", remedy="Run it again")
        for handle in filter(None, handles):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            if not select.select([handle], [], [], _ENDING_SECONDS)[0]:
                raise VmnetError("owner-stays", f"{name} (process {process}) does not end")


def _handle(process: int, held: ExitStack) -> int | None:
    """A handle of a process, closed in the end; None if it is gone."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return None
    held.callback(os.close, handle)
    return handle


def _start(owner: Owner) -> None:
    """Start a DHCP client as it was started, in a session of its own: it outlives us."""
    client = owner.client
    assert client is not None
    command = [client.program, *client.words[1:]]
    if Path(client.program).name == "busybox":
        command.insert(1, client.words[0].rpartition("/")[2])
    if has_systemd():  # else systemd would end it with the session, or with the watchdog's unit, and in an orderly way
        command = ["/usr/bin/systemd-run", "--quiet", "--scope", "--collect", "--", *command]
    child = programs.start(command, folder=client.folder)
    deadline = time.monotonic() + (_STANDING_SECONDS if _FOREGROUND & set(client.words) else _LEASE_SECONDS)
    while time.monotonic() < deadline:
        code = programs.exit_code(child)
        if code:
            raise _refuses(f"{owner.manager} does not start on {owner.link}", f"It ended with {code}", command)
        if code == 0:  # it goes on by itself
            break
        time.sleep(_TICK_SECONDS)
    if _seen(owner) is None:
        raise _refuses(f"{owner.manager} does not run on {owner.link}", "It ended", command)


def _nmcli(*words: str) -> None:
    """Tell NetworkManager something; if it does not run there is nobody to be told."""
    if Manager.NETWORK_MANAGER not in observe_running():
        return
    code, told = programs.run([NMCLI, "--wait", str(_NMCLI_SECONDS), *words], _NMCLI_SECONDS + _ENDING_SECONDS)
    if code:
        raise _refuses(
            "NetworkManager did not do what it was told", told or f"nmcli ended with {code}", ["nmcli", *words]
        )


def _refuses(what: str, why: str, command: Sequence[str]) -> VmnetError:
    return VmnetError("owner-refuses", what, why=why, remedy=f"See why: {_shown(command)}")


def _shown(command: Sequence[str]) -> str:
    """A command as text: its words may be any bytes."""
    return os.fsencode(" ".join(command)).decode(errors="replace")


def _until(so: Callable[[], bool], seconds: float) -> bool:
    """Whether it comes true in time; nothing tells it, so it is looked at again and again."""
    deadline = time.monotonic() + seconds
    while not (true := so()) and time.monotonic() < deadline:
        time.sleep(_TICK_SECONDS)
    return true
