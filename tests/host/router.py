"""A router that the LAN's gateway is, too: it answers solicitations, and speaks when it is told to.

As a program in the gateway's namespace it takes lines ``router-seconds address-seconds`` and says each as a router
advertisement of 2001:db8:1::/64, which it repeats to whoever asks.
"""

from __future__ import annotations

import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ADVERTISEMENT, SOLICITATION = 134, 133
PREFIX = socket.inet_pton(socket.AF_INET6, "2001:db8:1::")


@contextmanager
def router(gateway: int, address: str = "fe80::1") -> Iterator[Callable[[int, int], None]]:
    """A router in the namespace of a process; yields what has it say for how long it, and its addresses, are good."""
    command = ["nsenter", "-t", str(gateway), "-n", sys.executable, __file__, address]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path("/"))
    assert process.stdin
    assert process.stdout

    def say(itself: int, addresses: int) -> None:
        print(itself, addresses, file=process.stdin, flush=True)
        assert process.stdout.readline() == "said\n"

    try:
        yield say
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def main() -> None:
    """Be the router."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as line:
        index = socket.if_nametoindex("gw0")
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        joined = socket.inet_pton(socket.AF_INET6, "ff02::2") + struct.pack("=I", index)
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)
        line.bind((sys.argv[1], 0, 0, index))
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as asked:
            asked.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)
            message = b""
            while True:
                ready, _, _ = select.select([asked, sys.stdin], [], [])
                if asked in ready and asked.recv(2048)[0] == SOLICITATION and message:
                    line.sendto(message, ("ff02::1", 0, 0, index))
                if sys.stdin in ready:
                    itself, addresses = map(int, sys.stdin.readline().split())
                    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, addresses, addresses, 0) + PREFIX
                    message = struct.pack("!BBHBBHII", ADVERTISEMENT, 0, 0, 64, 0, itself, 0, 0) + prefix
                    line.sendto(message, ("ff02::1", 0, 0, index))
                    print("said", flush=True)


if __name__ == "__main__":
    main()
