"""The vocabulary: what a NIC says of itself, and what a person may say of it."""

import json

import pytest

from vmnet.errors import UsageError, VmnetError
from vmnet.nic import xml
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode, Network, Other
from vmnet.nic.model import Field, LinkState, Nic

LIVE = """
<interface type='direct' trustGuestRxFilters='yes'>
  <mac address='52:54:00:AA:bb:cc'/>
  <source dev='eth0' mode='vepa'/>
  <target dev='macvtap0'/>
  <model type='virtio'/>
  <driver name='vhost' queues='4'/>
  <link state='down'/>
  <mtu size='9000'/>
  <boot order='2'/>
  <alias name='ua-web'/>
  <address type='pci' domain='0x0000' bus='0x05' slot='0x1f' function='0x7'/>
</interface>
"""

GOOD = {
    "direct": [("eth0.10", "eth0.10"), ("a" * 15, "a" * 15)],
    "bridge": [("br0", "br0"), ("virbr-lan_1", "virbr-lan_1")],
    "mode": [(m.value, m) for m in MacvtapMode],
    "mac": [("52:54:00:12:34:56", "52:54:00:12:34:56"), ("02:AB:CD:EF:00:01", "02:ab:cd:ef:00:01")],
    "model": [("virtio", "virtio"), ("virtio-non-transitional", "virtio-non-transitional")],
    "queues": [("1", 1), ("256", 256)],
    "link": [("up", LinkState.UP), ("down", LinkState.DOWN)],
    "mtu": [("68", 68), ("65535", 65535)],
    "boot_order": [("1", 1), ("2147483647", 2147483647)],
    "target": [("web0", "web0"), ("v-net0", "v-net0")],
    "alias": [("ua-web", "ua-web"), ("ua-0_.-", "ua-0_.-")],
    "address": [("0000:05:00.0", "0000:05:00.0"), ("0A:1f.7", "0000:0a:1f.7"), ("00:03.0", "0000:00:03.0")],
}

NAMES = [
    "",
    ".",
    "..",
    "a" * 16,
    "a/b",
    "a:b",
    "a b",
    "a\n",
    "a\tb",
    "\x1b[31m",
    "-x",
    "tap%d",
    "é",
    "\ud800",
    "a\u202e",
]

BAD = {
    "direct": NAMES,
    "bridge": NAMES,
    "mode": ["", "Bridge", "passthru", "bridge\n"],
    "mac": [
        "",
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
        "52:54:00:12:34",
        "52-54-00-12-34-56",
        "52:54:00:12:34:56\n",
        "52:54:00:12:34:5g",
        "5\uff12:54:00:12:34:56",
    ],
    "model": ["", "vir tio", "virtio\n", "e1000;", "é"],
    "queues": ["0", "257", "-1", "1.5", "", " 1", "1_0", "٣", "9" * 5000],
    "link": ["", "UP", "on"],
    "mtu": ["67", "65536", "big", "1500 "],
    "boot_order": ["0", "-1", "2147483648"],
    "target": [*NAMES, "vnet0", "vif1.0", "macvtap3", "macvlan0"],
    "alias": ["", "net0", "ua-", "ua-a b", "ua-a\n", "UA-x"],
    "address": ["", "05", "0000:05:20.0", "0000:05:00.8", "0000:00:00.0", "00000:05:00.0", "pci_0000_05_00_0"],
}


def cases(table):
    return [(name, *(case if isinstance(case, tuple) else (case,))) for name, row in table.items() for case in row]


def test_every_field_is_tried_with_good_and_bad_values():
    assert set(GOOD) == set(BAD) == set(Nic.FIELDS)


@pytest.mark.parametrize(("name", "text", "value"), cases(GOOD))
def test_what_a_person_may_say_is_read_as_its_value(name, text, value):
    parsed = Nic.field(name).parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(("name", "text"), cases(BAD))
def test_what_makes_no_sense_is_refused_and_shown_safely(name, text):
    with pytest.raises(UsageError) as caught:
        Nic.field(name).parse(text)
    error = caught.value
    assert error.code == "bad-value"
    assert error.what.startswith(f"--{name.replace('_', '-')} cannot be ")
    assert error.why
    assert error.remedy
    assert all(part.isprintable() for part in (error.what, error.why, error.remedy))
    assert len(error.what) < 120


