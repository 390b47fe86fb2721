"""Check the NICs of a document that somebody else wrote: no libvirt, no host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vmnet.errors import VmnetError
from vmnet.findings import Finding
from vmnet.nic import rules, schema, xml
from vmnet.nic.model import Nic
from vmnet.nic.version import Version
from vmnet.values import dataclass

MOST_NICS = 256
"""More than any machine type of QEMU has slots for; a document with more is not looked at."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding and where it is.

    Args:
        finding: What was found.
        nic: The NIC's number in the document, from 1.
        line: The line in the document.
    """

    finding: Finding
    nic: int
    line: int | None

    def document(self) -> dict[str, Any]:
        """The finding as a JSON-able mapping with stable keys."""
        return {"nic": self.nic, "line": self.line, **self.finding.document()}


@dataclass(frozen=True, slots=True)
class Checked:
    """A document, and what schema and rules have to say of it."""

    nics: int
    found: tuple[Found, ...]

    @property
    def has_errors(self) -> bool:
        """Whether libvirt or the kernel would refuse a NIC, or lose what must not be lost."""
        return any(one.finding.is_error for one in self.found)

    def document(self) -> dict[str, Any]:
        """The result as a JSON-able mapping with stable keys."""
        return {"nics": self.nics, "valid": not self.has_errors, "findings": [one.document() for one in self.found]}


def check(text: bytes, libvirt: Version | None = None) -> Checked:
    """What schema and rules have to say of a domain's NICs, or of one `<interface>`.

    Args:
        text: The document.
        libvirt: The daemon's version that it is meant for; None for the newest known.

    Raises:
        VmnetError: ``xml-invalid``; ``xml-unknown``: it is neither; ``nics-too-many``.
    """
    root = xml.parse(text)
    match root.tag:
        case "interface":
            elements = [root]
        case "domain":
            elements = list(root.iterfind("devices/interface"))
        case tag:
            raise VmnetError(
                "xml-unknown",
                f"the document is {xml.quoted(str(tag))}, neither a <domain> nor an <interface>",
                remedy="Give what virsh dumpxml prints, or one <interface> of it",
            )
    if len(elements) > MOST_NICS:
        raise VmnetError(
            "nics-too-many",
            f"the document has {len(elements)} NICs, and no more than {MOST_NICS} are looked at",
            why="no machine has that many slots",
        )
    nics = [Nic(element) for element in elements]
    found = list(_alone(nics, libvirt))
    if root.tag == "domain":
        together = rules.check_domain(root, nics, libvirt)
        found += [Found(finding, number, nics[number - 1].line(finding.field)) for number, finding in together]
    return Checked(len(nics), tuple(sorted(found, key=lambda one: (one.nic, one.line or 0, one.finding.code))))


def _alone(nics: list[Nic], libvirt: Version | None) -> Iterator[Found]:
    for number, nic in enumerate(nics, 1):
        yield from (Found(finding, number, line) for finding, line in schema.located(nic))
        yield from (Found(finding, number, nic.line(finding.field)) for finding in rules.check(nic, libvirt))
