"""Values of several attributes, written as one text: ``1000,2000,512``, ``10,20-29``, ``IP=10.0.0.2,PORT=22``.

Each has a check for what a person says, in its normal form, and a place that spreads it over the XML and gathers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from lxml import etree

from vmnet.errors import UsageError
from vmnet.nic import xml
from vmnet.nic.places import Place
from vmnet.nic.types import ALIAS, Text, matching

RATES = ("average", "peak", "burst", "floor")


class Rates(Place):
    """One direction of `<bandwidth>`: average, peak, burst, floor; what is left out at the end is not set."""

    def __init__(self, direction: str) -> None:
        self.direction = f"bandwidth/{direction}"
        self.paths = tuple(f"{self.direction}/@{name}" for name in RATES)

    def read(self, nic: xml.Element) -> str | None:
        """The rates in their order, a comma between two."""
        return ",".join(xml.get(nic, path) or "" for path in self.paths).rstrip(",") or None

    def write(self, nic: xml.Element, text: str) -> None:
        """Set the rates that are said, and remove the others."""
        said = list(zip_longest(self.paths, text.split(","), fillvalue=""))
        for path, number in said:
            if number:
                xml.put(nic, path, number)
        for path, number in said:
            if not number:
                xml.drop(nic, path)

    def clear(self, nic: xml.Element) -> None:
        """Remove the direction's rates."""
        for path in self.paths:
            xml.drop(nic, path)


def rates(text: str, names: tuple[str, ...]) -> str:
    """Check rates in KiB/s, and a burst in KiB: ``average[,peak[,burst[,floor]]]``.

    Args:
        text: The rates.
        names: Those that can be said.

    Raises:
        ValueError: With the reason.
    """
    numbers = text.split(",")
    if len(numbers) > len(names):
        raise ValueError(f"it has {len(numbers)} numbers, and there are {len(names)}: {', '.join(names)}")
    for number in filter(None, numbers):
        if not re.fullmatch("[1-9][0-9]{0,9}", number) or int(number) >= 2**32:
            raise ValueError(f"{xml.quoted(number)} is no whole number from 1 to {2**32 - 1}")
    said = {name for name, number in zip(names, numbers, strict=False) if number}
    if not said & {"average", "floor"}:
        raise ValueError(f"it says no {' and no '.join(n for n in names if n in ('average', 'floor'))}")
    if said & {"peak", "burst"} and "average" not in said:
        raise ValueError("peak and burst mean nothing without an average")
    return text.rstrip(",")


class Tag(Place):
    """The one VLAN of a NIC that is in no trunk."""

    paths = ("vlan/tag/@id",)
    slot = "vlan"

    def read(self, nic: xml.Element) -> str | None:
        """The id; None on a trunk."""
        found = _tags(nic)
        return found[0].get("id") if len(found) == 1 and not _is_trunk(nic) else None

    def write(self, nic: xml.Element, text: str) -> None:
        """Make it the only VLAN."""
        _write_tags(nic, [text])
        xml.drop(nic, "vlan/@trunk")
        xml.drop(nic, "vlan/tag/@nativeMode")

    def clear(self, nic: xml.Element) -> None:
        """Remove it; a trunk stays."""
        if self.read(nic) is not None:
            _drop_tags(nic)


class Tags(Place):
    """The VLANs of a trunk, as ascending ranges."""

    paths = ("vlan/@trunk", "vlan/tag/@id")
    slot = "vlan"

    def read(self, nic: xml.Element) -> str | None:
        """The ids; None on a NIC that is in one VLAN only."""
        ids = [tag.get("id", "") for tag in _tags(nic)]
        if not ids or not _is_trunk(nic):
            return None
        return ranges(map(int, ids)) if all(re.fullmatch("[0-9]{1,4}", i) for i in ids) else ",".join(ids)

    def write(self, nic: xml.Element, text: str) -> None:
        """Make these the VLANs; the native one stays native if it is among them."""
        _write_tags(nic, list(map(str, numbers(text))))
        xml.put(nic, "vlan/@trunk", "yes")

    def clear(self, nic: xml.Element) -> None:
        """Remove the trunk, its native VLAN with it; a single VLAN stays."""
        if self.read(nic) is not None:
            _drop_tags(nic)
            xml.drop(nic, "vlan/@trunk")