@pytest.mark.parametrize("field", Nic.FIELDS.values(), ids=Nic.FIELDS)
def test_every_field_says_what_a_command_line_needs(field):
    assert Nic.field(field.name) is field
    assert field.option.startswith("--")
    assert field.help and field.type.metavar and field.type.means
    assert all(field.parse(choice) == choice for choice in field.type.choices)


def test_a_nic_reads_every_field_of_its_xml():
    assert Nic.parse(LIVE).values() == {
        "direct": "eth0",
        "mode": MacvtapMode.VEPA,
        "mac": "52:54:00:aa:bb:cc",
        "model": "virtio",
        "queues": 4,
        "link": LinkState.DOWN,
        "mtu": 9000,
        "boot_order": 2,
        "target": "macvtap0",
        "alias": "ua-web",
        "address": "0000:05:1f.7",
    }


def test_the_values_of_a_nic_are_a_json_document():
    values = Nic.parse(LIVE).values()
    assert json.loads(json.dumps(values)) == values


def test_a_bare_nic_has_no_field_set():
    nic = Nic.parse("<interface type='user'/>")
    assert nic.values() == {}
    assert all(nic.get(name) is None for name in Nic.FIELDS)


@pytest.mark.parametrize(
    ("text", "attachment"),
    [
        ("<interface type='direct'><source dev='e' mode='private'/></interface>", Direct("e", MacvtapMode.PRIVATE)),
        ("<interface type='direct'><source dev='e'/></interface>", Direct("e", MacvtapMode.VEPA)),
        ("<interface type='direct'/>", Direct("", MacvtapMode.VEPA)),
        ("<interface type='bridge'><source bridge='b' dev='x'/></interface>", Bridge("b")),
        ("<interface type='network'><source network='n'/></interface>", Network("n")),
        ("<interface type='network'><source network='n' portgroup='p'/></interface>", Network("n", "p")),
        ("<interface type='hostdev'/>", Other("hostdev")),
        ("<interface/>", Other("")),
    ],
)
def test_the_attachment_is_read_from_type_and_source(text, attachment):
    assert Nic.parse(text).attachment == attachment


@pytest.mark.parametrize(
    ("attributes", "address"),
    [
        ("type='pci' bus='0x0a' slot='3'", "0000:0a:03.0"),
        ("type='pci' bus='010' slot='0x1'", "0000:08:01.0"),
        ("type='pci'", None),
        ("type='pci' bus='five'", None),
        ("type='ccw' cssid='0xfe' ssid='0x0' devno='0x0001'", None),
        ("bus='0x01'", None),
    ],
)
def test_an_address_is_read_as_libvirt_reads_its_numbers(attributes, address):
    assert Nic.parse(f"<interface><address {attributes}/></interface>").address == address


def test_a_value_that_breaks_our_rules_is_still_what_the_xml_says():
    nic = Nic.parse(
        "<interface type='bridge'><mac address='01:00:00:00:00:01'/><source bridge='my bridge'/>"
        "<mtu size='70000'/><driver queues='many'/><link state='default'/></interface>"
    )
    assert nic.values() == {"bridge": "my bridge", "mac": "01:00:00:00:00:01", "mtu": 70000}


def test_a_nic_cannot_be_changed_from_outside():
    element = xml.parse(LIVE)
    nic = Nic(element)
    element.set("type", "bridge")
    nic.element.clear()
    with pytest.raises(AttributeError):
        nic.mtu = 1500
    assert nic == Nic.parse(LIVE)


def test_a_nic_of_a_domain_equals_the_same_nic_alone():
    domain = xml.parse(f"<domain xmlns:q='urn:q'><devices>{LIVE.strip()}<!-- next --></devices></domain>")
    nic = Nic(domain.find("devices/interface"))
    assert nic == Nic.parse(LIVE)
    assert len({nic, Nic.parse(LIVE)}) == 1
    assert nic != Nic.parse(LIVE.replace("9000", "1500"))


def test_xml_that_is_no_interface_is_refused():
    with pytest.raises(VmnetError) as caught:
        Nic.parse("<domain/>")
    assert caught.value.code == "xml-not-interface"


def test_an_unknown_field_is_refused_with_the_ones_there_are():
    with pytest.raises(UsageError) as caught:
        Nic.parse(LIVE).get("mtus")
    assert caught.value.code == "field-unknown"
    assert "mtu," in caught.value.remedy


def test_on_the_class_a_field_is_itself():
    assert isinstance(Nic.mtu, Field)
