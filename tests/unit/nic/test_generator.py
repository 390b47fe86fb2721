"""Patching: the named fields change, and nothing else does, whatever the XML."""

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
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

SIMPLE = {
    "portgroup": ("source/@portgroup", ["sales", "a:b"]),
    "virtualport": ("virtualport/@type", ["802.1Qbg", "openvswitch"]),
    "virtualport_managerid": ("virtualport/parameters/@managerid", [0, 255]),
    "virtualport_typeid": ("virtualport/parameters/@typeid", [0, 16777215]),
    "virtualport_typeidversion": ("virtualport/parameters/@typeidversion", [0, 7]),
    "virtualport_instanceid": ("virtualport/parameters/@instanceid", ["09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"]),
    "virtualport_profileid": ("virtualport/parameters/@profileid", ["finance"]),
    "virtualport_interfaceid": ("virtualport/parameters/@interfaceid", ["09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"]),
    "mac": ("mac/@address", ["52:54:00:12:34:56", "02:00:00:00:00:01"]),
    "mac_type": ("mac/@type", ["generated", "static"]),
    "mac_check": ("mac/@check", ["yes", "no"]),
    "model": ("model/@type", ["virtio", "e1000e"]),
    "link": ("link/@state", ["up", "down"]),
    "mtu": ("mtu/@size", [68, 9000]),
    "trust_rx": ("@trustGuestRxFilters", ["yes", "no"]),
    "filter": ("filterref/@filter", ["clean-traffic", "no-spoof"]),
    "isolated": ("port/@isolated", ["yes", "no"]),
    "coalesce": ("coalesce/rx/frames/@max", [0, 64]),
    "driver": ("driver/@name", ["vhost", "qemu"]),
    "queues": ("driver/@queues", [1, 8]),
    "rx_queue_size": ("driver/@rx_queue_size", [256, 1024]),
    "tx_queue_size": ("driver/@tx_queue_size", [256, 512]),
    "txmode": ("driver/@txmode", ["iothread", "timer"]),
    **{name: (f"driver/@{name}", ["on", "off"]) for name in ("ioeventfd", "event_idx", "rss", "rss_hash_report")},
    **{name: (f"driver/@{name}", ["on", "off"]) for name in ("iommu", "ats", "packed", "page_per_vq")},
    **{
        f"host_{name}": (f"driver/host/@{name}", ["on", "off"])
        for name in ("csum", "gso", "tso4", "tso6", "ecn", "ufo", "mrg_rxbuf")
    },
    **{f"guest_{name}": (f"driver/guest/@{name}", ["on", "off"]) for name in ("csum", "tso4", "tso6", "ecn", "ufo")},
    "backend_tap": ("backend/@tap", ["/dev/net/tun"]),
    "backend_vhost": ("backend/@vhost", ["/dev/vhost-net"]),
    "sndbuf": ("tune/sndbuf", [0, 1600]),
    "target": ("target/@dev", ["web0", "db1"]),
    "alias": ("alias/@name", ["ua-a", "ua-b.c"]),
    "multifunction": ("address/@multifunction", ["on", "off"]),
    "acpi_index": ("acpi/@index", [1, 16383]),
    "boot_order": ("boot/@order", [1, 7]),
    "loadparm": ("boot/@loadparm", ["X", "a 1"]),
    "rom_enabled": ("rom/@enabled", ["yes", "no"]),
    "rom_bar": ("rom/@bar", ["on", "off"]),
    "rom_file": ("rom/@file", ["/usr/share/rom.bin"]),
}
"""Fields of one attribute: its path, and values; written by hand, so that the code cannot agree with itself."""

SOURCE = [
    f"/interface/source/@{a}" for a in ("dev", "mode", "bridge", "macTableManager", "network", "portgroup", "portid")
]
ATTACHMENT = ["/interface/@type", "/interface/source", *SOURCE]
VLAN = ["/interface/vlan", "/interface/vlan/@trunk", "/interface/vlan/tag/"]
RATES = [f"/@{rate}" for rate in ("average", "peak", "burst", "floor")]

