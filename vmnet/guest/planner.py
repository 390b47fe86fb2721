"""Plan what is to be done to a guest's NICs: pure, from observed values to findings and steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from functools import partial
from typing import Any, ClassVar

from vmnet.change.plan import Plan, Step
from vmnet.findings import Finding, Severity
from vmnet.guest.kinds import Scope, State, Target
from vmnet.guest.model import Domain, GuestNic
from vmnet.nic.attachment import Direct
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic
from vmnet.nic.types import RESERVED_TARGETS
from vmnet.values import dataclass

_error = partial(Finding, severity=Severity.ERROR)


_SCOPES = {Target.LIVE: Scope.LIVE, Target.CONFIG: Scope.CONFIG}


@dataclass(frozen=True, slots=True)
class GuestStep(Step):
    """A step of the guest wing: what is done to one NIC in one document of a domain.

    Args:
        domain: The domain's name, for people.
        uuid: Its UUID, by which it is found.
        nic: The NIC: as it is to be, or as it was found.
        target: The document.
    """

    wing: ClassVar[str] = "guest"
    domain: str
    uuid: str
    nic: Nic
    target: Target


@dataclass(frozen=True, slots=True)
class Attach(GuestStep):
    """Give a NIC to the running guest, or to the definition."""

    def summary(self) -> str:
        """What the step does."""
        verb = "Plug into" if self.target is Target.LIVE else "Add to the definition of"
        return f"{verb} {self.domain}: {describe(self.nic)}"


@dataclass(frozen=True, slots=True)
class Detach(GuestStep):
    """Take a NIC from the running guest, or from the definition.

    Args:
        then: What is to be plugged in in its place.
    """

    then: Nic | None = None

    def summary(self) -> str:
        """What the step does."""
        verb = "Unplug from" if self.target is Target.LIVE else "Take out of the definition of"
        return f"{verb} {self.domain}: {describe(self.nic)}"


def plan_attach(domain: Domain, nic: Nic, scope: Scope | None) -> Plan:
    """Give a NIC, with one alias and one PCI address, to each document in scope that does not have it already.

    Args:
        domain: The domain.
        nic: The NIC, its MAC address decided.
        scope: The documents; None for live if it runs and config if it is persistent.
    """
    return Plan.of(_attach_parts(domain, nic, scope))


def plan_detach(domain: Domain, pair: GuestNic, scope: Scope | None) -> Plan:
    """Take a NIC from each document in scope that has it, the running guest first: it may refuse.

    Args:
        domain: The domain.
        pair: The NIC in both documents.
        scope: The documents; None for all that have it.
    """
    return Plan.of(_detach_parts(domain, pair, scope))


def unlike(wished: Nic, found: Nic) -> dict[str, tuple[Any, Any]]:
    """The fields in which a NIC is not as it was wished: the wish, and what was found.

    What the wish leaves open is libvirt's to fill in, and names of libvirt's own giving are not kept.
    """
    differing = {name: (value, found.get(name)) for name, value in wished.values().items() if found.get(name) != value}
    if found.target is None:  # a definition has none of libvirt's
        differing.pop("target", None)
    for name in named_by_libvirt(wished):
        differing.pop(name, None)
    if wished.network is not None and found.text("source/@network") == wished.network:
        differing.pop("network", None)  # a running guest's NIC shows as what the network resolved to
    return differing


def named_by_libvirt(nic: Nic) -> set[str]:
    """The names of a NIC that libvirt gave it, of its target and alias: plugged in again, it gets others.

    libvirt takes an alias from nobody that does not begin with ``ua-`` (3.9.0).
    """
    target = ["target"] if nic.target and nic.target.startswith(RESERVED_TARGETS) else []
    alias = ["alias"] if nic.alias and not nic.alias.startswith("ua-") else []
    return {*target, *alias}


def describe(nic: Nic) -> str:
    """A NIC in a few words: ``NIC 52:54:00:00:00:01, macvtap on eth0 (bridge)``."""
    match nic.attachment:
        case Direct(dev, mode):
            where = f"macvtap on {dev} ({mode.value})"
        case other:
            where = " ".join([type(other).__name__.lower(), *filter(None, astuple(other))])
    return f"NIC {nic.mac}, {where}"


def _attach_parts(domain: Domain, nic: Nic, scope: Scope | None) -> Iterator[Step | Finding]:
    yield from missing_documents(domain, scope)
    found = {target: document.find(nic) for target, document in documents(domain, scope)}
    for target, there in found.items():
        if there and (differing := unlike(nic, there)):
            yield _another_has_it(domain, target, nic, differing)
    wanting = [target for target, there in found.items() if there is None]
    known = next((pair.nic for pair in domain.nics if pair.mac == nic.mac), None)
    placed = _placed(domain, nic, wanting, known)
    if placed.address is None and domain.has_pci and Target.LIVE in wanting:
        yield _no_slot(domain)
    for target in wanting:
        yield from place_is_free(domain, target, placed)
        yield Attach(domain.name, domain.uuid, placed, target)


def _detach_parts(domain: Domain, pair: GuestNic, scope: Scope | None) -> Iterator[Step | Finding]:
    yield from missing_documents(domain, scope)
    for target, _ in documents(domain, scope):
        if nic := pair.on(target):
            if target is Target.LIVE and domain.state is State.PAUSED:
                yield paused(domain)
            yield Detach(domain.name, domain.uuid, nic, target)


def documents(domain: Domain, scope: Scope | None) -> Iterator[tuple[Target, Any]]:
    """The documents of the domain that are in scope, the live one first."""
    for target, flag in _SCOPES.items():
        if (scope is None or flag in scope) and (document := domain.document(target)):
            yield target, document


def _placed(domain: Domain, nic: Nic, targets: Sequence[Target], known: Nic | None) -> Nic:
    """The NIC with an alias and a PCI address that hold in every document; those it has elsewhere come first."""
    changes: dict[str, str] = {}
    alias = known and known.alias
    if nic.alias is None:
        # Only an alias with this prefix is a user's own; libvirt's net0 is not taken over (libvirt 3.9.0).
        own = alias if alias and alias.startswith("ua-") else f"ua-{(nic.mac or '').replace(':', '')}"
        changes["alias"] = own
    if nic.address is None and domain.has_pci:
        free = (known and known.address) or domain.free_address(targets)
        # Without a free one, libvirt adds a port to a definition by itself.
        changes |= {"address": free} if free else {}
    return rewrite(nic, changes)


def missing_documents(domain: Domain, scope: Scope | None) -> Iterator[Finding]:
    """The documents that were asked for and are not there."""
    if scope and Scope.LIVE in scope and domain.live is None:
        yield _error(
            "G301",
            what=f"{domain.name} does not run ({domain.state.value}): it has nothing live to change",
            remedy="Start it, or leave --live out",
        )
    if scope and Scope.CONFIG in scope and domain.config is None:
        yield _error(
            "G302",
            what=f"{domain.name} is transient: it has no definition to change",
            remedy="Leave --config out, or define it first (virsh define)",
        )


def place_is_free(domain: Domain, target: Target, nic: Nic, leaving: Nic | None = None) -> Iterator[Finding]:
    """That a NIC can have its PCI address in one of the documents.

    Args:
        domain: The domain.
        target: The document.
        nic: The NIC as it is to be.
        leaving: The NIC as the document has it now.
    """
    document = domain.document(target)
    if document and leaving:
        document = document.without_nic(leaving)
    if document and (why := document.cannot_place(nic, running=target is Target.LIVE)):
        yield _error(
            "G318",
            what=f"{domain.name} cannot have a NIC at the PCI address {nic.address}",
            why=why,
            remedy="Choose another address, or leave it out and vmnet finds one",
            field="address",
        )


def paused(domain: Domain) -> Finding:
    """That the domain cannot let go of a NIC now."""
    return Finding(
        "G307",
        Severity.WARNING,
        f"{domain.name} is paused: it cannot let go of a NIC before it runs again",
        remedy="Resume it (virsh resume), or say --config and the NIC is gone at the next start",
    )


def _another_has_it(domain: Domain, target: Target, nic: Nic, differing: dict[str, tuple[Any, Any]]) -> Finding:
    where = "running guest" if target is Target.LIVE else "definition"
    return _error(
        "G303",
        what=f"the {where} of {domain.name} has another NIC with the MAC address {nic.mac}",
        why="; ".join(f"its {name} is {found}, not {wish}" for name, (wish, found) in differing.items()),
        remedy="Detach that one first, or give the new NIC another MAC address",
    )


def _no_slot(domain: Domain) -> Finding:
    return _error(
        "G304",
        what=f"{domain.name} has no free PCI slot for another NIC",
        why="A running guest takes a NIC only where its machine has an empty hotplug port",
        remedy="Detach something; or say --config, and the NIC comes at the next start; or add a "
        "<controller type='pci' model='pcie-root-port'/> while it is off",
    )
