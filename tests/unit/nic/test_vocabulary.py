"""The vocabulary against libvirt's own schema: nothing is missing, and what it can say is valid."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from vmnet.nic import schema
from vmnet.nic.excluded import EXCLUDED
from vmnet.nic.generator import rewrite
from vmnet.nic.jsonschema import schema as json_schema
from vmnet.nic.model import Nic
from vmnet.nic.types import Choice

RNG = "{http://relaxng.org/ns/structure/1.0}"
SCHEMAS = next(d for d in schema.DIRECTORIES if (d / "domaincommon.rng").is_file())
KINDS = ("direct", "bridge", "network")


class Grammar:
    """The definitions of a RELAX NG grammar and of all that it includes."""

    def __init__(self, file: Path) -> None:
        self.defines: dict[str, list[etree._Element]] = {}
        self._files: set[Path] = set()
        self._load(file)

    def _load(self, file: Path) -> None:
        if file in self._files:
            return
        self._files.add(file)
        root = etree.parse(file).getroot()
        for define in root.iter(f"{RNG}define"):
            self.defines.setdefault(define.get("name"), []).append(define)
        for include in root.iter(f"{RNG}include"):
            self._load(file.parent / include.get("href"))

    def says(self, node: etree._Element, at: str = "", within: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        """Every attribute and text below a pattern, by its path, each with a value where it has fixed ones."""
        for child in node:
            match child.tag:
                case t if t == f"{RNG}element":
                    yield from self.says(child, f"{at}/{child.get('name')}".lstrip("/"), within)
                case t if t == f"{RNG}attribute":
                    path = f"{at}/@{child.get('name')}".lstrip("/")
                    values = [v for _, v in self.says(child, path, within)]
                    yield from ((path, value) for value in values or [""])
                case t if t == f"{RNG}ref":
                    name = child.get("name")
                    if name not in within:
                        for define in self.defines[name]:
                            yield from self.says(define, at, (*within, name))
                case t if t == f"{RNG}value":
                    yield at, child.text
                case t if t in (f"{RNG}data", f"{RNG}text"):
                    yield at, ""
                case str():
                    yield from self.says(child, at, within)


@pytest.fixture(scope="module")
def allowed() -> dict[str, set[str]]:
    """What the schema allows in an `<interface>` of our kinds: values, where they are fixed, by path."""
    grammar = Grammar(SCHEMAS / "domaincommon.rng")
    [define] = grammar.defines["interface"]
    [element] = define.findall(f"{RNG}element")
    found: dict[str, set[str]] = {}
    for kind in element.findall(f"{RNG}choice/{RNG}group"):
        if kind.findtext(f"{RNG}attribute/{RNG}value") not in KINDS:
            element.find(f"{RNG}choice").remove(kind)
    for path, value in grammar.says(element):
        found.setdefault(path, set()).add(value)
    return found


OWNED = {path for field in Nic.FIELDS.values() for path in field.place.paths}


def is_excluded(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}/") for name in EXCLUDED)


def test_the_schema_is_read_to_its_leaves(allowed):
    assert {"mac/@address", "driver/host/@mrg_rxbuf", "coalesce/rx/frames/@max", "tune/sndbuf"} <= set(allowed)
    assert allowed["link/@state"] == {"up", "down"}
    assert len(allowed) > 90


def test_whatever_the_schema_allows_is_a_field_or_left_out_for_a_reason(allowed):
    assert sorted(path for path in allowed if path not in OWNED and not is_excluded(path)) == []


def test_every_field_is_in_the_schema(allowed):
    assert sorted(OWNED - set(allowed)) == []


def test_what_is_left_out_is_no_field_and_has_a_reason():
    assert all(EXCLUDED.values())
    assert {path for path in OWNED if is_excluded(path)} == {"driver/@name"}  # some of its values are left out


def test_a_field_with_a_few_values_has_those_of_the_schema(allowed):
    for field in Nic.FIELDS.values():
        values = allowed[field.place.paths[0]] - {""}
        if isinstance(field.type, Choice) and values:
            assert set(field.type.choices) == values - {"kvm", "vfio", "xen"}, field.name


NAMES = st.from_regex("[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,14}", fullmatch=True)
VLANS = st.sets(st.integers(1, 4094), min_size=1, max_size=8).map(lambda ids: ",".join(map(str, sorted(ids))))


@st.composite
def said(draw, name):
    """Something that a person may say for a field."""
    field = Nic.field(name)
    match name:
        case "direct" | "bridge":
            return draw(NAMES.filter(lambda text: text not in (".", "..")))
        case "target":
            return "t" + draw(NAMES)[:14]
        case "mac":
            return "52:54:" + draw(st.binary(min_size=4, max_size=4)).hex(":")
        case "vlan":
            return str(draw(st.integers(1, 4094)))
        case "trunk":
            return draw(VLANS)
        case "inbound" | "outbound":
            count = 4 if name == "inbound" else 3
            return ",".join(map(str, draw(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=count))))
        case "address":
            return draw(st.sampled_from(["0000:05:00.0", "ffff:ff:1f.7", "01:02.3"]))
        case "filter_params":
            return draw(st.sampled_from(["IP=10.0.0.2", "A=1,A=2", "MAC_1=52:54:00:00:00:01"]))
        case "teaming":
            return draw(st.sampled_from(["persistent", "transient:ua-other"]))
    if field.type.choices:
        return draw(st.sampled_from(field.type.choices))
    if "minimum" in field.type.json:
        return str(draw(st.integers(field.type.json["minimum"], field.type.json["maximum"])))
    return draw(st.from_regex(field.type.json["pattern"].replace("$", r"\Z"), alphabet=PRINTABLE))


PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)
OF_PORT = {
    "802.1Qbg": ["managerid", "typeid", "typeidversion", "instanceid"],
    "802.1Qbh": ["profileid"],
    "openvswitch": ["profileid", "interfaceid"],
    "midonet": ["interfaceid"],
}


@st.composite
def vocabulary_valid(draw):
    """Everything that one NIC may say, together."""
    kind = draw(st.sampled_from(KINDS))
    plain = [n for n in Nic.FIELDS if n not in (*KINDS, "native") and not n.startswith("virtualport")]
    names = draw(st.sets(st.sampled_from(plain), max_size=25)) | {kind}
    names -= {"mode"} if kind != "direct" else set()
    names -= {"vlan"} if "trunk" in names else set()
    names = {n for n in names if not Nic.field(n).needs or Nic.field(n).needs in names}
    values = {name: draw(said(name)) for name in names}
    if "trunk" in values and draw(st.booleans()):
        values["native"] = values["trunk"].split(",")[0]
    if draw(st.booleans()):
        port = values["virtualport"] = draw(st.sampled_from(sorted(OF_PORT)))
        values |= {f"virtualport_{n}": draw(said(f"virtualport_{n}")) for n in OF_PORT[port]}
    return values


BARE = Nic.parse("<interface type='bridge'><source bridge='br0'/></interface>")


UNSET = defaultdict(str, queues="1", coalesce="0")
"""What libvirt takes and does not keep, for it is as if nothing were said."""


@pytest.mark.parametrize(("name", "value"), UNSET.items())
def test_what_libvirt_does_not_keep_reads_as_unset(name, value):
    assert rewrite(BARE, {name: value}).get(name) is None


@settings(max_examples=150, deadline=None)
@given(vocabulary_valid())
def test_whatever_the_vocabulary_can_say_passes_libvirts_schema_and_reads_back_equal(values):
    nic = rewrite(BARE, values)
    assert schema.check(nic) == []
    wanted = {name: Nic.field(name).parse(value) for name, value in values.items() if value != UNSET[name]}
    wanted.setdefault("mode", nic.mode) if nic.direct else None
    assert nic.values() == wanted
    assert Nic.parse(nic.xml()).values() == wanted


@settings(max_examples=75, deadline=None)
@given(vocabulary_valid(), st.data())
def test_a_field_that_is_set_and_then_unset_leaves_the_nic_as_it_was(values, data):
    nic = rewrite(BARE, values)
    unset = [n for n in Nic.FIELDS if nic.get(n) is None and n not in (*KINDS, "mode", "vlan", "trunk", "native")]
    name = data.draw(st.sampled_from([n for n in unset if (need := Nic.field(n).needs) == "" or nic.get(need)]))
    there = rewrite(nic, {name: data.draw(said(name))})
    assert rewrite(there, {name: None}) == nic


def test_the_json_schema_has_every_field_and_takes_what_the_vocabulary_takes():
    made = json_schema()
    assert list(made["properties"]) == list(Nic.FIELDS)
    assert made["dependentRequired"]["native"] == ["trunk"]
    assert {"not": {"required": ["vlan", "trunk"]}} in made["allOf"]
    assert {"not": {"required": ["direct", "bridge"]}} in made["allOf"]
    assert made["additionalProperties"] is False


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_json_schemas_patterns_match_what_is_allowed(data):
    name = data.draw(st.sampled_from(list(Nic.FIELDS)))
    text, rule = data.draw(said(name)), json_schema()["properties"][name]
    match rule:
        case {"pattern": pattern}:
            assert re.search(pattern, text)
        case {"enum": values}:
            assert text in map(str, values)
        case {"type": "integer"}:
            assert rule["minimum"] <= int(text) <= rule["maximum"]
