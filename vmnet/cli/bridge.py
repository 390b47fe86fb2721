"""`vmnet bridge`: the host's bridges."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, TypeAlias

import typer

from vmnet.cli import completion
from vmnet.cli.face import Face, facing
from vmnet.cli.options import SYSTEM, Connect, DryRun, Json, Quiet
from vmnet.cli.rights import refuse_others
from vmnet.host.model import BridgeOptions
from vmnet.nic.model import Nic
from vmnet.operations.bridge import Terms, has_stray_taps
from vmnet.operations.bridge import bridge as one_bridge
from vmnet.operations.bridge import bridges as all_bridges
from vmnet.operations.bridge import dismantle as dismantle_bridge
from vmnet.operations.bridge import prepare as prepare_bridge
from vmnet.render import bridges as render
from vmnet.render.message import offer

app = typer.Typer(rich_markup_mode=None, add_completion=False)

CONFIRM_SECONDS = 60.0
"""How long somebody at a terminal has to say that the host is still reached."""


def _finite(seconds: float | None) -> float | None:
    """No option takes a number that is none, which is neither too small nor too large."""
    if seconds is not None and not isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is no number of seconds.")
    return seconds


Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="The bridge.", autocompletion=completion.bridges)]
Confirm: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--confirm",
        metavar="SECONDS",
        min=1,
        max=3600,
        callback=_finite,
        help="Undo it unless 'vmnet confirm ID' is run in time; at a terminal 60.",
    ),
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Ask nobody: what answered before must answer after.")]
NoProbe: TypeAlias = Annotated[bool, typer.Option("--no-probe", help="Do not ask whether gateways still answer.")]

TakeOver: TypeAlias = Annotated[
    bool,
    typer.Option("--take-over", help="Tell NetworkManager, or the DHCP client, where that would refuse it."),
]


@app.callback()
def _bridge() -> None:
    """The host's bridges: over the NIC that carries the host's own address too, which the host keeps all the while.

    Everything the NIC carries moves to the bridge and comes back: addresses, routes, rules, neighbours, settings.
    A process of its own puts the host back if vmnet dies, if a gateway that answered is silent, or if nobody confirms.
    """


@app.command(epilog="Example:  vmnet bridge prepare br0 --uplink eth0 --confirm 30")
def prepare(
    name: Name,
    uplink: Annotated[
        str, typer.Option("--uplink", metavar="DEV", help="Its way to the LAN.", autocompletion=completion.links)
    ],
    stp: Annotated[bool | None, typer.Option("--stp/--no-stp", help="Speak the spanning tree protocol.")] = None,
    forward_delay: Annotated[
        float | None,
        typer.Option("--forward-delay", metavar="SECONDS", min=0, max=30, callback=_finite, help="With STP: 2 to 30."),
    ] = None,
    ageing: Annotated[
        float | None,
        typer.Option(
            "--ageing", metavar="SECONDS", min=0, max=10**6, callback=_finite, help="How long a MAC is remembered."
        ),
    ] = None,
    mac: Annotated[str | None, typer.Option("--mac", metavar="MAC", help="Instead of the uplink's.")] = None,
    mtu: Annotated[
        int | None, typer.Option("--mtu", metavar="BYTES", min=68, max=65535, help="Instead of the uplink's.")
    ] = None,
    snooping: Annotated[
        bool | None,
        typer.Option("--multicast-snooping/--no-multicast-snooping", help="Multicast only where it was asked for."),
    ] = None,
    vlan_filtering: Annotated[
        bool | None, typer.Option("--vlan-filtering/--no-vlan-filtering", help="Filter ports by VLAN.")
    ] = None,
    without_address: Annotated[
        bool, typer.Option("--without-address", help="Make the uplink a port; the host is to have no address there.")
    ] = False,
    take_over: TakeOver = False,
    confirm: Confirm = None,
    yes: Yes = False,
    no_probe: NoProbe = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Have a bridge over an uplink, and the host's addresses and routes on it, without a lost packet."""
    with facing(json, quiet, to_its_end=True) as face:
        if not dry_run:
            refuse_others()
        options = BridgeOptions(
            stp=stp,
            forward_delay=_centiseconds(forward_delay),
            ageing=_centiseconds(ageing),
            mac=mac and Nic.mac.parse(mac),
            mtu=mtu,
            multicast_snooping=snooping,
            vlan_filtering=vlan_filtering,
            without_address=without_address,
        )
        terms = terms_of(face, confirm, yes, no_probe, take_over)
        done = prepare_bridge(name, uplink, options, terms=terms, run=face.run(dry_run))
        face.result(done.document(), render.outcome(done, "Prepared"), done=done.applied)
        if done.applied:
            face.say(f"It lasts until the next boot; to have it at every boot: vmnet bridge persist {done.bridge}")


