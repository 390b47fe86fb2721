"""Patching: the named fields change, and nothing else does, whatever the XML."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from vmnet.errors import UsageError, VmnetError
from vmnet.nic import templates
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode
from vmnet.nic.generator import generate, rewrite
from vmnet.nic.model import Nic

NOBODY = {"XDG_CONFIG_HOME": "/dev/null"}
"""The environment of somebody without templates of their own."""

GOLDEN = Path(__file__).parent / "golden"

VALUES = {
    "direct": ["eth0", "enp1s0.7"],
    "bridge": ["br0", "virbr9"],
    "mode": list(MacvtapMode),
    "mac": ["52:54:00:12:34:56", "02:00:00:00:00:01"],
    "model": ["virtio", "e1000e"],
    "queues": [1, 8],
    "link": ["up", "down"],
    "mtu": [68, 9000],
    "boot_order": [1, 7],
    "target": ["web0", "db1"],
    "alias": ["ua-a", "ua-b.c"],
    "address": ["0000:05:00.0", "0001:ff:1f.7"],
}

SOURCE = [
    f"/interface/source/@{a}" for a in ("dev", "mode", "bridge", "macTableManager", "network", "portgroup", "portid")
]
ATTACHMENT = ["/interface/@type", "/interface/source", *SOURCE]
TOUCHES = {
    "direct": ATTACHMENT,
    "bridge": ATTACHMENT,
    "mode": ["/interface/source/@mode"],
    "mac": ["/interface/mac", "/interface/mac/@address"],
    "model": ["/interface/model", "/interface/model/@type"],
    "queues": ["/interface/driver", "/interface/driver/@queues"],
    "link": ["/interface/link", "/interface/link/@state"],
    "mtu": ["/interface/mtu", "/interface/mtu/@size"],
    "boot_order": ["/interface/boot", "/interface/boot/@order"],
    "target": ["/interface/target", "/interface/target/@dev"],
    "alias": ["/interface/alias", "/interface/alias/@name"],
    "address": ["/interface/address/"],
}
"""Every path that a field may change; written by hand, so that the code cannot agree with itself."""


def facts(node, path=""):
    """All that an element says, in document order: elements, attributes, texts, comments, instructions."""
    tag = node.tag if isinstance(node.tag, str) else type(node).__name__
    path = f"{path}/{tag}"
    yield path, ""
    yield from sorted((f"{path}/@{name}", value) for name, value in node.attrib.items())
    yield f"{path}/text", node.text or ""
    for child in node:
        yield from facts(child, path)
        yield f"{path}/text", child.tail or ""


def covers(path, fact):
    """Whether a path is the fact's own; one that ends in a slash is all of an element."""
    return f"{fact}/".startswith(path) if path.endswith("/") else fact == path


def outside(nic, *names):
    """What a NIC says but for some fields; texts are run together, for an element may be made between two."""
    touched = [path for name in names for path in TOUCHES[name]]
    kept = [
        (p, v)
        for p, v in facts(nic.element)
        if not any(covers(path, p) for path in touched) and (v.strip() or not p.endswith("/text"))
    ]
    return [f for f in kept if f[0] != "/interface/text"], "".join(v for p, v in kept if p == "/interface/text")


