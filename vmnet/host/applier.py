"""Do the host's steps, each read back, and put the host back: the only code that changes its links."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from vmnet.change.plan import Plan, Step
from vmnet.errors import VmnetError
from vmnet.host import making, netlink, rtnetlink, telling
from vmnet.host.carried import Carried, observe_carried
from vmnet.host.carry import SINCE, Goal
from vmnet.host.findings import named
from vmnet.host.hostlink_steps import HostlinkStep
from vmnet.host.image import HostImage, differing
from vmnet.host.managers import Owner
from vmnet.host.model import MARK, Host, Learned, Link
from vmnet.host.movable import check_users
from vmnet.host.moving import converge, found, move_to_bridge, move_to_uplink
from vmnet.host.observe import observe
from vmnet.host.picture import bare, lasting
from vmnet.host.port import verify_port, wait_until
from vmnet.host.probes import verify_peers
from vmnet.host.readback import compare, same
from vmnet.host.repair import PutBack, put_back
from vmnet.host.steps import (
    CarryToBridge,
    CarryToUplink,
    CreateBridge,
    DeleteBridge,
    Enslave,
    HostStep,
    KeepAddresses,
    KeepUp,
    LeaveAlone,
    SetMode,
    SetUp,
    TakeUp,
    Unlearn,
    VerifyPeers,
    VerifyPort,
)
from vmnet.host.uplink import check_uplink
from vmnet.host.wire import Line

T = TypeVar("T")

_TRIES = 3
"""How often what the host carried is put back before that is called a failure."""

_HEARINGS = 5
"""How often a bridge is told to forget where it heard a guest before somebody else is thought to speak for it."""


class HostWing:
    """The host as the executor sees it: one instance a change, whose links it marks with ``vmnet:<id>``.

    It deletes only links that carry its mark, and releases only ports that it made. What others came to use meanwhile
    is not taken from under them.
    """

    def __init__(self, line: Callable[[], Line] = Line) -> None:
        """A wing whose changes go to the kernel over what `line` opens."""
        self._line = line
        self._mark = f"{MARK}{os.urandom(4).hex()}"
        self._index = 0

    def image(self, steps: Sequence[Step]) -> HostImage:
        """Read the links that `steps` may touch."""
        touched = dict.fromkeys(name for s in steps if isinstance(s, HostStep) for name in s.touches)
        lent = tuple(s.lent for s in steps if isinstance(s, VerifyPort) and s.lent)
        links = rtnetlink.links() if touched else []
        there = [link for link in links if link.name in touched]
        self._index = self._index or making.free_index([link.index for link in links])
        carrying = {name for s in steps if isinstance(s, HostStep) for name in s.carries}
        with self._line() as line:
            carried = tuple(observe_carried(line, carrying).values()) if carrying else ()
        owners = tuple(s.owner for s in steps if isinstance(s, LeaveAlone))
        heirs = tuple(s.owner for s in steps if isinstance(s, TakeUp))
        return HostImage(self._mark, self._index, tuple(touched), tuple(there), lent, carried, owners, heirs)

    def apply(self, step: Step) -> None:
        """Do one step and read it back.

        Raises:
            VmnetError: The kernel refused (``netlink-...``), a link is no longer what was planned with
                (``host-changed``), what was set did not come about (``host-readback``, ``port-readback``), or who
                looks after a link does not do what they are told (``owner-...``).
        """
        match step:
            case CreateBridge():
                self._create(step)
            case Enslave():
                self._enslave(step)
            case CarryToBridge():
                self._carry_to_bridge(step)
            case CarryToUplink():
                self._carry_to_uplink(step)
            case DeleteBridge():
                self._delete(step)
            case SetUp():
                self._set_up(step)
            case SetMode():
                self._set_mode(step)
            case KeepUp():
                self._keep_up(step)
            case Unlearn():
                self._unlearn(step)
            case HostlinkStep():
                from vmnet.host import stacking  # of use to few commands

                with self._line() as line:
                    stacking.do(line, step, self._mark, self._index)
            case PutBack():
                with self._line() as line:
                    put_back(line, step)
            case VerifyPort():
                verify_port(step)
            case LeaveAlone():
                telling.leave_alone(step.owner)
            case KeepAddresses():
                with self._line() as line:
                    telling.keep_addresses(line, step.link, ipv6=step.ipv6)
            case TakeUp():
                telling.take_up(step.owner)
            case VerifyPeers():
                verify_peers(step.peers)
            case _:
                raise TypeError(f"not a step of the host: {step!r}")

    def restore(self, image: HostImage) -> list[str]:
        """Converge to `image`; what the change did not make is left alone.

        Raises:
            VmnetError: A bridge of this change has come into use by others, and stays (``host-bridge-in-use``); or a
                link whose MAC it changed has (``host-mac-in-use``); or who looked after a link does not take it up
                again (``owner-...``), and it is as if they had been told to leave it alone.
        """
        done: list[str] = []
        with self._line() as line:
            failed = _each(image.heirs, telling.let_go, done)
            if image.carried:
                failed += _each([image], lambda image: self._carry_back(line, image), done)
            made = [link for link in rtnetlink.links() if image.made(link)]
            failed += _each(made, lambda link: self._take_away(line, link, image, needed=bool(failed)), done)
            failed += _each(image.links, lambda before: _put_back(line, before, image), done)
            failed += _each(image.owners, lambda owner: self._give_back(line, owner, image), done)
        for error in failed:
            raise error
        return done

    def refuse_restore(self, image: HostImage) -> None:
        """Refuse while others use what the change made. Raises `VmnetError` (``host-bridge-in-use``)."""
        for link in filter(image.made, rtnetlink.links()):
            _refuse_if_in_use(link, image)

    def differences(self, image: HostImage) -> list[str]:
        """What is not as it was in an image, a sentence each; changes nothing.

        Raises:
            VmnetError: The kernel did not answer (``netlink-...``).
        """
        with self._line() as line:
            return [*differing(image, Host(rtnetlink.links()), observe_carried(line, image.touched))]

    def to_json(self, image: HostImage) -> dict[str, Any]:
        """An image as a JSON-able document."""
        return image.document()

    def from_json(self, document: Any) -> HostImage:
        """The image of a document. Raises `LookupError`, `TypeError`, `ValueError`, `struct.error` for what is none."""
        image = HostImage.of_document(document)
        for entry in (entry for carried in image.carried for entry in carried.entries):
            entry.text()  # one that is cut short is found now, not in the middle of an undo
        return image

    def _create(self, step: CreateBridge) -> None:
        index = self._index
        wished = making.create_bridge(step.name, step.mac, step.mtu, step.settings, self._mark, index)
        with self._line() as line:
            making.make(line, wished, index)
        made = Host(rtnetlink.links()).by_index(index)
        compare(
            step.name,
            name=(step.name, made and made.name),
            mac=(step.mac or (made and made.mac), made and made.mac),
            mtu=(step.mtu, made and made.mtu),
            settings=(step.settings, made and made.bridge),
            alias=(self._mark, made and made.alias),
            up=(True, made and made.up),
        )

    def _enslave(self, step: Enslave) -> None:
        host = observe()  # again: an address may have come to the uplink since the plan, and would be lost
        uplink, bridge = same(host, step.uplink), _bridge(host, step.bridge)
        Plan(findings=tuple(check_uplink(host, uplink.name, bridge.name))).refuse()
        with self._line() as line:
            line.do([netlink.set_master(uplink.index, bridge.index)])
        _compare_port(uplink, bridge)

    def _carry_to_bridge(self, step: CarryToBridge) -> None:
        host = observe()
        uplink, bridge = same(host, step.uplink), _bridge(host, step.bridge)
        Plan(findings=tuple(check_uplink(host, uplink.name, bridge.name, moving=True))).refuse()
        with self._line() as line:
            move_to_bridge(line, uplink.name, bridge.name)
        _compare_port(uplink, bridge)

    def _carry_to_uplink(self, step: CarryToUplink) -> None:
        host = observe()
        uplink, bridge = same(host, step.uplink), same(host, step.bridge)
        Plan(findings=tuple(check_users(host, bridge, uplink, {}))).refuse()
        with self._line() as line:
            move_to_uplink(line, bridge.name, uplink.name, lro=step.lro)
        now = Host(rtnetlink.links()).by_index(uplink.index)
        compare(uplink.name, master=(None, now and now.master))

    def _delete(self, step: DeleteBridge) -> None:
        host = observe()
        bridge = same(host, step.bridge)
        Plan(findings=tuple(check_users(host, bridge, None, {}))).refuse()
        with self._line() as line:
            if came := [a.address for a in host.addresses_on(bridge) if not a.link_local]:
                raise VmnetError("host-changed", f"{bridge.name} has got addresses meanwhile: {', '.join(came)}")
            line.do([netlink.delete(bridge.index)])

    def _carry_back(self, line: Line, image: HostImage) -> list[str]:
        """Have every link carry what it did, before anything else: the host is to be reached again.

        What is refused once may not be the next time (ENOBUFS), and nothing is lost by trying.
        """
        mine = [n.index for n in rtnetlink.links() if image.made(n)]
        made = observe_carried(line, mine).values() if mine else ()
        now = found(line, image.carried)
        if gone := [
            c.link.name for c in image.carried if c.link.index not in now and not c.link.is_bridge and c.entries
        ]:
            _refuse_if_needed(made, gone)
        wanted = sorted(lasting(image.carried, (*now.values(), *made)), key=lambda c: _place_at_home(c, image))
        goal = Goal((*wanted, *map(bare, made)), image.carried)
        for _ in range(_TRIES - 1):
            try:
                return _told(converge(line, goal, regardless=True), image)
            except VmnetError:
                continue
        return _told(converge(line, goal, regardless=True), image)

    def _take_away(self, line: Line, link: Link, image: HostImage, *, needed: bool) -> list[str]:
        """Delete a link that the change made; it stays while others use it, or the host's addresses could not leave it.

        Args:
            line: To the kernel.
            link: The link.
            image: What was.
            needed: Whether something could not be put back; the link may then still carry it.
        """
        if needed and any(not a.link_local for a in observe().addresses_on(link)):
            return []
        _refuse_if_in_use(link, image)
        line.do([netlink.delete(link.index)])  # at once: its ports are released with it
        return [f"{link.kind} {link.name} deleted"]

    def _give_back(self, line: Line, owner: Owner, image: HostImage) -> list[str]:
        """Have somebody look after their link again; if that fails, the link has at least what it carried."""
        try:
            return telling.give_back(owner)
        except VmnetError:
            telling.let_go(owner)
            self._carry_back(line, image)
            raise

    def _set_up(self, step: SetUp) -> None:
        link = same(Host(rtnetlink.links()), step.link)
        with self._line() as line:
            line.do([netlink.set_up(link.index, True)])
        now = Host(rtnetlink.links()).by_index(link.index)
        compare(link.name, up=(True, now and now.up))

    def _set_mode(self, step: SetMode) -> None:
        link = Host(rtnetlink.links()).link(step.link)
        if link is None or link.kind != "macvtap":
            raise VmnetError("host-changed", f"there is no macvtap {step.link} any more")
        with self._line() as line:
            line.do([netlink.set_mode(link.index, step.mode.value)])
        now = Host(rtnetlink.links()).by_index(link.index)
        compare(step.link, mode=(step.mode.value, now and now.mode))

    def _keep_up(self, step: KeepUp) -> None:
        def now() -> Link:
            link = Host(rtnetlink.links()).by_index(step.index)
            if link is None:
                raise VmnetError("host-changed", f"{step.name} is gone")
            return link

        with self._line() as line:
            if step.own and not wait_until(lambda: now().mac != step.lent):
                line.do([netlink.set_address(step.index, step.own)])
                compare(step.name, mac=(step.own, now().mac))
            if not now().up:
                line.do([netlink.set_up(step.index, True)])
                compare(step.name, up=(True, now().up))

    def _unlearn(self, step: Unlearn) -> None:
        with self._line() as line:
            # A frame that was under way may come back by the uplink, and be heard there anew.
            for _ in range(_HEARINGS):
                if not (heard := _heard_elsewhere(step)):
                    return
                # What is refused has gone by itself, or is found again.
                line.send([netlink.forget(entry.port, entry.mac, entry.vlan) for entry in heard])
        host = Host(rtnetlink.links())
        ports = (port for entry in _heard_elsewhere(step) if (port := host.by_index(entry.port)))
        if where := named(ports):
            raise VmnetError(
                "port-readback",
                f"bridge {step.bridge} goes on hearing NIC {step.mac} of {step.domain} at {where}",
                why="Somebody else has the same MAC address, or the LAN has a loop",
                remedy=f"See where: bridge fdb show br {step.bridge}",
            )


def _each(these: Iterable[T], act: Callable[[T], list[str]], done: list[str]) -> list[VmnetError]:
    """Do it for each; what fails does not keep the rest from being done."""
    failed = []
    for this in these:
        try:
            done += act(this)
        except VmnetError as error:
            failed.append(error)
    return failed


def _heard_elsewhere(step: Unlearn) -> list[Learned]:
    """Where a bridge has heard a guest's MAC but at the guest's own tap."""
    host = Host(rtnetlink.links())
    bridge, own = host.link(step.bridge), {link.index for link in host.guest_ends(step.mac)}
    return [
        entry
        for entry in rtnetlink.learned()
        if bridge and entry.bridge == bridge.index and entry.mac == step.mac.lower() and entry.port not in own
    ]


def _bridge(host: Host, name: str) -> Link:
    """The bridge of this name."""
    bridge = host.link(name)
    if bridge is None or not bridge.is_bridge:
        raise VmnetError(
            "host-changed",
            f"there is no bridge {name} any more",
            remedy="Run the command again to plan with what is there now",
        )
    return bridge


def _told(words: list[str], image: HostImage) -> list[str]:
    """What was put back, in fewer words."""
    news = [w for w in words if SINCE in w]
    return [f"{c.link.name} carries what it did" for c in image.carried if len(words) > len(news)] + news


def _place_at_home(carried: Carried, image: HostImage) -> tuple[bool, bool, bool]:
    """Of several links, what makes one the less likely to lead to the LAN by itself: a port does not."""
    link, others = carried.link, [c.link for c in image.carried]
    return link.master in [n.index for n in others], link.index in [n.lower for n in others], link.is_bridge


def _refuse_if_needed(made: Iterable[Carried], gone: Sequence[str]) -> None:
    """Keep what a bridge of this change carries for links that are gone: it is nowhere else."""
    if kept := [c.link.name for c in made if any(not e.is_kernel_made for e in c.entries)]:
        raise VmnetError(
            "host-uplink-gone",
            f"{', '.join(kept)} keeps what it carries, because {', '.join(gone)} is gone",
            why="What it carries would be nowhere then",
            remedy=f"Make another NIC a port of {kept[0]} (ip link set DEV master {kept[0]}); or, once nobody needs "
            f"what it carries, ip addr flush dev {kept[0]}, then vmnet recover",
        )


def _compare_port(uplink: Link, bridge: Link) -> None:
    now = Host(rtnetlink.links()).by_index(uplink.index)
    compare(uplink.name, master=(bridge.index, now and now.master), is_port=(True, bool(now and now.port)))


def _put_back(line: Line, before: Link, image: HostImage) -> list[str]:
    """Release a link from a bridge that the plan gave it to, give it its MAC back, and set it up or down as it was."""
    now = Host(rtnetlink.links())
    link = now.by_index(before.index)
    if link is None:  # it went by itself; an index is not given twice
        return []
    done = []
    master = now.by_index(link.master) if link.master != before.master else None
    if master and master.name in image.touched and not image.made(master):  # one that was made and stays is in use
        line.do([netlink.set_master(link.index, before.master)])
        done.append(f"{link.name} released from bridge {master.name}")
        master = None
    if before.mac and before.mac != link.mac and link.mac in image.lent:
        _refuse_if_taken(link, before.mac)
        line.do([netlink.set_address(link.index, before.mac)])
        done.append(f"{link.name} has its MAC {before.mac} again")
    if before.mode and link.mode != before.mode:
        line.do([netlink.set_mode(link.index, before.mode)])
        done.append(f"{link.name} is in mode {before.mode} again")
    in_use = master or now.uppers(link)
    if link.up != before.up and (before.up or not in_use):
        line.do([netlink.set_up(link.index, before.up)])
        done.append(f"{link.name} set {'up' if before.up else 'down'}")
    return done


def _refuse_if_taken(link: Link, mac: str) -> None:
    """Leave a link the MAC of whoever has it whole; a guest's macvtap that is on its way out is waited for."""

    def takers() -> tuple[Link, ...]:
        return Host(rtnetlink.links()).takers(link)

    if not wait_until(lambda: not takers()):
        raise VmnetError(
            "host-mac-in-use",
            f"{link.name} keeps the MAC {link.mac}: {named(takers())} has it whole",
            why="Whoever takes a link whole gives it its MAC",
            remedy=f"Once that is gone: ip link set {link.name} address {mac}",
        )


def _refuse_if_in_use(made: Link, image: HostImage) -> None:
    """Keep a link that others came to use; a guest's tap that is on its way out is waited for."""

    def others() -> list[str]:
        host = Host(rtnetlink.links())
        users = (*host.ports(made), *host.uppers(made))
        return [n.name for n in users if n.name not in image.touched]

    if not wait_until(lambda: not others()):
        raise VmnetError(
            "host-bridge-in-use",
            f"{made.kind} {made.name} stays: {', '.join(others())} came to use it meanwhile",
            why="Deleting it would cut them off",
            remedy=f"Detach them, then: ip link delete {made.name}",
        )
