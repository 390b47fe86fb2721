"""The LAN of the lab: a switch in a network namespace of its own, and a gateway that answers."""

from __future__ import annotations

import selectors
import socket
import subprocess
from pathlib import Path

from vmnet.lab.namespaces import fork

GATEWAY = "10.99.0.1"
GATEWAY_V6 = "fd00:99::1"
SWITCH = "lan0"
ECHO_PORT = 7


def ip(*commands: str) -> None:
    """Run iproute2 commands, all in one process; stops at the first that fails. Raises `CalledProcessError`."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True, capture_output=True)


def host_address(host: int) -> str:
    """The IPv4 address of host number `host`, if it has one."""
    return f"10.99.0.{10 + host}"


def host_address_v6(host: int) -> str:
    """The IPv6 address of host number `host`, if it has one."""
    return f"fd00:99::{10 + host}"


def start(state: Path) -> None:
    """Make the switch and its gateway in this network namespace: ARP, ND, ping, TCP and UDP echo, DHCP.

    Args:
        state: Directory for the DHCP server's files.
    """
    ip(
        "link set lo up",
        f"link add {SWITCH} address 02:00:00:00:00:fe type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"addr add {GATEWAY}/24 dev {SWITCH}",
        f"addr add {GATEWAY_V6}/64 dev {SWITCH} nodad",
        f"link set {SWITCH} up",
    )
    fork(_echo)
    _serve_dhcp(state)


def plug(host: int, netns_of: int) -> None:
    """Wire host number `host` to the switch: `up0` in its namespace, `portN` here.

    Args:
        host: The host's number, from 1.
        netns_of: A process that lives in the host's network namespace.
    """
    ip(
        f"link add port{host} type veth peer name up0 address 02:00:00:00:00:{host:02x} netns {netns_of}",
        f"link set port{host} master {SWITCH} up",
    )


def _serve_dhcp(state: Path) -> None:
    """Addresses from 10.99.0.100; without the ping check that makes other servers wait 2 s before each offer.

    A lease is short: NICs that come and go, each with a MAC of its own, would use up 151 addresses within the hour.
    """
    subprocess.Popen(
        ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0", "--no-ping",
         "--dhcp-authoritative", f"--interface={SWITCH}", "--bind-interfaces", f"--pid-file={state / 'dnsmasq.pid'}",
         f"--dhcp-leasefile={state / 'dnsmasq.leases'}", "--dhcp-range=10.99.0.100,10.99.0.250,255.255.255.0,2m"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def _echo() -> int:
    """Send back what comes, over TCP and UDP, IPv4 and IPv6."""
    waiting = selectors.DefaultSelector()
    tcp = socket.create_server(("::", ECHO_PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", ECHO_PORT))
    for listening in (tcp, udp):
        waiting.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            try:
                if peer is tcp:
                    waiting.register(tcp.accept()[0], selectors.EVENT_READ)
                elif peer is udp:
                    udp.sendto(*udp.recvfrom(65536))
                elif data := peer.recv(65536):
                    peer.sendall(data)
                else:
                    raise ConnectionError
            except OSError:
                if peer not in (tcp, udp):
                    waiting.unregister(peer)
                    peer.close()