WORDS = st.sampled_from(["a", "b-c", "x1", "state", "size", "mac", "mtu"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=6)
SPACES = st.sampled_from(["", "", "{urn:x}", "{http://libvirt.org/schemas/domain/qemu/1.0}", "{relative}"])
KNOWN = {
    "mac": {"address": "52:54:00:00:00:09", "type": "static"},
    "target": {"dev": "old0", "managed": "yes"},
    "model": {"type": "rtl8139"},
    "driver": {"name": "vhost", "queues": "2", "packed": "on"},
    "link": {"state": "up"},
    "mtu": {"size": "1500"},
    "boot": {"order": "3", "loadparm": "1"},
    "alias": {"name": "ua-old"},
    "address": {"type": "pci", "bus": "0x01", "slot": "0x02", "multifunction": "on"},
    "filterref": {"filter": "clean-traffic"},
    "bandwidth": {},
}
TYPES = {
    "direct": {"dev": "old1", "mode": "vepa"},
    "bridge": {"bridge": "old2", "macTableManager": "libvirt"},
    "network": {"network": "old3", "portgroup": "p", "portid": "1-2"},
}


@st.composite
def unknown(draw, depth=2):
    """An element, comment or instruction that no libvirt has heard of."""
    kind = draw(st.sampled_from(["element", "element", "comment", "instruction"]))
    if kind == "comment":
        node = etree.Comment(draw(TEXTS).replace("-", ""))
    elif kind == "instruction":
        node = etree.ProcessingInstruction("pi", draw(TEXTS).replace("?", "").strip())
    else:
        node = etree.Element(draw(SPACES) + "un" + draw(WORDS))
        for name in draw(st.sets(WORDS, max_size=2)):
            node.set(draw(SPACES) + name, draw(TEXTS))
        node.text = draw(TEXTS)
        if depth:
            node.extend(draw(st.lists(unknown(depth=depth - 1), max_size=2)))
    node.tail = draw(TEXTS)
    return node


@st.composite
def interfaces(draw, types=tuple(TYPES)):
    """Any `<interface>` of the given types: some known elements, some unknown, in any order."""
    kind = draw(st.sampled_from(types))
    root = etree.Element("interface", type=kind, trustGuestRxFilters="no")
    source = etree.Element("source", {k: v for k, v in TYPES[kind].items() if draw(st.booleans())} | {"extra": "1"})
    source.set(*next(iter(TYPES[kind].items())))
    children = [source, *draw(st.lists(unknown(), max_size=3))]
    for tag in draw(st.sets(st.sampled_from(sorted(KNOWN)))):
        child = etree.Element(tag, {k: v for k, v in KNOWN[tag].items() if draw(st.booleans())})
        child.extend(draw(st.lists(unknown(depth=0), max_size=1)))
        children.append(child)
    root.extend(draw(st.permutations(children)))
    return Nic(root)


def fitting(nic, name):
    return name != "mode" or isinstance(nic.attachment, Direct)


CHANGES = st.sampled_from(sorted(VALUES)).flatmap(lambda n: st.tuples(st.just(n), st.sampled_from(VALUES[n])))


def test_the_tables_of_this_file_know_every_field():
    assert set(VALUES) == set(TOUCHES) == set(Nic.FIELDS)


@settings(max_examples=75, deadline=None)
@given(interfaces(), CHANGES)
def test_setting_a_field_gives_its_value_and_leaves_everything_else(nic, change):
    name, value = change
    if fitting(nic, name):
        after = rewrite(nic, {name: value})
        assert after.get(name) == value
        assert outside(after, name) == outside(nic, name)


@settings(max_examples=75, deadline=None)
@given(interfaces(), st.sampled_from(sorted(set(VALUES) - {"direct", "bridge", "mode"})))
def test_removing_a_field_unsets_it_and_leaves_everything_else(nic, name):
    after = rewrite(nic, {name: None})
    assert after.get(name) is None
    assert outside(after, name) == outside(nic, name)


@settings(max_examples=75, deadline=None)
@given(interfaces(), CHANGES)
def test_the_same_change_twice_changes_nothing_the_second_time(nic, change):
    if fitting(nic, change[0]):
        once = rewrite(nic, dict([change]))
        assert rewrite(once, dict([change])) == once


@settings(max_examples=75, deadline=None)
@given(interfaces())
def test_no_change_is_no_change(nic):
    assert rewrite(nic, {}) == nic
    assert Nic.parse(nic.xml()) == nic


@settings(max_examples=75, deadline=None)
@given(interfaces(types=("bridge",)))
def test_from_bridge_to_direct_and_back_leaves_equal_xml(nic):
    there = rewrite(nic, {"direct": "eth0"})
    assert there.attachment == Direct("eth0", MacvtapMode.BRIDGE)
    back = rewrite(there, {"bridge": nic.bridge})
    # macTableManager is of the old bridge and appears on running guests only.
    assert back == Nic.parse(nic.xml().replace(' macTableManager="libvirt"', ""))


@pytest.mark.parametrize(
    ("before", "changes", "source"),
    [
        ("type='bridge'><source bridge='br0'/>", {"direct": "e0"}, {"dev": "e0", "mode": "bridge"}),
        ("type='direct'><source dev='e0' mode='vepa'/>", {"direct": "e1"}, {"dev": "e1", "mode": "vepa"}),
        ("type='direct'><source dev='e0'/>", {"direct": "e1"}, {"dev": "e1", "mode": "bridge"}),
        ("type='direct'><source dev='e0'/>", {"mtu": 1500}, {"dev": "e0"}),
        ("type='direct'><source dev='e0' mode='vepa'/>", {"bridge": "br0"}, {"bridge": "br0"}),
        ("type='bridge'><source bridge='b' network='n' portid='i'/>", {"direct": "e"}, {"dev": "e", "mode": "bridge"}),
        ("type='network'><source network='n' portgroup='p'/>", {"bridge": "br0"}, {"bridge": "br0"}),
        ("type='bridge'><source bridge='b'/>", {"mode": "private", "direct": "e"}, {"dev": "e", "mode": "private"}),
        ("type='bridge'>", {"bridge": "br0"}, {"bridge": "br0"}),
    ],
)
def test_a_new_attachment_takes_the_place_of_the_old_one(before, changes, source):
    after = rewrite(Nic.parse(f"<interface {before}</interface>"), changes)
    assert dict(after.element.find("source").attrib) == source


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"direct": "eth0", "bridge": "br0"}, "attachment-ambiguous"),
        ({"mode": "vepa"}, "mode-without-direct"),
        ({"mode": "vepa", "bridge": "br1"}, "mode-without-direct"),
        ({"bridge": None}, "field-required"),
        ({"mtus": 1500}, "field-unknown"),
        ({"mtu": "1500\n"}, "bad-value"),
        ({"queues": True}, "bad-value"),
        ({"alias": ""}, "bad-value"),
    ],
)
def test_changes_that_make_no_sense_are_refused(changes, code):
    with pytest.raises(UsageError) as caught:
        rewrite(Nic.parse("<interface type='bridge'><source bridge='br0'/></interface>"), changes)
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["direct", "mode"])
def test_a_direct_nic_keeps_its_uplink_and_a_mode(name):
    with pytest.raises(UsageError) as caught:
        rewrite(Nic.parse("<interface type='direct'><source dev='e' mode='vepa'/></interface>"), {name: None})
    assert caught.value.code == "field-required"


