"""Change a NIC in place by the narrowest call there is, and see that libvirt did what it said."""

from __future__ import annotations

from collections.abc import Mapping

from vmnet.errors import NotRolledBack, VmnetError
from vmnet.guest.connection import Handle
from vmnet.guest.editing import FieldChange, Update, field_changes
from vmnet.guest.kinds import Target
from vmnet.guest.model import Document
from vmnet.guest.networks import by_network, to_update
from vmnet.guest.observe import read_back
from vmnet.guest.planner import describe
from vmnet.nic import xml
from vmnet.nic.compound import RATES
from vmnet.nic.model import Nic


def update(handle: Handle, step: Update) -> Nic:
    """Do one update; the NIC as libvirt has it then.

    Raises:
        VmnetError: libvirt refused, or answered success and did something else (``nic-readback``).
    """
    if step.target is Target.LIVE and step.is_bandwidth_only:
        _limit(handle, step)
    elif step.target is Target.CONFIG and step.is_identity:
        redefine(handle, step.nic, step.before)
    else:
        handle.update(to_update(step.nic).xml(), step.target)
    document = read_back(handle, step.target)
    found = document.find(step.nic) if document else None
    seen = by_network(found) if found and step.nic.network is not None else found
    wrong = [c for c in field_changes(step.nic, seen) if not _is_filled_in(step, c)] if seen else []
    if found is None or wrong:
        raise VmnetError(
            "nic-readback",
            f"libvirt said that it changed {describe(step.before)} of {handle.name}, and it did not",
            why="; ".join(f"{c.field} is {c.after}, not {c.before}" for c in wrong) or "the NIC is gone",
            remedy="Say --replug to have it by unplugging and plugging in again, or --config for the next start"
            if step.target is Target.LIVE
            else f"Leave {', '.join(c.field for c in wrong) or 'it'} as it was, or choose another model or attachment",
        )
    return found


def redefine(handle: Handle, nic: Nic, before: Nic, place: int | None = None) -> None:
    """Define the domain again with a NIC in another state, in its place: libvirt's calls for a device find it by that.

    Taken out and added again it would be the last NIC. And a definition that loses its only boot order is given a
    `<boot>` in `<os>`, beside which libvirt takes no device with an order (9.0).

    Args:
        handle: The domain.
        nic: The NIC as it is to be.
        before: The NIC as the definition has it.
        place: Its number among the NICs where the definition has lost it; None where it has to be there.

    Raises:
        VmnetError: libvirt refused; ``nic-gone``: the NIC was to be there.
    """
    document = Document.parse(handle.definition())
    if place is None and document.find(before) is None:
        raise VmnetError(
            "nic-gone", f"{describe(before)} is no longer in the definition of {handle.name}",
            remedy="Run the command again to plan with what is there now",
        )  # fmt: skip
    root = document.with_nic(nic, before, place).root
    if nic.boot_order is not None:
        for boot in root.findall("os/boot"):  # libvirt's own, since the NIC had gone or lost its order
            xml.remove(boot)
    handle.define(xml.verbatim(root))


def _is_filled_in(step: Update, change: FieldChange) -> bool:
    """Whether libvirt chose a value where the wish leaves it open: a model that is unset, the id of an OVS port."""
    return change.before is None and change.after != step.before.get(change.field)


def _limit(handle: Handle, step: Update) -> None:
    """Limit the NIC; where the kernel cannot, take away the half that libvirt leaves there, which throttles the guest.

    libvirt 9.0 makes the qdiscs one by one and keeps those before the one that failed, of either direction.
    """
    link = step.before.target or step.before.mac or ""  # another NIC may have its MAC, and libvirt takes the first
    try:
        handle.limit(link, _limits({change.field: change.after for change in step.changes}))
    except VmnetError as error:
        try:
            handle.limit(link, _limits({"inbound": step.before.inbound, "outbound": step.before.outbound}))
        except VmnetError as again:
            raise NotRolledBack(
                error.code,
                f"{error.what}, and what it left of a limit could not be taken away",
                why=f"{error.why}; then {again.why}",
                remedy=f"See it with: tc qdisc show dev {step.before.target}",
            ) from error
        raise


def _limits(directions: Mapping[str, str | None]) -> dict[str, int]:
    """The rates of each direction as libvirt takes them; an average of 0 takes the limit away."""
    return {
        f"{direction}.{name}": int(rate)
        for direction, rates in directions.items()
        for name, rate in zip(RATES, (rates or "0").split(","), strict=False)
        if rate
    }
