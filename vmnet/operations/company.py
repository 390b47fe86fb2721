"""What the host does beside a guest's steps: look at the links that they leave, and mend what libvirt leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from vmnet.change.plan import Plan, Step
from vmnet.findings import Finding, Severity
from vmnet.guest.connection import Connection
from vmnet.guest.editing import Update
from vmnet.guest.kinds import State, Target
from vmnet.guest.model import Domain
from vmnet.guest.planner import Attach, Detach, GuestStep
from vmnet.host.model import Host, Link
from vmnet.host.observe import observe_ends
from vmnet.host.planner import plan_attachment, plan_release, real_name
from vmnet.host.steps import Unlearn, VerifyPort
from vmnet.nic import rules
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.nic.version import Version
from vmnet.nic.xml import quoted

_MOMENTARY = ("H305", "H306", "H307", "H314")
"""Findings on who uses an uplink or a name now: no matter to a guest that starts later."""

_LOST = ("N102", "N118", "N121")
"""Findings on what libvirt drops without a word: it would be missed when the NIC is read back, and all undone."""


def as_in_kernel(nic: Nic | None, host: Host | None) -> Nic | None:
    """A running NIC with the macvtap mode that the kernel has: libvirt does not hear of one that was set by netlink."""
    link = host.link(nic.target) if host and nic and nic.target else None
    return rewrite(nic, {"mode": link.mode}) if nic and link and link.mode not in (None, nic.mode) else nic


def on_host(host: Host, nic: Nic, uplink: str | None, *, own: Collection[str], live: bool) -> Plan:
    """What must be so on the host for a NIC, as `plan_attachment`; nothing where libvirt chooses the link.

    Args:
        host: This host.
        nic: The NIC as it is to be.
        uplink: The link to make a missing bridge over.
        own: Names of the links that this very NIC has already.
        live: Whether it is for a running guest; else who uses a link at the moment is no error.
    """
    match nic.attachment:
        case Direct() | Bridge() as attachment:
            plan = plan_attachment(host, attachment, nic.mac, uplink, target=nic.target, own=own)
            plan += Plan(findings=tuple(_bigger_than_bridge(host, nic, own)))
            return plan if live else Plan(plan.steps, tuple(map(_for_later, plan.findings)))
    return Plan()


def _for_later(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.WARNING) if finding.code in _MOMENTARY else finding


def among_the_others(domain: Domain, steps: Sequence[Step], libvirt: Version) -> Iterator[Finding]:
    """What the rules say of the NICs of each document together once the steps are done, and did not say before.

    Args:
        domain: The domain.
        steps: The guest's steps.
        libvirt: The daemon's version.
    """
    told: set[Finding] = set()
    for target in Target:
        before = after = domain.document(target)
        for step in steps:
            if after and isinstance(step, GuestStep) and step.target is target:
                match step:
                    case Detach():
                        after = after.without_nic(step.nic)
                    case Update():
                        after = after.with_nic(step.nic, step.before)
                    case _:
                        after = after.with_nic(step.nic)
        if before is None or after is None or after is before:
            continue
        known = {finding for _, finding in rules.check_domain(before.root, before.nics, libvirt)}
        found = dict.fromkeys(finding for _, finding in rules.check_domain(after.root, after.nics, libvirt))
        new = [finding for finding in found if finding not in known | told]
        told.update(new)
        yield from new


def together(plans: Mapping[str, Plan]) -> Plan:
    """The plans for several domains, by their names, as one, in which what they all want of the host is done once."""
    asked: set[Step] = set()
    steps = []
    for step in (step for plan in plans.values() for step in plan.steps):
        if isinstance(step, GuestStep) or step not in asked:
            steps.append(step)
        if not isinstance(step, GuestStep):
            asked.add(step)
    findings = (
        replace(finding, domain=name) if len(plans) > 1 and not finding.is_of_host else finding
        for name, plan in plans.items()
        for finding in plan.findings
    )
    return Plan(tuple(steps), tuple(dict.fromkeys(findings)))


def by_real_names(connection: Connection, links: Iterable[str | None]) -> list[str]:
    """Links by the names by which everybody locks them: a link may have further ones."""
    named = [link for link in links if link]
    if not named or not connection.is_local:
        return named
    host = observe_ends()
    return [real_name(host, link) for link in named]


def touched(steps: Iterable[Step]) -> tuple[str, ...]:
    """Which documents guest steps change, the live one first."""
    targets = {step.target for step in steps if isinstance(step, GuestStep)}
    return tuple(target.name.lower() for target in sorted(targets))


def beside_each_other(steps: Iterable[Step]) -> Iterator[Finding]:
    """What the NICs that are to come now do to each other, on links that the host's observation has without them."""
    coming = [step for step in steps if isinstance(step, Attach) and step.target is Target.LIVE]
    on_link: dict[str, list[Attach]] = {}
    for step in coming:
        if isinstance(step.nic.attachment, Direct):
            on_link.setdefault(step.nic.attachment.dev, []).append(step)
    for dev, sharers in on_link.items():
        if len(sharers) > 1 and any(s.nic.mode is MacvtapMode.PASSTHROUGH for s in sharers):
            yield Finding(
                "G309",
                Severity.ERROR,
                f"{dev} cannot be taken whole by {len(sharers)} NICs",
                why="The kernel lets nothing stand beside a passthrough link (EINVAL)",
                remedy="Use --mode bridge, or name one domain",
            )