@app.command(epilog="Example:  vmnet bridge dismantle br0")
def dismantle(
    name: Name,
    uplink: Annotated[
        str | None, typer.Option("--uplink", metavar="DEV", help="Which of its ports, if that is not plain.")
    ] = None,
    take_over: TakeOver = False,
    confirm: Confirm = None,
    yes: Yes = False,
    no_probe: NoProbe = False,
    connect: Connect = SYSTEM,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Have a bridge gone, and the host's addresses and routes back on its uplink."""
    with facing(json, quiet, to_its_end=True) as face:
        if not dry_run:
            refuse_others()
        terms = terms_of(face, confirm, yes, no_probe, take_over)
        done = dismantle_bridge(name, uplink, lambda: _owners(connect), terms=terms, run=face.run(dry_run))
        face.result(done.document(), render.outcome(done, "Dismantled"), done=done.applied)


@app.command(epilog="Example:  vmnet bridge repair br0 --dry-run")
def repair(
    name: Name, connect: Connect = SYSTEM, dry_run: DryRun = False, json: Json = False, quiet: Quiet = False
) -> None:
    """Put running guests' taps back on a bridge that was deleted and made again."""
    from vmnet.guest.connection import Connection
    from vmnet.operations.repair import repair as repair_bridge

    with facing(json, quiet) as face:
        if not dry_run:
            refuse_others()
        with Connection.to_look(connect) as connection:
            done = repair_bridge(connection, name, face.run(dry_run))
        face.result(done.document(), render.repaired(done), done=done.applied)


@app.command(epilog="Example:  vmnet bridge persist br0 --write")
def persist(
    name: Name,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="networkd, netplan, networkmanager or ifupdown; else that of whoever has the bridge or its uplink.",
            autocompletion=completion.formats,
        ),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the files; without, they are printed.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Have a bridge at every boot as it is now: the configuration for the host's own network manager.

    What a lease, a router or a guest brings is left to them; what the manager has no words for is told. All files are
    written, or none; 'vmnet undo' takes them back.
    """
    from vmnet.operations.persist import persist as persist_bridge

    with facing(json, quiet) as face:
        if write and not dry_run:
            refuse_others()
        done = persist_bridge(name, format, write=write, run=face.run(not write or dry_run))
        text = render.written(done) if write and not dry_run else render.files(done)
        face.result(done.document(), text, done=done.applied)


@app.command("list", epilog="Example:  vmnet bridge list --json")
def list_bridges(connect: Connect = SYSTEM, json: Json = False) -> None:
    """Show the bridges of this host: their ways out, their guests, the host's addresses.

    In JSON a bridge's ageing and forward_delay are hundredths of a second, as the kernel has them.
    """
    with facing(json) as face:
        found = all_bridges()
        face.result({"bridges": [one.document() for one in found]}, render.listing(found))
        _offer_repair(face, connect)


@app.command(epilog="Example:  vmnet bridge status br0")
def status(name: Name, connect: Connect = SYSTEM, json: Json = False) -> None:
    """Show one bridge: its settings, ports and addresses.

    In JSON its ageing and forward_delay are hundredths of a second, as the kernel has them.
    """
    with facing(json) as face:
        found = one_bridge(name)
        face.result(found.document(), render.status(found))
        _offer_repair(face, connect)


def _centiseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 100)


def terms_of(face: Face, confirm: float | None, yes: bool, no_probe: bool, take_over: bool = False) -> Terms:
    """On what terms a change stands: somebody at a terminal is asked, unless they say that they need not be."""
    asked = confirm if confirm is not None else CONFIRM_SECONDS if _is_at_a_terminal() and not yes else None
    return Terms(asked, not no_probe, take_over, lambda name, left: face.say(render.waiting(name, left)))


def _offer_repair(face: Face, connect: str) -> None:
    """Say on stderr how taps come back to their bridge that are ports of nothing."""
    if not has_stray_taps():
        return
    from vmnet.operations.repair import astray

    for name, ports in astray(connect).items():
        face.say(offer(name, [port.target for port in ports]))


def _is_at_a_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()  # None: it was closed before vmnet began


def _owners(connect: str) -> Mapping[str, str]:
    from vmnet.operations.owners import owners

    return owners(connect)
