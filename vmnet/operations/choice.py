"""Which domains a command is about, and which NIC of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from vmnet.errors import UsageError, VmnetError
from vmnet.guest.connection import Connection, Handle
from vmnet.guest.kinds import Scope
from vmnet.guest.model import Domain, GuestNic
from vmnet.guest.observe import observe
from vmnet.guest.planner import documents
from vmnet.guest.selector import select
from vmnet.values import dataclass

One = TypeVar("One", Handle, Domain)
Seen = TypeVar("Seen")

_OF_ONE_NIC = ("mac", "target")
"""Fields whose value no two NICs can have."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The domains that a command is about.

    One that is named must be there and have what the command wants of it; one that a pattern finds is passed over where
    it has not.

    Args:
        names: Names, UUIDs or ids.
        patterns: What names may look like, in a shell's way: ``ci-*``.
        every: Whether it is all there are.

    Raises:
        UsageError: ``no-domain-said``: none of these.
    """

    names: Sequence[str] = ()
    patterns: Sequence[str] = ()
    every: bool = False

    def __post_init__(self) -> None:
        if not (self.names or self.patterns or self.every):
            raise UsageError(
                "no-domain-said", "no domain is named",
                remedy="Name one or several before anything else, or say --match PATTERN or --all",
            )  # fmt: skip

    def of(self, connection: Connection) -> Chosen:
        """The domains, each once.

        Raises:
            VmnetError: ``domain-unknown``; ``no-domain-matches``.
        """
        named = {handle.uuid: handle for handle in map(connection.domain, self.names)}
        found = {handle.uuid: handle for handle in self._matching(connection)}
        if not named and not found:
            wanted = " or ".join(map(repr, self.patterns))
            raise VmnetError(
                "no-domain-matches", f"no domain matches {wanted}" if wanted else "there is no domain",
                remedy="virsh list --all shows the domains that there are",
            )  # fmt: skip
        return Chosen(tuple({**found, **named}.values()), frozenset(named))

    def _matching(self, connection: Connection) -> Iterator[Handle]:
        if not (self.patterns or self.every):
            return
        from fnmatch import fnmatchcase  # of use to the few that match

        for seen in connection.domains():
            if self.every or any(fnmatchcase(seen.handle.name, pattern) for pattern in self.patterns):
                yield seen.handle


@dataclass(frozen=True, slots=True)
class Chosen:
    """Domains that were found.

    Args:
        handles: The domains.
        named: UUIDs of those that were named.
    """

    handles: tuple[Handle, ...]
    named: frozenset[str]

    @property
    def uuids(self) -> list[str]:
        """Their UUIDs."""
        return [handle.uuid for handle in self.handles]

    def can_have(self, wished: Mapping[str, Any]) -> None:
        """Raise `UsageError` ``one-for-many`` where a value is to be that of several domains' NICs, and cannot be."""
        if len(self.handles) > 1 and (only := [name for name in _OF_ONE_NIC if wished.get(name) is not None]):
            raise UsageError(
                "one-for-many", f"--{only[0]} is for one NIC, and {len(self.handles)} domains are meant",
                why="no two NICs can have the same",
                remedy=f"Leave --{only[0]} out, or name one domain",
            )  # fmt: skip

    def observed(self, scope: Scope | None, known: Iterable[Domain] = ()) -> list[Domain]:
        """Those with a document in scope, as they are now.

        Args:
            scope: The documents that are to be changed; None for any.
            known: Domains that were observed just now.
        """
        just = {domain.uuid: domain for domain in known}
        seen = self._each(self.handles, lambda handle: just.get(handle.uuid) or observe(handle), "domain-gone")
        return [d for d in seen if d.uuid in self.named or any(True for _ in documents(d, scope))]

    def nics(self, domains: Iterable[Domain], nic: str) -> list[tuple[Domain, GuestNic]]:
        """Of each domain the NIC that a person means.

        Args:
            domains: The domains.
            nic: What `select` takes.

        Raises:
            VmnetError: ``nic-ambiguous``; ``nic-unknown``: one that was named has no such NIC, or nobody has.
        """
        found = self._each(domains, lambda domain: (domain, select(domain, nic)), "nic-unknown")
        if not found:
            raise VmnetError(
                "nic-unknown", f"no domain has a NIC {nic!r}",
                why=f"{len(self.handles)} were looked at",
                remedy="vmnet list shows the NICs that there are",
            )  # fmt: skip
        return found

    def without(self, domains: Iterable[Domain]) -> tuple[str, ...]:
        """Names of the domains that are not among these."""
        among = {domain.uuid for domain in domains}
        return tuple(handle.name for handle in self.handles if handle.uuid not in among)

    def _each(self, ones: Iterable[One], look: Callable[[One], Seen], passed_over: str) -> list[Seen]:
        """What is seen of each; `passed_over` is the failure that is none where a domain was not named."""
        seen: list[Seen] = []
        wrong: list[VmnetError] = []
        for one in ones:
            try:
                seen.append(look(one))
            except VmnetError as error:
                if one.uuid in self.named or error.code != passed_over:
                    wrong.append(error)
        if not wrong:
            return seen
        if len(wrong) == 1:
            raise wrong[0]
        raise VmnetError(
            wrong[0].code, f"{len(wrong)} of {len(self.handles)} domains cannot be taken so",
            why="; ".join(error.what + (f": {error.why}" if error.why else "") for error in wrong),
            remedy=wrong[0].remedy,
        )  # fmt: skip
