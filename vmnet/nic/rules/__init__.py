"""Semantic rules: what libvirt refuses late, drops in silence, or does otherwise than expected.

A rule is a function with a code; its docstring says what libvirt does, and since or until which version it is known.
It knows nothing of where it is shown. Each that is of the lab's libvirt is proved there, by
`tests/e2e/test_claims.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmnet.findings import Finding
from vmnet.nic.model import Nic
from vmnet.nic.rules import attachments, devices, domains, drivers, elements
from vmnet.nic.rules.table import DOMAIN_RULES, RULES, Definition, Remark, Rule
from vmnet.nic.version import Version
from vmnet.nic.xml import Element

__all__ = ["DOMAIN_RULES", "RULES", "Definition", "Remark", "Rule", "check", "check_domain"]

_TABLES = (attachments, devices, domains, drivers, elements)
"""Importing them is what fills the table."""


def check(nic: Nic, libvirt: Version | None = None) -> list[Finding]:
    """What the rules have to say of one NIC.

    Args:
        nic: The NIC.
        libvirt: The daemon's version; None for what holds on the newest known.
    """
    return [
        rule.finding(remark)
        for rule in RULES
        if rule.holds_on(libvirt)
        for remark in rule.check(nic, libvirt)
    ]  # fmt: skip


def check_domain(root: Element, nics: Sequence[Nic], libvirt: Version | None = None) -> list[tuple[int, Finding]]:
    """What the rules have to say of a domain's NICs together, each finding with the number of its NIC, from 1.

    Args:
        root: The `<domain>`.
        nics: Its NICs, in its order.
        libvirt: As for `check`.
    """
    definition = Definition(root, tuple(nics))
    return [
        (number, rule.finding(remark))
        for rule in DOMAIN_RULES
        if rule.holds_on(libvirt)
        for number, remark in rule.check(definition)
    ]
