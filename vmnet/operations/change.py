"""What every changing operation shares: how it is to be carried out, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from vmnet.change.plan import Plan, Step
from vmnet.values import dataclass

if TYPE_CHECKING:
    from vmnet.guest.connection import Connection
    from vmnet.guest.editing import FieldChange
    from vmnet.guest.model import Domain
    from vmnet.nic.model import Nic

UNPLUG_SECONDS = 30.0
"""How long a guest may take to let go of a NIC."""


@dataclass(frozen=True, slots=True)
class Run:
    """How to carry out a plan.

    Args:
        dry: Only plan.
        weighed: Told what each field takes, by the domain's name, before anything is refused.
        planned: Told the plan, once nothing refuses it, before it is carried out.
        progress: Told each step before it is done.
        waiting: Told who holds what is to be changed, where another vmnet has to be waited for.
        unplug_seconds: How long a guest may take to let go of a NIC.
    """

    dry: bool = False
    weighed: Callable[[Mapping[str, Sequence[FieldChange]]], None] = lambda _: None
    planned: Callable[[Plan], None] = lambda _: None
    progress: Callable[[Step], None] = lambda _: None
    waiting: Callable[[str], None] = lambda _: None
    unplug_seconds: float = UNPLUG_SECONDS

    def alone_with(
        self, *, domains: Iterable[str] = (), links: Iterable[str | None] = ()
    ) -> AbstractContextManager[None]:
        """Keep other vmnets from changing the same domains and links, from before they are looked at until all is done.

        Domains are to be taken before links, by everybody, so that no two wait for each other.

        Args:
            domains: Their UUIDs.
            links: Their names; None is passed over.

        Raises:
            VmnetError: ``locked``: another vmnet holds one, and does not let go in time.
        """
        if self.dry:
            return nullcontext()
        from vmnet.change.locks import locked

        names = [*(f"domain {uuid}" for uuid in domains), *(f"link {name}" for name in links if name)]
        return locked(names, waiting=self.waiting)


@dataclass(frozen=True, slots=True)
class Changed:
    """A NIC that an operation was about.

    Args:
        domain: Its domain's name.
        nic: The NIC as it is now, or would be.
        documents: Which of ``live`` and ``config`` change; none where it was as wished already.
        fields: What changes in it, and what that takes, where fields are what is asked for.
    """

    domain: str
    nic: Nic
    documents: tuple[str, ...]
    fields: tuple[FieldChange, ...] = ()

    def document(self) -> dict[str, Any]:
        """The NIC as a JSON-able mapping with stable keys."""
        about = {"documents": list(self.documents), "changes": [field.document() for field in self.fields]}
        return {"domain": self.domain, **about, **self.nic.values()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation planned, and whether it did it.

    Args:
        plan: The plan; without steps there was nothing to do.
        applied: Whether it was carried out.
        nics: The NICs it was about.
        passed_over: Names of domains that a pattern found, and that have not what was asked for.
    """

    plan: Plan
    applied: bool
    nics: tuple[Changed, ...]
    passed_over: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The outcome as a JSON-able mapping with stable keys."""
        return {
            "applied": self.applied,
            "nics": [nic.document() for nic in self.nics],
            "passed_over": list(self.passed_over),
            **self.plan.document(),
        }


def carry_out(
    plan: Plan, connection: Connection, run: Run, domains: Iterable[Domain]
) -> Mapping[str, Sequence[Nic]] | None:
    """Refuse, show or apply a plan.

    Args:
        plan: The plan.
        connection: A connection that may write.
        run: How to carry it out.
        domains: Those that it was made from, just observed.

    Returns:
        The NICs that its steps left in each domain, by its UUID, in their order and as libvirt has them; None where it
        was not applied.

    Raises:
        Refused: The plan has error findings, dry run or not.
        VmnetError: As `execute`.
    """
    plan.refuse()
    run.planned(plan)
    if run.dry or not plan.steps:
        return None
    from vmnet.change.executor import execute
    from vmnet.guest.applier import GuestWing
    from vmnet.host.applier import HostWing

    guest = GuestWing(connection, run.unplug_seconds, domains)
    execute(plan, {"host": HostWing(), "guest": guest}, run.progress)
    return guest.left
