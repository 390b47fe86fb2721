"""Plan a change of a NIC's fields: what takes effect now, what at the next start, what needs a replug. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any

from vmnet.change.plan import Plan, Step
from vmnet.errors import UsageError
from vmnet.findings import Finding, Severity
from vmnet.guest.kinds import Scope, State, Target
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.networks import by_network, is_tap
from vmnet.guest.planner import Attach, Detach, GuestStep, documents, missing_documents, place_is_free
from vmnet.nic.attachment import Direct, MacvtapMode
from vmnet.nic.field import Live, shown
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.nic.version import Version
from vmnet.values import dataclass

_error = partial(Finding, severity=Severity.ERROR)

_BANDWIDTH = frozenset({"inbound", "outbound"})
"""Fields with a call of their own, which leaves the rest of the NIC alone."""

_BRIDGES = frozenset({"bridge", "network"})
"""Fields that say, of a tap, which bridge it is a port of."""

_OF_NETWORK = frozenset({"network", "portgroup"})
"""Fields that a running guest's NIC shows as what they came to."""

IDENTITY = frozenset({"mac", "alias", "address"})
"""Fields by which libvirt finds a NIC: an update cannot change them, not even in a definition (9.0 to 12.8)."""


class Verdict(StrEnum):
    """What it takes for a running guest to get a field's new value."""

    LIVE = "live"
    NETLINK = "live, by the kernel"
    REPLUG = "needs a replug"
    NEXT_START = "next start"
    IMPOSSIBLE = "impossible"
    """Only at the next start, of which nothing that is to be changed knows."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that is to change: from, to, and how the running guest gets it."""

    field: str
    before: Any
    after: Any
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.field} {shown(self.before)} -> {shown(self.after)}"

    def document(self) -> dict[str, Any]:
        """The change as a JSON-able mapping with stable keys."""
        return {"field": self.field, "from": self.before, "to": self.after, "verdict": self.verdict.value}


@dataclass(frozen=True, slots=True)
class Update(GuestStep):
    """Change fields of a NIC in one document, and leave the NIC where it is.

    Args:
        before: The NIC as it was.
        changes: What changes.
        onto: The bridge that the running guest's tap moves to, if it moves.
    """

    before: Nic
    changes: tuple[FieldChange, ...]
    onto: str | None = None

    @property
    def is_bandwidth_only(self) -> bool:
        """Whether the call for bandwidth alone is enough."""
        return all(change.field in _BANDWIDTH for change in self.changes)

    @property
    def is_identity(self) -> bool:
        """Whether something changes by which libvirt would find the NIC for an update."""
        return any(change.field in IDENTITY for change in self.changes)

    def summary(self) -> str:
        """What the step does."""
        where = f"Change NIC {self.before.mac} of {self.domain}"
        definition = " in its definition" if self.target is Target.CONFIG else ""
        return f"{where}{definition}: {', '.join(map(str, self.changes))}"

    def document(self) -> dict[str, Any]:
        """The step as a JSON-able mapping, with the fields that it changes."""
        return {**GuestStep.document(self), "fields": [change.field for change in self.changes]}


def among_taps(changes: tuple[FieldChange, ...]) -> tuple[FieldChange, ...]:
    """The changes of a running tap that stays one: libvirt moves it to another bridge, a network's or not (9.0)."""
    if not any(change.field in _BRIDGES for change in changes):
        return changes
    return tuple(
        replace(c, verdict=Verdict.LIVE) if c.field in _BRIDGES or c.field == "portgroup" else c for c in changes
    )


def field_changes(nic: Nic, changed: Nic, libvirt: Version | None = None) -> tuple[FieldChange, ...]:
    """The fields in which two states of a NIC differ, each with what it takes on a running guest.

    Args:
        nic: The one state.
        changed: The other.
        libvirt: The daemon's version; None for the newest known.
    """
    old, new = nic.values(), changed.values()
    names = [name for name in Nic.FIELDS if old.get(name) != new.get(name)]
    return tuple(
        FieldChange(name, old.get(name), new.get(name), _verdict(name, nic, changed, libvirt)) for name in names
    )


