"""Do the host's steps, each read back, and put the host back: the only code that changes its links."""

from __future__ import annotations

import os
from collections.abc import Sequence

from vmnet.change.plan import Step
from vmnet.errors import Refused, VmnetError
from vmnet.host import rtnetlink
from vmnet.host.findings import named
from vmnet.host.model import Host, Identity, Learned, Link
from vmnet.host.netlink import Netlink, make_ready
from vmnet.host.observe import observe
from vmnet.host.port import verify_port, wait_until
from vmnet.host.steps import CreateBridge, Enslave, HostStep, KeepUp, SetMode, SetUp, Unlearn, VerifyPort
from vmnet.host.uplink import check_uplink
from vmnet.values import dataclass

_TRIES = 5


@dataclass(frozen=True, slots=True)
class HostImage:
    """What the host was before a change, as far as the change may touch it.

    Args:
        mark: The alias of what this change makes.
        touched: Names of the links that its steps may make or change.
        links: Those of them that were there.
        lent: MACs that its guests give to links that they take whole.
    """

    mark: str
    touched: tuple[str, ...]
    links: tuple[Link, ...]
    lent: tuple[str, ...] = ()

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the links that were not there."""
        there = {link.name for link in self.links}
        return tuple(name for name in self.touched if name not in there)


class HostWing:
    """The host as the executor sees it: one instance a change, whose links it marks with ``vmnet:<id>``.

    It deletes only links that carry its mark, and releases only ports that it made. What others came to use meanwhile
    is not taken from under them.
    """

    def __init__(self) -> None:
        self._mark = f"vmnet:{os.urandom(4).hex()}"

    def image(self, steps: Sequence[Step]) -> HostImage:
        """Read the links that `steps` may touch."""
        if any(isinstance(step, Unlearn) for step in steps):
            make_ready()
        touched = dict.fromkeys(name for s in steps if isinstance(s, HostStep) for name in s.touches)
        lent = tuple(s.lent for s in steps if isinstance(s, VerifyPort) and s.lent)
        there = [link for link in rtnetlink.links() if link.name in touched] if touched else []
        return HostImage(self._mark, tuple(touched), tuple(there), lent)

    def apply(self, step: Step) -> None:
        """Do one step and read it back.

        Raises:
            VmnetError: The kernel refused (``netlink-...``), a link is no longer what was planned with
                (``host-changed``), or what was set did not come about (``host-readback``, ``port-readback``).
        """
        match step:
            case CreateBridge():
                self._create(step)
            case Enslave():
                self._enslave(step)
            case SetUp():
                self._set_up(step)
            case SetMode():
                self._set_mode(step)
            case KeepUp():
                self._keep_up(step)
            case Unlearn():
                self._unlearn(step)
            case VerifyPort():
                verify_port(step)
            case _:
                raise TypeError(f"not a step of the host: {step!r}")

    def restore(self, image: HostImage) -> list[str]:
        """Converge to `image`; what the change did not make is left alone.

        Raises:
            VmnetError: A bridge of this change has come into use by others, and stays (``host-bridge-in-use``); or a
                link whose MAC it changed has (``host-mac-in-use``).
        """
        done: list[str] = []
        with Netlink() as kernel:
            for bridge in [n for n in rtnetlink.links() if n.name in image.absent and n.alias == image.mark]:
                _refuse_if_in_use(bridge, image)
                kernel.delete(bridge.index)  # at once: its ports are released with it
                done.append(f"bridge {bridge.name} deleted")
            for before in image.links:
                done += _put_back(kernel, before, image)
        return done

    def _create(self, step: CreateBridge) -> None:
        with Netlink() as kernel:
            index = kernel.create_bridge(
                step.name, step.mac, step.mtu, stp=step.stp, forward_delay=step.forward_delay, alias=self._mark
            )
        made = Host(rtnetlink.links()).by_index(index)
        settings = made.bridge if made else None
        _compare(
            step.name,
            name=(step.name, made and made.name),
            mac=(step.mac or (made and made.mac), made and made.mac),
            mtu=(step.mtu, made and made.mtu),
            stp=(step.stp, settings and settings.stp),
            forward_delay=(step.forward_delay, settings and settings.forward_delay),
            alias=(self._mark, made and made.alias),
            up=(True, made and made.up),
        )

    def _enslave(self, step: Enslave) -> None:
        host = observe()  # again: an address may have come to the uplink since the plan, and would be lost
        uplink, bridge = _same(host, step.uplink), host.link(step.bridge)
        if bridge is None or not bridge.is_bridge:
            raise VmnetError(
                "host-changed",
                f"there is no bridge {step.bridge} any more",
                remedy="Run the command again to plan with what is there now",
            )
        findings = check_uplink(host, step.uplink.name, step.bridge)
        if any(f.is_error for f in findings):
            raise Refused(findings)
        with Netlink() as kernel:
            kernel.set_master(uplink.index, bridge.index)
        now = Host(rtnetlink.links()).by_index(uplink.index)
        _compare(uplink.name, master=(bridge.index, now and now.master), is_port=(True, bool(now and now.port)))

    def _set_up(self, step: SetUp) -> None:
        link = _same(Host(rtnetlink.links()), step.link)
        with Netlink() as kernel:
            kernel.set_up(link.index, True)
        now = Host(rtnetlink.links()).by_index(link.index)
        _compare(link.name, up=(True, now and now.up))

    def _set_mode(self, step: SetMode) -> None:
        link = Host(rtnetlink.links()).link(step.link)
        if link is None or link.kind != "macvtap":
            raise VmnetError("host-changed", f"there is no macvtap {step.link} any more")
        with Netlink() as kernel:
            kernel.set_mode(link.index, step.mode.value)
        now = Host(rtnetlink.links()).by_index(link.index)
        _compare(step.link, mode=(step.mode.value, now and now.mode))

    def _keep_up(self, step: KeepUp) -> None:
        def now() -> Link:
            link = Host(rtnetlink.links()).by_index(step.index)
            if link is None:
                raise VmnetError("host-changed", f"{step.name} is gone")
            return link

        with Netlink() as kernel:
            if step.own and not wait_until(lambda: now().mac != step.lent):
                kernel.set_address(step.index, step.own)
                _compare(step.name, mac=(step.own, now().mac))
            if not now().up:
                kernel.set_up(step.index, True)
                _compare(step.name, up=(True, now().up))

    def _unlearn(self, step: Unlearn) -> None:
        with Netlink() as kernel:
            for _ in range(_TRIES):  # a frame that was under way may come back by the uplink, and be heard there anew
                if not (heard := _heard_elsewhere(step)):
                    return
                for entry in heard:
                    kernel.forget(entry.port, entry.mac, entry.vlan)
        host = Host(rtnetlink.links())
        ports = (port for entry in _heard_elsewhere(step) if (port := host.by_index(entry.port)))
        if where := named(ports):
            raise VmnetError(
                "port-readback",
                f"bridge {step.bridge} goes on hearing NIC {step.mac} of {step.domain} at {where}",
                why="Somebody else has the same MAC address, or the LAN has a loop",
                remedy=f"See where: bridge fdb show br {step.bridge}",
            )


def _heard_elsewhere(step: Unlearn) -> list[Learned]:
    """Where a bridge has heard a guest's MAC but at the guest's own tap."""
    host = Host(rtnetlink.links())
    bridge, own = host.link(step.bridge), {link.index for link in host.guest_ends(step.mac)}
    return [
        entry
        for entry in rtnetlink.learned()
        if bridge and entry.bridge == bridge.index and entry.mac == step.mac.lower() and entry.port not in own
    ]


def _same(host: Host, planned: Identity) -> Link:
    """The planned link, if name, index and MAC are still together."""
    link = host.by_index(planned.index)
    if link is None or link.identity != planned:
        found = f"It is now {link.name} with MAC {link.mac}" if link else "It is gone"
        raise VmnetError(
            "host-changed",
            f"{planned.name} is not the link that was planned with",
            why=f"Planned with link {planned.index}, MAC {planned.mac}. {found}",
            remedy="Run the command again to plan with what is there now",
        )
    return link


def _compare(name: str, /, **pairs: tuple[object, object]) -> None:
    """Raise if the kernel shows other values than were set: it, and pyroute2, drop what they do not know."""
    if wrong := [f"{what} is {now!r}, not {wish!r}" for what, (wish, now) in pairs.items() if wish != now]:
        raise VmnetError("host-readback", f"{name} is not as it was set", why="; ".join(wrong))


def _put_back(kernel: Netlink, before: Link, image: HostImage) -> list[str]:
    """Release a link from a bridge that the plan gave it to, give it its MAC back, and set it up or down as it was."""
    now = Host(rtnetlink.links())
    link = now.by_index(before.index)
    if link is None:  # it went by itself; an index is not given twice
        return []
    done = []
    master = now.by_index(link.master) if link.master != before.master else None
    if master and master.name in image.touched:
        kernel.set_master(link.index, before.master)
        done.append(f"{link.name} released from bridge {master.name}")
        master = None
    if before.mac and before.mac != link.mac and link.mac in image.lent:
        _refuse_if_taken(link, before.mac)
        kernel.set_address(link.index, before.mac)
        done.append(f"{link.name} has its MAC {before.mac} again")
    if before.mode and link.mode != before.mode:
        kernel.set_mode(link.index, before.mode)
        done.append(f"{link.name} is in mode {before.mode} again")
    in_use = master or now.uppers(link)
    if link.up != before.up and (before.up or not in_use):
        kernel.set_up(link.index, before.up)
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


def _refuse_if_in_use(bridge: Link, image: HostImage) -> None:
    """Keep a bridge that others came to use; a guest's tap that is on its way out is waited for."""

    def others() -> list[str]:
        host = Host(rtnetlink.links())
        users = (*host.ports(bridge), *host.uppers(bridge))
        return [n.name for n in users if n.name not in image.touched]

    if not wait_until(lambda: not others()):
        raise VmnetError(
            "host-bridge-in-use",
            f"bridge {bridge.name} stays, with its uplink: {', '.join(others())} came to use it meanwhile",
            why="Deleting it would cut them off",
            remedy=f"Detach them, then: ip link delete {bridge.name}",
        )
