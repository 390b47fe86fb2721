"""Semantic rules of a NIC: what libvirt refuses late, drops in silence, or does otherwise than expected.

A rule is a function with a code; its docstring names its source. It knows nothing of where it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from vmnet.change.plan import Finding, Severity
from vmnet.nic.attachment import Direct, MacvtapMode
from vmnet.nic.model import Nic
from vmnet.nic.types import RESERVED_TARGETS
from vmnet.nic.xml import quoted


@dataclass(frozen=True, slots=True)
class Remark:
    """What a rule has to say; with the rule's code and severity it is a `Finding`."""

    what: str
    why: str = ""
    remedy: str = ""
    field: str | None = None


Check: TypeAlias = Callable[[Nic], Iterator[Remark]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in the table."""

    code: str
    severity: Severity
    check: Check


RULES: list[Rule] = []
"""All rules, by code."""


def check(nic: Nic) -> list[Finding]:
    """What all rules have to say of a NIC."""
    return [
        Finding(rule.code, rule.severity, remark.what, remark.why, remark.remedy, remark.field)
        for rule in RULES
        for remark in rule.check(nic)
    ]


def rule(code: str, severity: Severity) -> Callable[[Check], Check]:
    """Put a function into the table of rules."""

    def enter(check: Check) -> Check:
        RULES.append(Rule(code, severity, check))
        return check

    return enter


@rule("N101", Severity.ERROR)
def field_does_not_fit(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses mtu, coalesce and isolated on type='direct' (9.0 to 12.8, CONFIG_UNSUPPORTED)."""
    attachment = nic.attachment
    misfits = [name for name in nic.values() if not Nic.FIELDS[name].fits & attachment.fits]
    if isinstance(attachment, Direct):
        misfits += ["coalesce"] if nic.text("coalesce/rx/frames/@max") is not None else []
        misfits += ["isolated"] if nic.text("port/@isolated") == "yes" else []
    kind = type(attachment).__name__.lower()
    for name in misfits:
        yield Remark(
            f"{name} does not go with a {kind} NIC",
            f"libvirt refuses it on type='{kind}'",
            f"Leave {name} out, or choose another attachment",
            name,
        )


@rule("N102", Severity.WARNING)
def queues_need_virtio(nic: Nic) -> Iterator[Remark]:
    """libvirt drops driver/@queues in silence unless the model is one of virtio's (since 1.0.6)."""
    if nic.queues is not None and not (nic.model or "").startswith("virtio"):
        has = f"the model is {quoted(nic.model)}" if nic.model else "no model is given"
        yield Remark(
            "the queues will be lost",
            f"only virtio has more than one, {has}, and libvirt drops them without a word",
            "Say --model virtio, or leave the queues out",
            "queues",
        )


@rule("N103", Severity.NOTE)
def target_name_is_reserved(nic: Nic) -> Iterator[Remark]:
    """libvirt strips a target name with one of its prefixes from the persistent definition (9.0 to 12.8)."""
    if nic.target and nic.target.startswith(RESERVED_TARGETS):
        yield Remark(
            f"the target name {quoted(nic.target)} will not last",
            f"libvirt gives names in {', '.join(RESERVED_TARGETS)} itself, anew at each start",
            "Choose another name if it is to stay",
            "target",
        )


@rule("N104", Severity.ERROR)
def filter_is_lost_on_direct(nic: Nic) -> Iterator[Remark]:
    """libvirt drops <filterref> on type='direct' without a word (9.0 to 11.3), and anti-spoofing with it."""
    name = nic.text("filterref/@filter")
    if name is not None and isinstance(nic.attachment, Direct):
        yield Remark(
            f"the filter {quoted(name)} would be lost",
            "macvtap passes by nwfilter, and libvirt drops it without a word",
            "Keep the NIC on a bridge, or take the filter off it knowingly",
            "filter",
        )


@rule("N105", Severity.NOTE)
def vepa_needs_a_hairpin_switch(nic: Nic) -> Iterator[Remark]:
    """In vepa, libvirt's default where no mode is written, the switch must send frames back (802.1Qbg)."""
    match nic.attachment:
        case Direct(mode=MacvtapMode.VEPA):
            silent = "it is libvirt's default where no mode is written; " if nic.text("source/@mode") is None else ""
            yield Remark(
                "in mode vepa guests of one uplink reach each other only through a switch with hairpin",
                f"{silent}frames between them leave the host, and most switches do not send them back",
                "Say --mode bridge unless the switch does",
                "mode",
            )


@rule("N106", Severity.NOTE)
def passthrough_takes_the_uplink(nic: Nic) -> Iterator[Remark]:
    """A macvtap in mode passthrough is alone on its lower device, and sets its MAC (kernel macvlan)."""
    match nic.attachment:
        case Direct(dev, MacvtapMode.PASSTHROUGH):
            yield Remark(
                f"the NIC takes {quoted(dev)} for itself",
                "a macvtap in mode passthrough must be alone on its uplink, which gets the guest's MAC",
                "Say --mode bridge if others are to use the uplink too",
                "mode",
            )
