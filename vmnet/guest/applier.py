"""Change guests, read back what became of it, and put them back from what they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from vmnet.change.plan import Step
from vmnet.errors import NotRolledBack, VmnetError, as_one, in_one
from vmnet.guest.connection import Connection, Handle
from vmnet.guest.editing import FieldChange, Update, Verdict, among_taps, field_changes
from vmnet.guest.kinds import Target, Unplug
from vmnet.guest.model import Document, Domain, same
from vmnet.guest.networks import by_network, is_tap, to_update
from vmnet.guest.observe import observe, read_back
from vmnet.guest.planner import Attach, Detach, GuestStep, describe, named_by_libvirt, unlike
from vmnet.guest.updating import redefine, update
from vmnet.nic.field import shown
from vmnet.nic.model import Nic
from vmnet.values import dataclass


@dataclass(frozen=True)
class _Before:
    """A domain as it was, and the NICs that the plan touches in each document, by all that they can be found as there.

    A NIC whose identity changes is to be found as it was, or as it is to be.
    """

    domain: Domain
    nics: Mapping[Target, Sequence[tuple[Nic, ...]]]


class GuestWing:
    """The guest's half of a plan, over one connection.

    Args:
        connection: A connection that may write.
        unplug_seconds: How long a guest may take to let go of a NIC.
        domains: Those that the plan was made from, just observed: images are taken from them.
    """

    def __init__(self, connection: Connection, unplug_seconds: float, domains: Iterable[Domain] = ()) -> None:
        self._connection = connection
        self._unplug_seconds = unplug_seconds
        self._domains = {domain.uuid: domain for domain in domains}
        self._handles: dict[str, Handle] = {}
        self._asked_to_go: set[tuple[str, str]] = set()
        self.left: dict[str, list[Nic]] = {}
        """The NICs that its steps left in each domain, by its UUID, in their order and as libvirt has them."""

    def image(self, steps: Sequence[Step]) -> list[_Before]:
        """Both documents of every domain that the steps name."""
        touched: dict[str, dict[Target, list[tuple[Nic, ...]]]] = {}
        for step in steps:
            assert isinstance(step, GuestStep)
            known = touched.setdefault(step.uuid, {}).setdefault(step.target, [])
            states = (step.before, step.nic) if isinstance(step, Update) else (step.nic,)
            known += [] if any(same(states[-1], nic) for nics in known for nic in nics) else [states]
        return [_Before(self._domains.get(uuid) or observe(self._handle(uuid)), nics) for uuid, nics in touched.items()]

    def apply(self, step: Step) -> None:
        """Attach, change or detach, and read it back.

        Raises:
            VmnetError: libvirt refused, or did not do what it was told.
            NotRolledBack: ``unplug-pending``: the guest has not let go, and may still.
        """
        match step:
            case Attach():
                self._leave(step.uuid, self._attach(self._handle(step.uuid), step.nic, step.target))
            case Update():
                self._leave(step.uuid, update(self._handle(step.uuid), step))
            case Detach():
                self._detach(self._handle(step.uuid), step.nic, step.target, step.then)
            case _:
                raise AssertionError(f"no step of the guest wing: {step}")

    def restore(self, image: list[_Before]) -> list[str]:
        """Give back what is missing, take away what was not there; only the NICs that the plan names.

        Raises:
            VmnetError: A domain could not be put back; the others were all the same.
        """
        done: list[str] = []
        failed: list[VmnetError] = []
        for before in image:
            try:
                done += self._restore_domain(before)
            except VmnetError as error:
                failed.append(_remaining(before, error))
        if failed:
            raise as_one(failed, f"{len(failed)} domains could not be put back")
        return done

    def _leave(self, uuid: str, nic: Nic) -> None:
        self.left.setdefault(uuid, []).append(nic)

    def _restore_domain(self, before: _Before) -> Iterator[str]:
        handle = self._handle(before.domain.uuid)
        now = observe(handle)
        for target, nics in sorted(before.nics.items()):
            was, is_ = before.domain.document(target), now.document(target)
            states = [(was and _found(was, nic), is_ and _found(is_, nic)) for nic in nics]
            for old, new in sorted(states, key=lambda state: state[0] is not None):  # what was not there goes first
                where = f"{handle.name} ({target.name.lower()})"
                if new and not old:
                    self._detach(handle, new, target)
                    yield f"{describe(new)} is off {where} again"
                elif old and not new and is_ and not self._is_going(before.domain, old, target):
                    assert was is not None, "it has the old one"
                    self._plug_back(handle, old, target, was.nics.index(old))
                    yield f"{describe(old)} is back on {where}"
                elif old and new and (changes := self._to_go_back(new, old)):
                    self._change_back(handle, new, old, target, changes)
                    yield f"{describe(old)} is as it was on {where}"

    def _to_go_back(self, now: Nic, old: Nic) -> tuple[FieldChange, ...]:
        """What has to change in a NIC for it to be as it was, its network held against its network."""
        changes = field_changes(by_network(now), by_network(old), self._connection.libvirt())
        if is_tap(now) and is_tap(old):
            changes = among_taps(changes)
        never_mind = named_by_libvirt(now) & named_by_libvirt(old)
        return tuple(change for change in changes if change.field not in never_mind)

    def _change_back(self, handle: Handle, now: Nic, old: Nic, target: Target, changes: Iterable[FieldChange]) -> None:
        if target is Target.CONFIG:
            redefine(handle, old, now)
        elif all(change.verdict is Verdict.LIVE for change in changes):
            handle.update(to_update(old).xml(), target)
        else:
            self._detach(handle, now, target)
            self._plug_back(handle, old, target)

    def _plug_back(self, handle: Handle, nic: Nic, target: Target, place: int = 0) -> None:
        """Give a NIC back: to the running guest, or to the definition at its number among the NICs."""
        nic = by_network(nic)
        try:
            if target is Target.CONFIG:
                redefine(handle, nic, nic, place)
            else:
                self._attach(handle, nic, target)
        except VmnetError as error:
            raise VmnetError(
                "nic-lost", f"{describe(nic)} could not be put back on {handle.name} ({target.name.lower()})",
                why=f"{error.what}: {error.why}",
                remedy=f"Put it back by hand: virsh attach-device {handle.name} FILE --{target.name.lower()}, with "
                f"this in FILE: {_one_line(nic)}",
            ) from error  # fmt: skip

    def _is_going(self, domain: Domain, nic: Nic, target: Target) -> bool:
        """Whether the guest was asked to let go of the NIC and had not answered: then it may go at any moment."""
        return target is Target.LIVE and (domain.uuid, nic.mac or "") in self._asked_to_go

    def _handle(self, uuid: str) -> Handle:
        if uuid not in self._handles:
            self._handles[uuid] = self._connection.again(uuid)
        return self._handles[uuid]

    def _attach(self, handle: Handle, nic: Nic, target: Target) -> Nic:
        """Attach a NIC; the NIC as libvirt has it then."""
        handle.attach(nic.xml(), target)
        document = read_back(handle, target)
        found = document.find(nic) if document else None
        if found is None:
            raise VmnetError(
                "nic-readback",
                f"{describe(nic)} is not on {handle.name} after libvirt said it was",
                why="It was taken away at once, or the domain ended",
                remedy="See vmnet list, and libvirt's log",
            )
        if differing := unlike(nic, found):
            raise VmnetError(
                "nic-readback",
                f"libvirt did not take all of {describe(nic)}",
                why="; ".join(f"{name} is {shown(has)}, not {shown(wish)}" for name, (wish, has) in differing.items()),
                remedy=f"Leave out {', '.join(differing)}, or choose another model or attachment",
            )
        return found

    def _detach(self, handle: Handle, nic: Nic, target: Target, then: Nic | None = None) -> None:
        if target is Target.CONFIG:
            handle.forget(nic.xml())
            document = read_back(handle, target)
            if document and document.find(nic):
                raise VmnetError(
                    "nic-readback", f"{describe(nic)} is still in the definition of {handle.name}",
                    why="libvirt said that it took it out",
                )  # fmt: skip
            return
        if not nic.alias:
            raise VmnetError("nic-without-alias", f"libvirt gives no alias for {describe(nic)} of {handle.name}")
        try:
            outcome, waited = handle.unplug(nic.alias, self._unplug_seconds), f"within {self._unplug_seconds:g} s"
        except KeyboardInterrupt:
            outcome, waited = Unplug.PENDING, "yet"
        match outcome:
            case Unplug.REFUSED:
                raise VmnetError(
                    "unplug-refused",
                    f"{handle.name} refused to let go of {describe(nic)}",
                    remedy="See the guest's own log, then try again; or say --config to have it gone at the next start",
                )
            case Unplug.PENDING:
                self._asked_to_go.add((handle.uuid, nic.mac or ""))
                raise NotRolledBack(
                    "unplug-pending",
                    f"{handle.name} has not let go of {describe(nic)} {waited}",
                    why="its system does not answer: it is paused, booting, halted, or knows no hotplug",
                    remedy=(
                        "The request stands and cannot be taken back: the NIC goes when the guest answers. Then plug "
                        f"it in: virsh attach-device {handle.name} FILE --live, with this in FILE: {_one_line(then)}"
                    )
                    if then
                    else "The request stands and cannot be taken back: the NIC goes when the guest answers, and "
                    "then vmnet detach takes it out of the definition too",
                )


def _remaining(before: _Before, error: VmnetError) -> VmnetError:
    """What kept a domain from being put back, with the NICs that are to be looked at and what to do with each."""
    name = before.domain.name
    doubts, away = [], []
    for target, nics in before.nics.items():
        was = before.domain.document(target)
        for states in nics:
            had = was and _found(was, states)
            doubts.append(f"{describe(states[-1])} may {'be missing or changed' if had else 'still be there'}")
            away += [] if had else [f"vmnet detach {name} {states[-1].mac}"]
    go_on = f"; and take away what is there of it: {'; '.join(dict.fromkeys(away))}" if away else ""
    return VmnetError(
        error.code,
        f"{name} could not be put back: {', '.join(dict.fromkeys(doubts))}",
        why=in_one(error),
        remedy=". ".join(filter(None, (error.remedy, f"Look at it with: vmnet list {name}{go_on}"))),
    )


def _found(document: Document, states: Iterable[Nic]) -> Nic | None:
    """The NIC in a document that is in one of these states."""
    return next(filter(None, map(document.find, states)), None)


def _one_line(nic: Nic) -> str:
    """The NIC's XML for a message."""
    return "".join(line.strip() for line in nic.xml().splitlines())