COMPOUND = {
    "direct": (ATTACHMENT, ["eth0", "enp1s0.7"]),
    "bridge": (ATTACHMENT, ["br0", "virbr9"]),
    "network": (ATTACHMENT, ["default", "my net"]),
    "mode": (["/interface/source/@mode"], list(MacvtapMode)),
    "vlan": (VLAN, ["7", "4094"]),
    "trunk": (VLAN, ["7", "7-9,20"]),
    "native": (VLAN, ["7", "8:tagged"]),
    "inbound": (
        ["/interface/bandwidth", *(f"/interface/bandwidth/inbound{path}" for path in ("", *RATES))],
        ["1000", "1,2,3,4", ",,,9"],
    ),
    "outbound": (
        ["/interface/bandwidth", *(f"/interface/bandwidth/outbound{path}" for path in ("", *RATES))],
        ["1000", "1,,3"],
    ),
    "filter_params": (
        ["/interface/filterref", *(f"/interface/filterref/parameter{path}" for path in ("", "/@name", "/@value"))],
        ["IP=10.0.0.2", "A=1,A=2"],
    ),
    "address": (["/interface/address/"], ["0000:05:00.0", "0001:ff:1f.7"]),
    "teaming": (
        [f"/interface/teaming{path}" for path in ("", "/@type", "/@persistent")],
        ["persistent", "transient:ua-x"],
    ),
}
"""Fields of more than one attribute: every path that they may change, and values."""


def on_the_way(path):
    """A path, and the elements that are made or emptied on the way to it."""
    parts = path.split("/")
    return ["/interface/" + "/".join(parts[: n + 1]) for n in range(len(parts))] + [f"/interface/{path}/text"]


VALUES = {name: values for name, (_, values) in (SIMPLE | COMPOUND).items()}
TOUCHES = {name: on_the_way(path) for name, (path, _) in SIMPLE.items()} | {
    name: paths for name, (paths, _) in COMPOUND.items()
}
"""Every path that a field may change."""