class Native(Place):
    """The native VLAN of a trunk: ``10``, which goes untagged, or ``10:tagged``."""

    paths = ("vlan/tag/@nativeMode",)

    def read(self, nic: xml.Element) -> str | None:
        """The id, and how it goes if not untagged."""
        for tag in _tags(nic):
            if mode := tag.get("nativeMode"):
                return str(tag.get("id")) if mode == "untagged" else f"{tag.get('id')}:{mode}"
        return None

    def write(self, nic: xml.Element, text: str) -> None:
        """Mark one VLAN of the trunk."""
        vlan, _, mode = text.partition(":")
        tag = next((tag for tag in _tags(nic) if tag.get("id") == vlan and _is_trunk(nic)), None)
        if tag is None:
            raise UsageError(
                "native-not-in-trunk",
                f"VLAN {vlan} cannot be native: it is not in the trunk",
                remedy="Say --trunk with all VLANs, the native one among them",
            )
        self.clear(nic)
        tag.set("nativeMode", mode or "untagged")

    def clear(self, nic: xml.Element) -> None:
        """No VLAN is native; the trunk stays one."""
        for tag in _tags(nic):
            if tag.get("nativeMode"):
                del tag.attrib["nativeMode"]
                xml.put(nic, "vlan/@trunk", "yes")


class FilterParams(Place):
    """The parameters of the `<filterref>`."""

    paths = ("filterref/parameter/@name", "filterref/parameter/@value")

    def read(self, nic: xml.Element) -> str | None:
        """The parameters in their order."""
        found = nic.iterfind("filterref/parameter")
        return ",".join(f"{p.get('name', '')}={p.get('value', '')}" for p in found) or None

    def write(self, nic: xml.Element, text: str) -> None:
        """Make these the parameters."""
        filterref = xml.child(nic, "filterref")
        for parameter in filterref.findall("parameter"):
            xml.remove(parameter)
        for pair in text.split(","):
            name, value = pair.split("=")
            etree.SubElement(filterref, "parameter", {"name": name, "value": value})

    def clear(self, nic: xml.Element) -> None:
        """Remove every parameter."""
        for parameter in nic.findall("filterref/parameter"):
            filterref = parameter.getparent()
            assert filterref is not None
            xml.remove(parameter)
            xml.prune(nic, filterref)


class Teaming(Place):
    """`<teaming>`: ``persistent``, or ``transient:ALIAS`` of the persistent one."""

    paths = ("teaming/@type", "teaming/@persistent")

    def read(self, nic: xml.Element) -> str | None:
        """The half, and the alias of the other if it says one."""
        return ":".join(filter(None, (xml.get(nic, path) for path in self.paths))) or None

    def write(self, nic: xml.Element, text: str) -> None:
        """Set the half, and the alias of the other."""
        kind, _, alias = text.partition(":")
        xml.put(nic, "teaming/@type", kind)
        if alias:
            xml.put(nic, "teaming/@persistent", alias)
        else:
            xml.drop(nic, "teaming/@persistent")

    def clear(self, nic: xml.Element) -> None:
        """Take it out of the pair."""
        for path in self.paths:
            xml.drop(nic, path)


