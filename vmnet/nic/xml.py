"""XML as untrusted data: strict parsing, one way to print it, and values addressed by a path.

A path names one value below an element: ``mtu/@size`` is an attribute, ``tune/sndbuf`` a text.
"""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from functools import cache
from typing import TypeAlias

from lxml import etree

from vmnet.errors import VmnetError

Element: TypeAlias = etree._Element

LIMIT_BYTES = 1 << 20
"""Far above any real domain XML, far below what could hurt."""

LIMIT_TAGS = 20_000
"""Of a document: likewise."""

ORDER = (
    *("mac", "source", "vlan", "virtualport", "bandwidth", "port", "ip", "route", "script", "downscript"),
    *("backenddomain", "target", "host", "guest", "model", "driver", "backend", "filterref", "link", "tune"),
    *("coalesce", "mtu", "teaming", "portForward", "boot", "alias", "rom", "acpi", "address"),
)
"""The children of `<interface>`, and `<host>` of `<driver>`, in libvirt's order (its schema takes any order)."""

RANK: dict[object, int] = {tag: rank for rank, tag in enumerate(ORDER)}
LAST = len(ORDER)


def parse(text: str | bytes, *, limit: int = LIMIT_BYTES) -> Element:
    """Parse one XML document, strictly: no DOCTYPE, no entities, no file or network address opened.

    Args:
        text: The document; a `str` is taken as it is, whatever encoding it declares.
        limit: The largest document that is looked at, bytes.

    Raises:
        VmnetError: ``xml-invalid``.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        if len(data) > limit:
            raise _invalid(f"it is longer than {limit} bytes, and no more are read")
        if data.count(b"<") > LIMIT_TAGS:
            raise _invalid(f"it has more than {LIMIT_TAGS} tags")
        encoding = "utf-8" if isinstance(text, str) else None
        if encoding is None or b"<!DOCTYPE" in data:  # in an unknown encoding it may look like anything
            _refuse_doctype(data, encoding)
        return etree.fromstring(data, _parser(encoding))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _invalid(escaped(str(error))) from error


def serialize(element: Element) -> str:
    """The element as indented text, ending in a newline."""
    alone = detached(element)
    etree.indent(alone, space="  ")
    return etree.tostring(alone, encoding="unicode") + "\n"


def verbatim(element: Element) -> str:
    """The element as text, its white space as it is: in a domain's metadata it is somebody's."""
    return etree.tostring(element, encoding="unicode", with_tail=False)


def canonical(element: Element) -> bytes:
    """The element in a form that is equal for equal XML: C14N 2.0 with comments, space around text aside."""
    # C14N 1.0 in libxml2 fails on relative namespace names; lxml-stubs 0.5 do not know of 2.0.
    text: bytes = etree.tostring(  # type: ignore[call-overload]
        detached(element), method="c14n2", with_comments=True, strip_text=True
    )
    return text


def detached(element: Element) -> Element:
    """A copy of the element that is a document of its own."""
    alone = copy(element)  # lxml's copy is deep, and does without what deepcopy remembers
    alone.tail = None
    return alone


def get(element: Element, path: str) -> str | None:
    """The value at `path`, or None where there is none."""
    parents, attribute = _split(path)
    node = _find(element, parents)
    if node is None:
        return None
    return node.get(attribute) if attribute else (node.text or "").strip() or None


def put(element: Element, path: str, text: str) -> None:
    """Write the value at `path`; elements that are missing are made, where libvirt would print them."""
    parents, attribute = _split(path)
    node = element
    for tag in parents:
        node = child(node, tag)
    if attribute:
        node.set(attribute, text)
    else:
        node.text = text


def child(parent: Element, tag: str) -> Element:
    """The first child of that name; made, where libvirt would print it, if there is none."""
    found = first(parent, tag)
    return _insert(parent, tag) if found is None else found


def first(node: Element, tag: str) -> Element | None:
    """The first child of that name, if there is one, in half the time that `find` takes."""
    return next(node.iterchildren(tag), None)


def drop(element: Element, path: str) -> None:
    """Remove the value at `path`, if there is one, and the elements that this leaves empty."""
    if get(element, path) is None:
        return
    parents, attribute = _split(path)
    node = _find(element, parents)
    assert node is not None  # get() found a value in it
    if attribute:
        del node.attrib[attribute]
    else:
        node.text = None
    prune(element, node)


def prune(element: Element, node: Element) -> None:
    """Remove a node that says nothing, and those above it that this leaves empty, up to `element`."""
    while node is not element and _is_empty(node):
        parent = node.getparent()
        assert parent is not None  # it lies below `element`
        remove(node)
        node = parent


def remove(node: Element) -> None:
    """Take one node out of its parent; the text that follows it stays."""
    parent = node.getparent()
    assert parent is not None, "a root cannot be removed"
    if node.tail and node.tail.strip():
        before = node.getprevious()
        if before is None:
            parent.text = (parent.text or "") + node.tail
        else:
            before.tail = (before.tail or "") + node.tail
    parent.remove(node)


def line(element: Element, path: str = "@") -> int | None:
    """The line, in its document, of the deepest element on the way to `path`; None if it came of no document."""
    node = element
    for tag in _split(path)[0]:
        found = first(node, tag)
        if found is None:
            break
        node = found
    line: int | None = node.sourceline  # type: ignore[assignment]  # lxml-stubs 0.5 leave its type open
    return line


def quoted(text: str, longest: int = 60) -> str:
    """Untrusted text in quotes, safe for a terminal: controls and bidi marks escaped, shortened when long."""
    return repr(text) if len(text) <= longest else repr(text[:longest]) + "..."


def escaped(text: str) -> str:
    """Untrusted text without quotes, controls and bidi marks escaped."""
    return repr(text)[1:-1]


def _invalid(why: str) -> VmnetError:
    return VmnetError("xml-invalid", "the XML cannot be read", why=why)


class _Prolog:
    """What comes before the root: libxml2 tells of a DOCTYPE before it opens anything that is named there.

    By the time there is a tree, it has: libxml2 2.14 opens the external subset whatever lxml's parser is told.
    """

    def doctype(self, *_: object) -> None:
        raise _invalid("it has a DOCTYPE, which libvirt's XML never needs")

    def start(self, *_: object) -> None:
        raise StopIteration

    def close(self) -> None:
        """As lxml wants it."""


def _refuse_doctype(data: bytes, encoding: str | None) -> None:
    with suppress(StopIteration):
        etree.fromstring(data, _parser(encoding, prolog=True))


@cache
def _parser(encoding: str | None, prolog: bool = False) -> etree.XMLParser:
    return etree.XMLParser(
        target=_Prolog() if prolog else None,  # type: ignore[arg-type]  # lxml asks for two methods of it, its stubs for all
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        collect_ids=False,
    )


@cache
def _split(path: str) -> tuple[tuple[str, ...], str | None]:
    """A path as the elements on the way and the attribute at its end, if it ends in one."""
    *parents, last = path.split("/")
    return (tuple(parents), last[1:]) if last.startswith("@") else ((*parents, last), None)


def _find(element: Element, parents: tuple[str, ...]) -> Element | None:
    node = element
    for tag in parents:
        for first in node.iterchildren(tag):  # in half the time that `find` takes
            node = first
            break
        else:
            return None
    return node


def _insert(parent: Element, tag: str) -> Element:
    """Make a child after the last of those that libvirt prints before it."""
    # Comments and unknown elements count as last: one often speaks of what follows it.
    before = [i for i, child in enumerate(parent) if RANK.get(child.tag, LAST) <= RANK.get(tag, LAST)]
    child = etree.Element(tag)
    parent.insert(before[-1] + 1 if before else 0, child)
    return child


def _is_empty(node: Element) -> bool:
    return not len(node) and not node.attrib and not (node.text or "").strip()
