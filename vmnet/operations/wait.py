"""Wait until a guest has an IP address, and if it gets none say why, by looking."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from math import inf

from vmnet.errors import UsageError, VmnetError
from vmnet.guest.addresses import Known, ask
from vmnet.guest.connection import Connection
from vmnet.guest.events import Events
from vmnet.guest.kinds import State
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.observe import observe
from vmnet.guest.selector import select
from vmnet.host.model import Host, PortState
from vmnet.host.observe import observe as observe_host
from vmnet.nic.model import LinkState
from vmnet.operations.listing import all_addresses
from vmnet.values import dataclass

TICK_SECONDS = 0.25
"""How often to look when no event says that it is worth it: an address raises none."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A guest's NIC that has an address.

    Args:
        domain: The domain's name.
        mac: The NIC's MAC address.
        addresses: Its addresses, the best first.
    """

    domain: str
    mac: str
    addresses: tuple[Known, ...]

    def document(self) -> dict[str, object]:
        """The NIC as a JSON-able mapping with stable keys."""
        known = [{"address": one.address, "source": one.source.value} for one in self.addresses]
        return {"domain": self.domain, "mac": self.mac, "addresses": known}


def wait_for_address(connection: Connection, domain_name: str, nic: str | None, seconds: float) -> Reached:
    """Wait for an address that leads beyond the link, of one NIC or of any.

    Args:
        connection: A connection that may write, for only that asks the agent.
        domain_name: Name, UUID or id.
        nic: What `select` takes; None for any NIC.
        seconds: How long to wait.

    Raises:
        VmnetError: ``no-address``, with the reason; ``nic-unknown``; ``libvirt-lost``; or what libvirt says.
        KeyboardInterrupt: A signal asks to stop.
    """
    if not 0 <= seconds < inf:
        raise UsageError("bad-value", f"--timeout cannot be {seconds}", remedy="Give a number of seconds")
    handle = connection.domain(domain_name)
    deadline = time.monotonic() + seconds
    with Events(connection) as events:
        while True:
            domain = observe(handle)
            pairs = _wanted(domain, nic)
            host = observe_host() if connection.is_local else None
            found = _reached(connection, domain, pairs, host)
            if found:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise _none(domain, pairs, host, seconds)
            _pause(events, domain.uuid, min(TICK_SECONDS, left))


def _pause(events: Events, uuid: str, seconds: float) -> None:
    """Wait until something happens to the domain, some seconds at most."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if uuid in events.wait(left, gather=0):
            return


def _wanted(domain: Domain, nic: str | None) -> Sequence[GuestNic]:
    return [select(domain, nic)] if nic is not None else domain.nics


def _reached(connection: Connection, domain: Domain, pairs: Sequence[GuestNic], host: Host | None) -> Reached | None:
    known = ask(connection, [domain])
    for pair in pairs:
        addresses = all_addresses(domain.uuid, pair.mac, host if pair.live else None, known)
        if addresses and not addresses[0].is_link_local:
            return Reached(domain.name, pair.mac, addresses)
    return None


def _none(domain: Domain, pairs: Sequence[GuestNic], host: Host | None, seconds: float) -> VmnetError:
    why, remedy = next(_obstacles(domain, pairs, host))
    return VmnetError("no-address", f"{domain.name} has no address after {seconds:g} s", why=why, remedy=remedy)


def _obstacles(domain: Domain, pairs: Sequence[GuestNic], host: Host | None) -> Iterator[tuple[str, str]]:
    """What stands in the way, from the outside in, each with what to do."""
    if domain.live is None:
        yield f"it does not run ({domain.state.value})", f"Start it: virsh start {domain.name}"
        return
    if domain.state is State.PAUSED:
        yield "it is paused", f"Resume it: virsh resume {domain.name}"
    live = [pair.live for pair in pairs if pair.live]
    if not live:
        yield "the running guest has no NIC", f"See vmnet list {domain.name}"
    for nic in live:
        if nic.link is LinkState.DOWN:
            yield f"NIC {nic.mac} has its link down", f"virsh domif-setlink {domain.name} {nic.mac} up"
        if host and nic.target:
            yield from _in_the_kernel(host, nic.target, nic.text("source/@bridge"))
    if not domain.live.has_agent:
        yield (
            "no guest agent is connected, so only libvirt's leases and this host's neighbours can tell",
            "Install and start qemu-guest-agent in the guest, with its channel in the domain",
        )
    yield (
        "the guest has none: nobody answered its DHCP request, or it asks for none",
        "See whether a DHCP server is on that LAN, and the guest's own log",
    )


def _in_the_kernel(host: Host, target: str, bridge: str | None) -> Iterator[tuple[str, str]]:
    link = host.link(target)
    if link is None:
        yield f"the kernel has no link {target}", "Detach the NIC and attach it again"
        return
    below = host.by_index(link.lower if link.kind == "macvtap" else link.master)
    if not link.up:
        yield f"{target} is down", f"ip link set {target} up"
    if below is None:
        again = f"vmnet bridge repair {bridge}" if bridge else "Detach the NIC and attach it again"
        yield f"{target} is a port of no bridge", again
    elif not below.up:
        yield f"{below.name}, below {target}, is down", f"ip link set {below.name} up"
    elif not below.carrier:
        yield f"{below.name}, below {target}, has no carrier", "See its cable, or its ports (bridge link)"
    if link.port not in (None, PortState.FORWARDING):
        yield (
            f"the bridge does not forward for {target} yet: it is {link.port}",
            "Wait longer, or switch the bridge's STP off",
        )