def plan_edit(
    domain: Domain,
    pair: GuestNic,
    wished: Mapping[str, Any],
    scope: Scope | None,
    *,
    running: Nic | None,
    replug: bool,
    libvirt: Version | None = None,
    onto: str | None = None,
) -> Plan:
    """Change fields of a NIC in each document in scope; the running guest first.

    Args:
        domain: The domain.
        pair: The NIC in both documents, as libvirt has it.
        wished: New values by field name, None to unset.
        scope: The documents; None for all that have the NIC.
        running: The running guest's NIC as the kernel has it: libvirt does not hear of a mode set by netlink.
        replug: Whether the NIC may be unplugged and plugged in again where nothing less will do.
        libvirt: The daemon's version; None for the newest known.
        onto: The bridge of the libvirt network that is wished, as `networks.bridge_of`.

    Raises:
        UsageError: ``field-required``: the MAC address was to be unset.
    """
    return Plan.of(_edit_parts(domain, pair, wished, scope, running, replug, libvirt, onto))


def weigh(
    domain: Domain,
    pair: GuestNic,
    wished: Mapping[str, Any],
    scope: Scope | None,
    *,
    running: Nic | None,
    libvirt: Version | None = None,
    onto: str | None = None,
) -> tuple[FieldChange, ...]:
    """The fields that change, each once, with what the running guest's change takes where it is to have one.

    Args:
        domain: The domain.
        pair: The NIC in both documents.
        wished: New values by field name, None to unset.
        scope: The documents; None for all that have the NIC.
        running: The running guest's NIC as the kernel has it.
        libvirt: The daemon's version; None for the newest known.
        onto: The bridge of the libvirt network that is wished, as `networks.bridge_of`.
    """
    found: dict[str, FieldChange] = {}
    for target, changes in _changes(domain, pair, wished, scope, running, libvirt, onto):
        for change in changes:
            later = change if target is Target.LIVE else replace(change, verdict=Verdict.NEXT_START)
            found.setdefault(change.field, later)
    return tuple(found[name] for name in Nic.FIELDS if name in found)


def meant(nic: Nic, wished: Mapping[str, Any]) -> Nic:
    """The NIC that the wish is about: by its libvirt network, where the wish is about that."""
    return by_network(nic) if wished.keys() & _OF_NETWORK else nic


def kernel_mode(running: Nic | None, wished: Mapping[str, Any], scope: Scope | None) -> MacvtapMode | None:
    """The macvtap mode that the kernel is to give the running guest's NIC, because libvirt cannot; None for none."""
    if running is None or (scope is not None and Scope.LIVE not in scope):
        return None
    running = meant(running, wished)
    changed = rewrite(running, wished)
    modes = [c for c in field_changes(running, changed) if c.verdict is Verdict.NETLINK]
    return changed.mode if modes else None


def _edit_parts(
    domain: Domain,
    pair: GuestNic,
    wished: Mapping[str, Any],
    scope: Scope | None,
    running: Nic | None,
    replug: bool,
    libvirt: Version | None,
    onto: str | None,
) -> Iterator[Step | Finding]:
    if wished.get("mac", "") is None:
        raise UsageError("field-required", "a NIC always has a MAC address", remedy="Give it another one: --mac")
    yield from missing_documents(domain, scope)
    for target, changes in _changes(domain, pair, wished, scope, running, libvirt, onto):
        nic = pair.on(target)
        assert nic is not None, "what changes is there"
        if any(change.field == "address" for change in changes):
            yield from place_is_free(domain, target, rewrite(nic, {"address": wished["address"]}), nic)
        if target is Target.LIVE:
            yield from _live(domain, nic, meant(running or nic, wished), wished, changes, replug, onto)
        else:
            changed = rewrite(meant(nic, wished), wished)
            yield Update(domain.name, domain.uuid, changed, Target.CONFIG, nic, changes)


def _changes(
    domain: Domain,
    pair: GuestNic,
    wished: Mapping[str, Any],
    scope: Scope | None,
    running: Nic | None,
    libvirt: Version | None,
    onto: str | None,
) -> Iterator[tuple[Target, tuple[FieldChange, ...]]]:
    """The documents in scope that change, the live one first, and in which fields."""
    in_scope = [target for target, _ in documents(domain, scope)]
    for target in in_scope:
        if nic := pair.on(target):
            now = meant(running or nic if target is Target.LIVE else nic, wished)
            changed = rewrite(now, wished)
            changes = field_changes(now, changed, libvirt)
            if target is Target.LIVE and is_tap(nic) and (onto or changed.bridge):
                changes = among_taps(changes)
            if Target.CONFIG not in in_scope or pair.config is None:
                changes = tuple(map(_or_never, changes))
            if changes:
                yield target, changes