def numbers(text: str) -> list[int]:
    """The VLANs of a list such as ``10,20-29``, ascending.

    Raises:
        ValueError: With the reason.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch("([0-9]{1,4})(?:-([0-9]{1,4}))?", part)
        if not match:
            raise ValueError(f"{xml.quoted(part)} is no VLAN and no range of VLANs")
        low, high = int(match[1]), int(match[2] or match[1])
        if not 1 <= low <= high <= 4094:
            raise ValueError(f"{part} is not within 1 and 4094")
        found += range(low, high + 1)
    if len(set(found)) < len(found):
        raise ValueError("it has a VLAN twice")
    return sorted(found)


def ranges(ids: Iterable[int]) -> str:
    """VLANs as the shortest list: ``10,20-29``."""
    return ",".join(f"{low}-{high}" if low < high else str(low) for low, high in _runs(sorted(ids)))


def _runs(ids: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for i in range(1, len(ids) + 1):
        if i == len(ids) or ids[i] != ids[i - 1] + 1:
            yield ids[start], ids[i - 1]
            start = i


def _tag(text: str) -> str:
    found = numbers(text)
    if len(found) > 1 or "-" in text:
        raise ValueError("it is a list, and a list is a trunk")
    return str(found[0])


def _native(text: str) -> str:
    vlan, colon, mode = text.partition(":")
    if colon and mode not in ("tagged", "untagged"):
        raise ValueError("after the colon comes tagged or untagged")
    return _tag(vlan) + (":tagged" if mode == "tagged" else "")


def _teaming(text: str) -> str:
    kind, colon, alias = text.partition(":")
    if kind not in ("persistent", "transient") or bool(colon) != (kind == "transient"):
        raise ValueError("it is neither persistent nor transient:ALIAS")
    return f"{kind}:{ALIAS.parse(alias)}" if colon else kind


def _is_trunk(nic: xml.Element) -> bool:
    """Whether the VLANs go tagged: libvirt says so itself where there are several, or a native one."""
    found = _tags(nic)
    return xml.get(nic, "vlan/@trunk") == "yes" or len(found) > 1 or any(tag.get("nativeMode") for tag in found)


def _tags(nic: xml.Element) -> list[xml.Element]:
    vlan = xml.first(nic, "vlan")
    return [] if vlan is None else list(vlan.iterchildren("tag"))


def _write_tags(nic: xml.Element, ids: list[str]) -> None:
    """Make these the tags, in this order; one that is there stays as it is."""
    vlan = xml.child(nic, "vlan")
    there = {tag.get("id"): tag for tag in vlan.findall("tag")}
    for tag in vlan.findall("tag"):
        xml.remove(tag)
        tag.tail = None
    vlan[0:0] = [there[i] if i in there else etree.Element("tag", id=i) for i in ids]


def _drop_tags(nic: xml.Element) -> None:
    for tag in _tags(nic):
        xml.remove(tag)
    vlan = nic.find("vlan")
    if vlan is not None and not len(vlan) and not (set(vlan.keys()) - {"trunk"}):
        xml.remove(vlan)


_NUMBER = "[1-9][0-9]{0,9}"
INBOUND = Text(
    "RATES",
    "average[,peak[,burst[,floor]]] in KiB/s, the burst in KiB",
    lambda text: rates(text, RATES),
    f"({_NUMBER})?(,({_NUMBER})?){{0,3}}",
)
OUTBOUND = Text(
    "RATES",
    "average[,peak[,burst]] in KiB/s, the burst in KiB",
    lambda text: rates(text, RATES[:3]),
    f"{_NUMBER}(,({_NUMBER})?){{0,2}}",
)
TAG = Text("VLAN", "a VLAN from 1 to 4094", _tag, "[0-9]{1,4}")
TAGS = Text(
    "VLANS",
    "VLANs from 1 to 4094, such as 10,20-29",
    lambda text: ranges(numbers(text)),
    "[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*",
)
NATIVE = Text("VLAN", "a VLAN of the trunk, with :tagged if it is to go tagged", _native, "[0-9]{1,4}(:(un)?tagged)?")
TEAMING = Text("HALF", "persistent, or transient:ALIAS", _teaming, "persistent|transient:ua-[a-zA-Z0-9_.-]+")
FILTER_PARAMS = matching(
    "NAME=VALUE,...",
    "parameters such as IP=10.0.0.2, a comma between two",
    "[a-zA-Z0-9_]+=[a-zA-Z0-9_.:]+(,[a-zA-Z0-9_]+=[a-zA-Z0-9_.:]+)*",
    "each is NAME=VALUE; values have letters, digits, '_', '.' and ':'",
)