def test_removing_what_is_not_there_is_nothing():
    nic = Nic.parse("<interface type='bridge'><source bridge='br0'/><address type='ccw' devno='1'/></interface>")
    assert rewrite(nic, dict.fromkeys(set(Nic.FIELDS) - {"bridge"})) == nic


def test_a_nic_of_a_kind_that_vmnet_does_not_know_is_not_turned_into_another():
    with pytest.raises(VmnetError) as caught:
        rewrite(Nic.parse("<interface type='hostdev' managed='yes'/>"), {"direct": "eth0"})
    assert caught.value.code == "attachment-unknown"


GENERATED = {
    "direct-plain": ("direct", {"direct": "eth0"}),
    "direct-passthrough": ("direct", {"direct": "enp3s0f1", "mode": "passthrough", "mac": "52:54:00:AB:CD:EF"}),
    "bridge-plain": ("bridge", {"bridge": "br0"}),
    "bridge-from-the-direct-template": ("direct", {"bridge": "br0", "mtu": "9000"}),
    "direct-everything": (
        "bridge",
        {
            "direct": "eth0",
            "mode": "private",
            "mac": "52:54:00:12:34:56",
            "model": "virtio-non-transitional",
            "queues": 4,
            "link": "down",
            "boot_order": 1,
            "target": "web0",
            "alias": "ua-web",
            "address": "05:00.0",
        },
    ),
    "bridge-everything": (
        "bridge",
        {
            "bridge": "br0",
            "mac": "52:54:00:12:34:56",
            "model": "e1000e",
            "link": "up",
            "mtu": 1400,
            "boot_order": 2,
            "target": "db0",
            "alias": "ua-db",
            "address": "0000:06:1f.7",
        },
    ),
}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_xml_is_what_the_golden_file_says(name):
    template, changes = GENERATED[name]
    assert generate(templates.load(template, NOBODY), changes).xml() == (GOLDEN / f"{name}.xml").read_text()


def test_every_field_is_in_a_golden_file():
    assert {field for _, changes in GENERATED.values() for field in changes} == set(Nic.FIELDS)


@pytest.mark.parametrize("template", ["direct", "bridge"])
def test_a_template_that_leaves_the_attachment_open_needs_one(template):
    with pytest.raises(UsageError) as caught:
        generate(templates.load(template, NOBODY), {"mac": "52:54:00:00:00:01"})
    assert caught.value.code == "attachment-missing"


def test_a_template_of_ones_own_may_say_the_attachment_itself():
    own = Nic.parse("<interface type='direct'><!-- ours --><source dev='lan0'/></interface>")
    nic = generate(own, {"model": "virtio"})
    assert nic.attachment == Direct("lan0", MacvtapMode.BRIDGE)
    assert "ours" in nic.xml()
    assert generate(Nic.parse("<interface type='bridge'><source bridge='b'/></interface>"), {}).attachment == Bridge(
        "b"
    )