def _or_never(change: FieldChange) -> FieldChange:
    return replace(change, verdict=Verdict.IMPOSSIBLE) if change.verdict is Verdict.NEXT_START else change


def _live(
    domain: Domain,
    nic: Nic,
    now: Nic,
    wished: Mapping[str, Any],
    changes: tuple[FieldChange, ...],
    replug: bool,
    onto: str | None,
) -> Iterator[Step | Finding]:
    """What the running guest's NIC takes: libvirt is given its own state of it, a replug what the kernel has."""
    if never := [c for c in changes if c.verdict is Verdict.IMPOSSIBLE]:
        yield _only_at_start(domain, nic, never)
    heavy = [c for c in changes if c.verdict is Verdict.REPLUG]
    if heavy and replug:
        waiting = {change.field for change in changes if change.verdict is Verdict.NEXT_START}
        plugged = rewrite(by_network(now), {name: value for name, value in wished.items() if name not in waiting})
        if domain.state is State.PAUSED:
            yield _cannot_replug(domain)
        yield Detach(domain.name, domain.uuid, nic, Target.LIVE, then=plugged)
        yield Attach(domain.name, domain.uuid, plugged, Target.LIVE)
        return
    if heavy:
        yield _needs_replug(domain, nic, heavy)
    light = tuple(c for c in changes if c.verdict is Verdict.LIVE)
    narrow = tuple(c for c in light if c.field in _BANDWIDTH)
    wide = tuple(c for c in light if c.field not in _BANDWIDTH)
    # Each starts from what the one before it left: an update clears what its XML leaves out.
    for part in filter(None, (narrow, wide)):
        changed = rewrite(nic, {c.field: c.after for c in part if c.field in wished})  # the others follow from these
        moves = any(c.field in _BRIDGES for c in part)
        yield Update(
            domain.name, domain.uuid, changed, Target.LIVE, nic, part, (changed.bridge or onto) if moves else None
        )
        nic = changed


def _verdict(name: str, nic: Nic, changed: Nic, libvirt: Version | None) -> Verdict:
    match name, nic.attachment, changed.attachment:
        case "mode", Direct(dev, old), Direct(other, new) if dev == other and MacvtapMode.PASSTHROUGH not in (old, new):
            # libvirt refuses it; the kernel takes it on a macvtap in use, but not from or to passthrough.
            return Verdict.NETLINK
        case "bridge" | "network", _, _:  # but of a tap, see `among_taps`
            return Verdict.REPLUG
    match Nic.FIELDS[name].live(libvirt):
        case Live.LIVE:
            return Verdict.LIVE
        case Live.NEXT_BOOT:
            return Verdict.NEXT_START
    return Verdict.REPLUG


def _needs_replug(domain: Domain, nic: Nic, changes: list[FieldChange]) -> Finding:
    return _error(
        "G311",
        what=f"the running {domain.name} cannot get this without losing NIC {nic.mac} for a moment: "
        f"{', '.join(map(str, changes))}",
        why="Neither libvirt nor the kernel changes it under a guest",
        remedy="Say --replug and the guest sees the NIC go and come; or --config and it has it at the next start",
        field=changes[0].field,
    )


def _cannot_replug(domain: Domain) -> Finding:
    return _error(
        "G315",
        what=f"{domain.name} is paused: it cannot let go of a NIC, to get it again, before it runs",
        why="The request to let go cannot be taken back: the NIC would go when the guest runs again, and not come",
        remedy="Resume it first (virsh resume); or say --config and it has it at the next start",
    )


def _only_at_start(domain: Domain, nic: Nic, changes: list[FieldChange]) -> Finding:
    if domain.config is None:
        remedy = "Change it where the domain is made: it is transient"
    elif domain.config.find(nic) is None:
        remedy = "Add the NIC to the definition first, which has not got it: vmnet attach --config"
    else:
        remedy = "Leave --live out"
    return _error(
        "G312",
        what=f"the running {domain.name} cannot get this before its next start: {', '.join(map(str, changes))}",
        remedy=remedy,
        field=changes[0].field,
    )
