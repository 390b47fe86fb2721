"""The table of rules, and how a function gets into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeAlias, TypeVar

from vmnet.findings import Finding, Severity
from vmnet.nic.model import Nic
from vmnet.nic.version import Version
from vmnet.nic.xml import Element
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """What a rule has to say; with the rule's code and severity it is a `Finding`."""

    what: str
    why: str = ""
    remedy: str = ""
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A domain, as the rules on NICs that are together see it."""

    root: Element
    nics: tuple[Nic, ...]


Check: TypeAlias = Callable[[Nic], Iterator[Remark]]
VersionedCheck: TypeAlias = Callable[[Nic, Version | None], Iterator[Remark]]
DomainCheck: TypeAlias = Callable[[Definition], Iterator[tuple[int, Remark]]]
C = TypeVar("C", bound=Callable[..., Iterator[object]])


@dataclass(frozen=True, slots=True)
class Rule(Generic[C]):
    """A rule in the table.

    Args:
        code: Its stable code.
        severity: Whether it refuses a plan.
        check: What it has to say.
        name: Its name, for the reference.
        claim: What libvirt does, and how that is known.
        since: The first libvirt of which that is true; None if of all known.
        until: The first of which it is not any more; None if it is true of the newest known.
    """

    code: str
    severity: Severity
    check: C
    name: str
    claim: str
    since: Version | None = None
    until: Version | None = None

    def holds_on(self, libvirt: Version | None) -> bool:
        """Whether the claim is true of a libvirt; None for the newest known."""
        if libvirt is None:
            return self.until is None
        return not (self.since and libvirt < self.since) and not (self.until and libvirt >= self.until)

    def finding(self, remark: Remark) -> Finding:
        """The remark as a finding of this rule."""
        return Finding(self.code, self.severity, remark.what, remark.why, remark.remedy, remark.field)


RULES: list[Rule[VersionedCheck]] = []
"""The rules of one NIC, by code."""

DOMAIN_RULES: list[Rule[DomainCheck]] = []
"""The rules of a domain's NICs together, by code."""


def rule(
    code: str, severity: Severity, *, since: str | None = None, until: str | None = None
) -> Callable[[Check], Check]:
    """Put a function into the table of rules of one NIC."""

    def enter(check: Check) -> Check:
        _enter(RULES, code, severity, check, lambda nic, _: check(nic), since, until)
        return check

    return enter


def versioned_rule(code: str, severity: Severity) -> Callable[[VersionedCheck], VersionedCheck]:
    """Put a function that asks for the version itself into the table of rules of one NIC."""

    def enter(check: VersionedCheck) -> VersionedCheck:
        _enter(RULES, code, severity, check, check)
        return check

    return enter


def domain_rule(code: str, severity: Severity) -> Callable[[DomainCheck], DomainCheck]:
    """Put a function into the table of rules of a domain's NICs."""

    def enter(check: DomainCheck) -> DomainCheck:
        _enter(DOMAIN_RULES, code, severity, check, check)
        return check

    return enter


def _enter(
    table: list[Rule[C]],
    code: str,
    severity: Severity,
    function: Callable[..., object],
    check: C,
    since: str | None = None,
    until: str | None = None,
) -> None:
    table.append(
        Rule(
            code,
            severity,
            check,
            function.__name__,
            " ".join((function.__doc__ or "").split()),
            Version.parse(since) if since else None,
            Version.parse(until) if until else None,
        )
    )
    table.sort(key=lambda rule: rule.code)