def libvirt_has(connection: Connection, steps: Sequence[Step]) -> Iterator[Finding]:
    """That libvirt has what the steps bring by its name only."""
    yield from _has_filters(connection, steps)
    yield from _has_networks(connection, steps)


def all_kept(findings: Iterable[Finding], unsettable: Collection[str] = ()) -> Iterator[Finding]:
    """The findings on a NIC that is to come, where libvirt is to keep all of it: what would be lost is refused.

    Args:
        findings: What the rules say.
        unsettable: Fields that the NIC has already, and that may be unset.
    """
    for finding in findings:
        if finding.code in _LOST:
            finding = replace(finding, severity=Severity.ERROR)
            if finding.field in unsettable:
                finding = replace(finding, remedy=f"Say --unset {finding.field} too")
        yield finding


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
            case Update(target=Target.LIVE, onto=str(bridge)):
                yield Unlearn(domain.name, step.nic.mac or "", bridge)
                yield _port(domain, step.nic, Bridge(bridge))


def _bigger_than_bridge(host: Host, nic: Nic, own: Collection[str]) -> Iterator[Finding]:
    """A bridge drops what is too long for the port that it goes to, and has the least MTU of its ports (kernel)."""
    bridge = host.link(nic.bridge) if nic.bridge else None
    if bridge is None or nic.mtu is None or nic.mtu <= bridge.mtu:
        return
    if any(link.master == bridge.index and link.name not in own for link in host.links):
        yield Finding(
            "H315",
            Severity.WARNING,
            f"the MTU {nic.mtu} is larger than that of {bridge.name}, {bridge.mtu}",
            "The bridge drops longer frames that are for its other ports, without a word",
            f"Say --mtu {bridge.mtu} or less, or give the bridge's ports a larger one",
            "mtu",
        )


def _has_filters(connection: Connection, steps: Iterable[Step]) -> Iterator[Finding]:
    """That libvirt has the filters that the steps bring: without one a definition is taken, and never started."""
    coming = (
        step.nic.filter
        for step in steps
        if isinstance(step, Attach) or (isinstance(step, Update) and any(c.field == "filter" for c in step.changes))
    )
    for name in dict.fromkeys(filter(None, coming)):
        if not connection.has_filter(name):
            yield Finding(
                "G313",
                Severity.ERROR,
                f"libvirt has no filter {quoted(name)}",
                "A running guest is refused it, and one that is defined with it does not start",
                "virsh nwfilter-list shows those that there are; or define it first: virsh nwfilter-define FILE",
                "filter",
            )


def _has_networks(connection: Connection, steps: Iterable[Step]) -> Iterator[Finding]:
    """That libvirt has the networks that the steps bring, and that those for a running guest are started."""
    coming = (
        (step.nic.network, step.target is Target.LIVE)
        for step in steps
        if isinstance(step, Attach) or (isinstance(step, Update) and any(c.field == "network" for c in step.changes))
    )
    unknown: set[str] = set()
    for name, live in dict.fromkeys(coming):
        if name is None or name in unknown:
            continue
        if not connection.has_network(name, active=False):
            unknown.add(name)
            yield Finding(
                "G316",
                Severity.ERROR,
                f"libvirt has no network {quoted(name)}",
                "A running guest is refused it, and one that is defined with it does not start",
                "virsh net-list --all shows those that there are; or define it first: virsh net-define FILE",
                "network",
            )
        elif live and not connection.has_network(name, active=True):
            yield Finding(
                "G317",
                Severity.ERROR,
                f"the network {quoted(name)} is not started",
                "libvirt plugs a NIC into a running guest on an active network only",
                f"Start it: virsh net-start {name}; or say --config",
                "network",
            )


def _seen(domain: Domain, nic: Nic, others: Iterable[Link]) -> Iterator[Step]:
    """A look at the NIC's link; `others` were there before, and have its MAC or one that a tap cannot tell from it."""
    match nic.attachment:
        case Direct() | Bridge() as attachment:
            yield _port(domain, nic, attachment, others)


def _port(domain: Domain, nic: Nic, attachment: Direct | Bridge, others: Iterable[Link] = ()) -> VerifyPort:
    running = domain.state is State.RUNNING
    return VerifyPort(domain.name, nic.mac or "", attachment, running, tuple(link.index for link in others))