GOES_WITH = {
    "mac": ["mac_type", "mac_check"],
    "filter": ["filter_params"],
    "network": ["portgroup"],
    "trunk": ["native"],
    "boot_order": ["loadparm"],
    "address": ["multifunction"],
}
"""What means nothing without a field, and goes with it."""


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
    texts = {path: "".join(v for p, v in kept if p == path) for path, _ in kept if path.endswith("/text")}
    return [f for f in kept if not f[0].endswith("/text")], texts


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
    "bandwidth": {"classID": "3"},
    "vlan": {"trunk": "yes"},
    "port": {"isolated": "yes"},
    "virtualport": {"type": "openvswitch"},
    "tune": {},
    "teaming": {"type": "transient", "persistent": "net0"},
    "rom": {"bar": "on", "file": "/rom"},
}
WITHIN = {
    "vlan": ["<tag id='7'/>", "<tag id='8' nativeMode='untagged' extra='1'/>", "<tag id='9'/>"],
    "bandwidth": ["<inbound average='5' peak='6'/>", "<outbound average='1' extra='y'/>"],
    "filterref": ["<parameter name='IP' value='1'/>"],
    "driver": ["<host csum='on'/>", "<guest ecn='off' extra='1'/>"],
    "tune": ["<sndbuf>3</sndbuf>"],
    "virtualport": ["<parameters managerid='1' profileid='p'/>"],
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
        inner = [etree.fromstring(text) for text in WITHIN.get(tag, []) if draw(st.booleans())]
        child.extend([*inner, *draw(st.lists(unknown(depth=0), max_size=1))])
        children.append(child)
    root.extend(draw(st.permutations(children)))
    return Nic(root)


def rewritten(nic, name, value):
    """The NIC with a field set, if the field means something there."""
    try:
        return rewrite(nic, {name: value})
    except UsageError as error:
        assume(error.code not in ("mode-without-direct", "field-needs", "native-not-in-trunk"))
        raise


CHANGES = st.sampled_from(sorted(VALUES)).flatmap(lambda n: st.tuples(st.just(n), st.sampled_from(VALUES[n])))
UNSET = [("queues", 1), ("coalesce", 0)]
"""Values that libvirt does not keep, so that they read as if none were given."""

REMOVABLE = sorted(set(VALUES) - {"direct", "bridge", "network", "mode"})


def test_the_tables_of_this_file_know_every_field():
    assert set(VALUES) == set(TOUCHES) == set(Nic.FIELDS)
    assert {(need, name) for need, names in GOES_WITH.items() for name in names} == {
        (field.needs, field.name) for field in Nic.FIELDS.values() if field.needs
    }


@settings(max_examples=120, deadline=None)
@given(interfaces(), CHANGES)
def test_setting_a_field_gives_its_value_and_leaves_everything_else(nic, change):
    name, value = change
    after = rewritten(nic, name, value)
    assert after.get(name) == (None if (name, value) in UNSET else value)
    assert outside(after, name) == outside(nic, name)


@settings(max_examples=100, deadline=None)
@given(interfaces(), st.sampled_from(REMOVABLE))
def test_removing_a_field_unsets_it_and_what_goes_with_it_and_leaves_everything_else(nic, name):
    after = rewrite(nic, {name: None})
    gone = [name, *GOES_WITH.get(name, [])]
    assert [after.get(n) for n in gone] == [None] * len(gone)
    assert outside(after, *gone) == outside(nic, *gone)


def test_an_element_that_a_removal_empties_goes():
    bare = "<interface type='bridge'><source bridge='b'/>{}</interface>"
    nic = Nic.parse(bare.format("<filterref><parameter name='A' value='1'/></filterref>"))
    assert rewrite(nic, {"filter_params": None}) == Nic.parse(bare.format(""))


@settings(max_examples=75, deadline=None)
@given(interfaces(), CHANGES)
def test_the_same_change_twice_changes_nothing_the_second_time(nic, change):
    once = rewritten(nic, *change)
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
        ({"network": "n", "bridge": "b"}, "attachment-ambiguous"),
        ({"vlan": "5", "trunk": "5,6"}, "vlan-ambiguous"),
        ({"native": "5"}, "native-not-in-trunk"),
        ({"trunk": "5,6", "native": "7"}, "native-not-in-trunk"),
        ({"vlan": "5", "native": "5"}, "native-not-in-trunk"),
        ({"filter_params": "IP=1"}, "field-needs"),
        ({"loadparm": "x"}, "field-needs"),
        ({"portgroup": "p"}, "field-needs"),
        ({"portgroup": "p", "direct": "e"}, "field-needs"),
    ],
)
def test_changes_that_make_no_sense_are_refused(changes, code):
    with pytest.raises(UsageError) as caught:
        rewrite(Nic.parse("<interface type='bridge'><source bridge='br0'/></interface>"), changes)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("<vlan><tag id='5'/></vlan>", {"trunk": "5,7"}, "<vlan trunk='yes'><tag id='5'/><tag id='7'/></vlan>"),
        ("<vlan trunk='yes'><tag id='5'/><tag id='6' nativeMode='tagged'/></vlan>", {"vlan": "6"},
         "<vlan><tag id='6'/></vlan>"),
        ("<vlan trunk='yes'><tag id='5'/><tag id='6' nativeMode='tagged'/></vlan>", {"trunk": "6,8"},
         "<vlan trunk='yes'><tag id='6' nativeMode='tagged'/><tag id='8'/></vlan>"),
        ("<vlan trunk='yes'><tag id='5' nativeMode='untagged'/><tag id='6'/></vlan>", {"trunk": "6,8"},
         "<vlan trunk='yes'><tag id='6'/><tag id='8'/></vlan>"),
        ("<vlan><tag id='5' nativeMode='untagged'/></vlan>", {"native": None},
         "<vlan trunk='yes'><tag id='5'/></vlan>"),
        ("<bandwidth><inbound average='1' peak='2' burst='3'/></bandwidth>", {"inbound": "5,,6"},
         "<bandwidth><inbound average='5' burst='6'/></bandwidth>"),
        ("<bandwidth><inbound average='1'/><outbound average='2'/></bandwidth>", {"inbound": None},
         "<bandwidth><outbound average='2'/></bandwidth>"),
        ("<filterref filter='f'><parameter name='A' value='1'/></filterref>", {"filter": "g"},
         "<filterref filter='g'><parameter name='A' value='1'/></filterref>"),
        ("<filterref filter='f'><parameter name='A' value='1'/></filterref>", {"filter": None}, ""),
        ("<teaming type='transient' persistent='ua-x'/>", {"teaming": "persistent"}, "<teaming type='persistent'/>"),
        ("<boot order='1' loadparm='x'/>", {"boot_order": None}, ""),
        ("<filterref/>", {"filter_params": None}, "<filterref/>"),
        ("", {"host_gso": "off", "guest_ecn": "on"}, "<driver><host gso='off'/><guest ecn='on'/></driver>"),
    ],
)  # fmt: skip
def test_a_text_is_spread_over_its_attributes(before, changes, after):
    wrapped = "<interface type='bridge'><source bridge='br0'/>{}</interface>".format
    assert rewrite(Nic.parse(wrapped(before)), changes) == Nic.parse(wrapped(after))


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


@pytest.mark.parametrize("template", ["direct", "bridge", "network"])
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
