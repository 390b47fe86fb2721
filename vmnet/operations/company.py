"""What the host does beside a guest's steps: look at the links that they leave, and mend what libvirt leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from vmnet.change.plan import Step
from vmnet.findings import Finding
from vmnet.guest.editing import Update
from vmnet.guest.kinds import State, Target
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.planner import Attach, Detach, GuestStep
from vmnet.host.model import Host, Link
from vmnet.host.planner import plan_release
from vmnet.host.steps import VerifyPort
from vmnet.nic import rules
from vmnet.nic.attachment import Bridge, Direct
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.nic.version import Version


def as_in_kernel(pair: GuestNic, host: Host | None) -> GuestNic:
    """The NIC with the macvtap mode that the kernel has: libvirt does not hear of a mode that was set by netlink."""
    link = host.link(pair.live.target) if host and pair.live and pair.live.target else None
    if pair.live is None or link is None or link.mode in (None, pair.live.mode):
        return pair
    return replace(pair, live=rewrite(pair.live, {"mode": link.mode}))


def among_the_others(domain: Domain, steps: Sequence[Step], libvirt: Version) -> Iterator[Finding]:
    """What the rules say of the NICs of each document together once the steps are done, and did not say before.

    Args:
        domain: The domain.
        steps: The guest's steps.
        libvirt: The daemon's version.
    """
    told: set[Finding] = set()
    for target in Target:
        document = domain.document(target)
        mine = [step for step in steps if isinstance(step, GuestStep) and step.target is target]
        coming = [step.nic for step in mine if isinstance(step, Attach | Update)]
        if document is None or not coming:
            continue
        moving = [*coming, *(step.nic for step in mine if isinstance(step, Detach))]
        before = {finding for _, finding in rules.check_domain(document.root, document.nics, libvirt)}
        changed = document.with_nics(coming, without=moving)
        after = rules.check_domain(changed.root, changed.nics, libvirt)
        new = {finding: None for _, finding in after if finding not in before | told}
        told |= new.keys()
        yield from new


def with_host(steps: Iterable[Step], domain: Domain, host: Host | None) -> Iterator[Step]:
    """The steps, and after each that changes a link of the running guest what the host has to do or to see.

    Args:
        steps: The guest's steps.
        domain: The domain that they are about.
        host: This host; None if it is not the guest's.
    """
    for step in steps:
        yield step
        if host is None:
            continue
        match step:
            case Detach(target=Target.LIVE):
                yield from plan_release(host, step.nic.attachment, step.nic.mac).steps
            case Attach(target=Target.LIVE):
                yield from _seen(domain, step.nic, host.guest_ends(step.nic.mac or ""))
            case Update(target=Target.LIVE) if any(change.field == "bridge" for change in step.changes):
                yield from _seen(domain, step.nic)


def _seen(domain: Domain, nic: Nic, others: Iterable[Link] = ()) -> Iterator[Step]:
    """A look at the NIC's link; `others` were there before, and have its MAC or one that a tap cannot tell from it."""
    match nic.attachment:
        case Direct() | Bridge() as attachment:
            running = domain.state is State.RUNNING
            yield VerifyPort(domain.name, nic.mac or "", attachment, running, tuple(link.index for link in others))
