"""`vmnet lab`: a disposable KVM host to try things in."""

from __future__ import annotations

import os
import shutil
from typing import Annotated, TypeAlias

import typer

from vmnet.cli.face import facing
from vmnet.lab.run import Lab
from vmnet.lab.run import run as run_lab

app = typer.Typer(rich_markup_mode=None, add_completion=False)

Hosts: TypeAlias = Annotated[int, typer.Option("--hosts", metavar="N", min=1, max=99, help="KVM hosts on the LAN.")]
Guests: TypeAlias = Annotated[int, typer.Option("--guests", metavar="N", min=0, max=99, help="Guests on each host.")]
HostAddress: TypeAlias = Annotated[
    bool, typer.Option("--host-address", help="Give the hosts' uplinks an address: 10.99.0.11 for the first.")
]


@app.callback()
def _lab() -> None:
    """A disposable KVM host in private namespaces: libvirtd, an uplink up0 to a LAN, and guests; gone when you leave.

    The LAN's gateway is 10.99.0.1; it answers ping, TCP and UDP on port 7, and gives addresses by DHCP. Guests are
    guest1, guest2, ..., without a NIC; their consoles are in /run/vmnet-lab. The LAN itself is the network namespace
    "lan" (ip netns exec lan ...); another host is entered with nsenter --all --target $(cat
    /run/vmnet-lab/host2.pid).
    """


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example:  vmnet lab run --guests 1 -- vmnet attach guest1 --direct up0",
)
def run(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run inside.")],
    hosts: Hosts = 1,
    guests: Guests = 0,
    host_address: HostAddress = False,
) -> None:
    """Run COMMAND inside a new lab; its exit code is the lab's."""
    with facing(json=False) as face:
        raise typer.Exit(run_lab(Lab(command, hosts, guests, host_address), face.say))


@app.command()
def shell(hosts: Hosts = 1, guests: Guests = 1, host_address: HostAddress = False) -> None:
    """Open a shell inside a new lab; the lab ends with it."""
    with facing(json=False) as face:
        face.say("The lab is gone when you leave this shell. Try: vmnet attach guest1 --direct up0")
        raise typer.Exit(run_lab(Lab([_users_shell()], hosts, guests, host_address), face.say))


def _users_shell() -> str:
    """$SHELL where it names a program, else /bin/sh."""
    return shutil.which(os.environ.get("SHELL", "")) or "/bin/sh"
