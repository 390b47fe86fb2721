"""Check one `<interface>` against the RELAX NG schema of the libvirt that is installed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from lxml import etree

from vmnet.findings import Finding, Severity
from vmnet.nic import xml
from vmnet.nic.model import Nic

DIRECTORIES = (Path("/usr/share/libvirt/schemas"), Path("/usr/local/share/libvirt/schemas"))

SEARCHED = 200
"""An `<interface>` of more elements and attributes is not searched for what is wrong: none that works has as many."""

RNG = "http://relaxng.org/ns/structure/1.0"


def check(nic: Nic, directories: Sequence[Path] = DIRECTORIES) -> list[Finding]:
    """What libvirt's schema has to say of a NIC, as `located` without the lines."""
    return [finding for finding, _ in located(nic, directories)]


def located(nic: Nic, directories: Sequence[Path] = DIRECTORIES) -> list[tuple[Finding, int | None]]:
    """What libvirt's schema has to say of a NIC, and in which line of its document.

    Args:
        nic: The NIC.
        directories: Where to look for ``domaincommon.rng``; the first that has it counts.

    Returns:
        Error N001 for each part that the schema does not allow; note N002 where no schema is installed.
    """
    schema = next((_compiled(d / "domaincommon.rng") for d in directories if (d / "domaincommon.rng").is_file()), None)
    if schema is None:
        skipped = Finding(
            "N002",
            Severity.NOTE,
            "the XML was not checked against libvirt's schema",
            "it is not installed on this machine",
            "Install libvirt's schemas (they come with its daemon)",
        )
        return [(skipped, None)]
    element = nic.element
    if schema.validate(element):
        return []
    message = xml.escaped(schema.error_log[0].message) if len(schema.error_log) else ""
    small = sum(1 + len(node.keys()) for node in element.iter("*")) <= SEARCHED
    parts = list(_culprits(schema, element)) if small else []
    return [
        (
            Finding(
                "N001",
                Severity.ERROR,
                f"libvirt's schema does not allow {part}",
                "libvirt would refuse it, or ignore it without a word" if parts else message,
                "See <interface> in libvirt's domain XML reference",
            ),
            line,
        )
        for part, line in parts or [("this <interface>", nic.line(None))]
    ]


@cache
def _compiled(domaincommon: Path) -> etree.RelaxNG:
    """A schema whose only document is the `interface` that libvirt's domain schema defines."""
    grammar = etree.Element(f"{{{RNG}}}grammar")
    etree.SubElement(grammar, f"{{{RNG}}}include", href=domaincommon.as_uri())
    start = etree.SubElement(grammar, f"{{{RNG}}}start")
    etree.SubElement(start, f"{{{RNG}}}ref", name="interface")
    return etree.RelaxNG(grammar)


def _culprits(schema: etree.RelaxNG, element: xml.Element) -> Iterator[tuple[str, int | None]]:
    """The parts, with their lines, that make an `<interface>` invalid: found by trying each child without the others.

    libxml2's own messages on an interleave name any part but the wrong one.
    """
    bare = xml.detached(element)
    children = [child for child in bare if isinstance(child.tag, str) and child.tag != "source"]
    for child in children:
        xml.remove(child)
    if not schema.validate(bare):
        source = bare.find("source")
        has = "no <source>" if source is None else _tag(source)
        whole = f"type {xml.quoted(xml.get(bare, '@type') or '')} with {has}"
        yield _smallest(schema, bare, bare) or (whole, xml.line(bare, "source"))
        return
    for child in children:
        bare.append(child)
        if not schema.validate(bare):
            yield _smallest(schema, bare, child) or (_tag(child), xml.line(child))
        bare.remove(child)


def _smallest(schema: etree.RelaxNG, root: xml.Element, suspect: xml.Element) -> tuple[str, int | None] | None:
    """The one attribute or element below `suspect`, with its line, without which `root` is valid, if there is one."""
    nodes = [node for node in suspect.iter() if isinstance(node.tag, str)]
    for node in nodes:
        for name in map(str, node.keys()):
            value = str(node.get(name))
            del node.attrib[name]
            valid = schema.validate(root)
            node.set(name, value)
            if valid:
                part = f"{xml.escaped(name)}={xml.quoted(value)} in <{xml.escaped(str(node.tag))}>"
                return part, xml.line(node)
    for node in reversed(nodes[1:]):
        parent = node.getparent()
        assert parent is not None  # it lies below `suspect`
        place = parent.index(node)
        parent.remove(node)
        valid = schema.validate(root)
        parent.insert(place, node)
        if valid:
            return _tag(node), xml.line(node)
    return None


def _tag(node: xml.Element) -> str:
    """An element's own tag, as it would be written."""
    alone = xml.detached(node)
    alone.text = None
    alone[:] = []
    return xml.escaped(etree.tostring(alone, encoding="unicode"))
