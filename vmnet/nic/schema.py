"""Check one `<interface>` against the RELAX NG schema of the libvirt that is installed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import chain, combinations
from pathlib import Path
from typing import TypeAlias

from lxml import etree

from vmnet.findings import Finding, Severity
from vmnet.nic import xml
from vmnet.nic.model import Nic

DIRECTORIES = (Path("/usr/share/libvirt/schemas"), Path("/usr/local/share/libvirt/schemas"))

SEARCHED = 200
"""An `<interface>` of more elements and attributes is not searched for what is wrong: none that works has as many."""

MOST_WRONG = 3
"""Parts of one child that are found to be wrong together; a child with more of them is named as a whole."""

TRIED = 400
"""Sets of such parts that are tried for one NIC: a document may have many."""

_Part: TypeAlias = tuple[xml.Element, str | None]
"""An element, or the attribute of that name in it."""

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
    tries = iter(range(TRIED))
    bare = xml.detached(element)
    children = [child for child in bare if isinstance(child.tag, str) and child.tag != "source"]
    for child in children:
        xml.remove(child)
    if not schema.validate(bare):
        source = bare.find("source")
        has = "no <source>" if source is None else _tag(source)
        whole = f"type {xml.quoted(xml.get(bare, '@type') or '')} with {has}", xml.line(bare, "source")
        yield from _fewest(schema, bare, bare, tries) or [whole]
        if not schema.validate(bare):
            return
    for child in children:
        bare.append(child)
        if not schema.validate(bare):
            yield from _fewest(schema, bare, child, tries) or [(_tag(child), xml.line(child))]
        bare.remove(child)


def _fewest(
    schema: etree.RelaxNG, root: xml.Element, suspect: xml.Element, tries: Iterator[int]
) -> list[tuple[str, int | None]]:
    """The fewest attributes and elements below `suspect` without which `root` is valid, with their lines; none if many.

    Those that are found are left out of it; each try is taken from `tries`.
    """
    nodes = [node for node in suspect.iter() if isinstance(node.tag, str)]
    attributes: list[_Part] = [(node, name) for node in nodes for name in map(str, node.keys())]
    parts = [*attributes, *((node, None) for node in reversed(nodes[1:]))]
    sets = chain.from_iterable(combinations(parts, number) for number in range(1, MOST_WRONG + 1))
    told = {part: _told(part) for part in parts}
    for _, few in zip(tries, sets, strict=False):
        back = [_taken(part) for part in few]
        if schema.validate(root):
            return [told[part] for part in few]
        for put_back in reversed(back):
            put_back()
    return []


def _taken(part: _Part) -> Callable[[], None]:
    """Take a part out; what puts it back."""
    node, name = part
    if name is not None:
        value = str(node.get(name))
        del node.attrib[name]
        return partial(node.set, name, value)
    parent = node.getparent()
    assert parent is not None  # it lies below a suspect
    place = parent.index(node)
    parent.remove(node)
    return partial(parent.insert, place, node)


def _told(part: _Part) -> tuple[str, int | None]:
    """A part as it would be written, and its line."""
    node, name = part
    if name is None:
        return _tag(node), xml.line(node)
    value = xml.quoted(str(node.get(name)))
    return f"{xml.escaped(name)}={value} in <{xml.escaped(str(node.tag))}>", xml.line(node)


def _tag(node: xml.Element) -> str:
    """An element's own tag, as it would be written."""
    alone = xml.detached(node)
    alone.text = None
    alone[:] = []
    return xml.escaped(etree.tostring(alone, encoding="unicode"))
