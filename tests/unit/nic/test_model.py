"""The vocabulary: what a NIC says of itself, and what a person may say of it."""

import json

import pytest

from vmnet.errors import UsageError, VmnetError
from vmnet.nic import xml
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode, Network, Other
from vmnet.nic.field import Field, Live
from vmnet.nic.model import Driver, LinkState, MacType, Nic, TxMode, VirtualPort
from vmnet.nic.types import OnOff, YesNo
from vmnet.nic.version import Version

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

ON_OFF = [
    *("ioeventfd", "event_idx", "rss", "rss_hash_report", "iommu", "ats", "packed", "page_per_vq"),
    *(f"host_{name}" for name in ("csum", "gso", "tso4", "tso6", "ecn", "ufo", "mrg_rxbuf")),
    *(f"guest_{name}" for name in ("csum", "tso4", "tso6", "ecn", "ufo")),
    *("multifunction", "rom_bar"),
]
YES_NO = ["trust_rx", "isolated", "mac_check", "rom_enabled"]
PATHS = ["backend_tap", "backend_vhost", "rom_file"]
IDS = ["virtualport_instanceid", "virtualport_interfaceid"]
ID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"

GOOD = {
    **{name: [("on", OnOff.ON), ("off", OnOff.OFF)] for name in ON_OFF},
    **{name: [("yes", YesNo.YES), ("no", YesNo.NO)] for name in YES_NO},
    **{name: [("/dev/net/tun", "/dev/net/tun"), ("/a b", "/a b")] for name in PATHS},
    **{name: [(ID, ID), (ID.upper(), ID)] for name in IDS},
    **{name: [("256", 256), ("1024", 1024)] for name in ("rx_queue_size", "tx_queue_size")},
    "network": [("default", "default"), ("my net", "my net")],
    "portgroup": [("sales", "sales"), ("a/b:c", "a/b:c")],
    "virtualport": [(v.value, v) for v in VirtualPort],
    "virtualport_managerid": [("0", 0), ("255", 255)],
    "virtualport_typeid": [("0", 0), ("16777215", 16777215)],
    "virtualport_typeidversion": [("0", 0), ("255", 255)],
    "virtualport_profileid": [("finance", "finance"), ("x" * 39, "x" * 39)],
    "mac_type": [("generated", MacType.GENERATED), ("static", MacType.STATIC)],
    "filter": [("clean-traffic", "clean-traffic"), ("_a.1", "_a.1")],
    "filter_params": [("IP=10.0.0.2", "IP=10.0.0.2"), ("A=1,B_2=fe80::1", "A=1,B_2=fe80::1")],
    "vlan": [("1", "1"), ("4094", "4094"), ("007", "7")],
    "trunk": [("10", "10"), ("30,10,20-22", "10,20-22,30"), ("1-4094", "1-4094"), ("1,2,3", "1-3")],
    "native": [("10", "10"), ("10:tagged", "10:tagged"), ("10:untagged", "10")],
    "inbound": [("1000", "1000"), ("1,2,3,4", "1,2,3,4"), ("1,,,4", "1,,,4"), (",,,7", ",,,7"), ("1,2,,", "1,2")],
    "outbound": [("1000", "1000"), ("1,2,4294967295", "1,2,4294967295"), ("1,,3", "1,,3")],
    "coalesce": [("0", 0), ("64", 64)],
    "driver": [(d.value, d) for d in Driver],
    "txmode": [(m.value, m) for m in TxMode],
    "sndbuf": [("0", 0), ("1048576", 1048576)],
    "acpi_index": [("1", 1), ("16383", 16383)],
    "loadparm": [("X", "X"), ("a b.1", "a b.1")],
    "teaming": [("persistent", "persistent"), ("transient:ua-net0", "transient:ua-net0")],
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
    **{name: ["", "yes", "ON", "1", "on "] for name in ON_OFF},
    **{name: ["", "on", "Yes", "true", "yes\n"] for name in YES_NO},
    **{name: ["", "/", "dev/tun", "/a\nb", "/\x1b[31m", "/a\u202e"] for name in PATHS},
    **{name: ["", ID[:-1], ID + "0", ID.replace("-", ""), ID[:-1] + "g"] for name in IDS},
    **{name: ["", "0", "255", "300", "2048", "0x200"] for name in ("rx_queue_size", "tx_queue_size")},
    "network": ["", " a", "a ", "a/b", "a\n", "é", "x" * 65],
    "portgroup": ["", "a b", "a\n", "é"],
    "virtualport": ["", "802.1qbg", "ovs"],
    "virtualport_managerid": ["", "256", "-1", "0x1"],
    "virtualport_typeid": ["", "16777216", "-1"],
    "virtualport_typeidversion": ["", "256"],
    "virtualport_profileid": ["", "x" * 40, "a b", "é"],
    "mac_type": ["", "random"],
    "filter": ["", "1a", "-a", "a b", "a:b", "é", "a\n"],
    "filter_params": ["", "IP", "IP=", "=1", "IP=1,", "IP=1;x", "IP=a b", "I P=1", "IP=1\n"],
    "vlan": ["", "0", "4095", "x", "1,2", "1-2", "-1", "+1", "1 "],
    "trunk": ["", "0", "4095", "1,", "1,1", "1-3,2", "3-1", "1-", "a", "1 , 2"],
    "native": ["", "0", "4095", "1,2", "1-2", "10:", "10:both", ":tagged"],
    "inbound": ["", ",", "0", "-1", "1.5", "1,0", "a", ",2", ",,3", "1,2,3,4,5", "4294967296", "1k", "1 "],
    "outbound": ["", "0", ",2", "1,2,3,4", ",,,4"],
    "coalesce": ["", "-1", "2147483648"],
    "driver": ["", "kvm", "Vhost"],
    "txmode": ["", "thread"],
    "sndbuf": ["", "-1", "1M"],
    "acpi_index": ["", "0", "16384"],
    "loadparm": ["", " a", "a ", "a-b", "x" * 9, "a\n"],
    "teaming": ["", "persistent:ua-x", "transient", "transient:", "transient:net0", "Persistent"],
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
    assert error.what.startswith(f"{Nic.field(name).option} cannot be ")
    assert error.why
    assert error.remedy
    assert all(part.isprintable() for part in (error.what, error.why, error.remedy))
    assert len(error.what) < 120


@pytest.mark.parametrize("field", Nic.FIELDS.values(), ids=Nic.FIELDS)
def test_every_field_says_what_a_command_line_needs(field):
    assert Nic.field(field.name) is field
    assert field.option.startswith("--")
    assert field.help and field.type.metavar and field.type.means
    assert all(str(field.parse(choice)) == choice for choice in field.type.choices)


def test_a_nic_reads_every_field_of_its_xml():
    assert Nic.parse(LIVE).values() == {
        "direct": "eth0",
        "mode": MacvtapMode.VEPA,
        "mac": "52:54:00:aa:bb:cc",
        "model": "virtio",
        "queues": 4,
        "link": LinkState.DOWN,
        "mtu": 9000,
        "trust_rx": YesNo.YES,
        "driver": Driver.VHOST,
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
        ("<interface type='network'/>", Network("")),
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
    assert caught.value.remedy == "Did you mean mtu?"


def test_on_the_class_a_field_is_itself():
    assert isinstance(Nic.mtu, Field)


@pytest.mark.parametrize(
    ("inside", "values"),
    [
        ("<vlan><tag id='5'/></vlan>", {"vlan": "5"}),
        ("<vlan trunk='yes'><tag id='5'/></vlan>", {"trunk": "5"}),
        ("<vlan><tag id='6'/><tag id='5'/></vlan>", {"trunk": "5-6"}),
        ("<vlan><tag id='5' nativeMode='untagged'/></vlan>", {"trunk": "5", "native": "5"}),
        ("<vlan trunk='yes'><tag id='x'/><tag id='5' nativeMode='tagged'/></vlan>",
         {"trunk": "x,5", "native": "5:tagged"}),
        ("<vlan/>", {}),
        ("<bandwidth><inbound average='1' floor='4'/><outbound average='9' burst='3'/></bandwidth>",
         {"inbound": "1,,,4", "outbound": "9,,3"}),
        ("<bandwidth classID='3'><inbound/></bandwidth>", {}),
        ("<filterref filter='f'><parameter name='IP' value='1'/><parameter name='IP' value='2'/></filterref>",
         {"filter": "f", "filter_params": "IP=1,IP=2"}),
        ("<teaming type='transient' persistent='net0'/>", {"teaming": "transient:net0"}),
        ("<tune><sndbuf> 7 </sndbuf></tune>", {"sndbuf": 7}),
    ],
)  # fmt: skip
def test_what_several_attributes_say_is_read_as_one_text(inside, values):
    assert Nic.parse(f"<interface>{inside}</interface>").values() == values


@pytest.mark.parametrize(
    ("name", "libvirt", "live"),
    [
        ("link", "0.9.5", Live.LIVE),
        ("mtu", None, Live.REPLUG),
        ("trust_rx", "9.0", Live.IGNORED),
        ("trust_rx", "10.0.0", Live.LIVE),
        ("trust_rx", None, Live.LIVE),
        ("vlan", "10.9.9", Live.REPLUG),
        ("vlan", "11.0", Live.LIVE),
        ("backend_vhost", "11.2", Live.IGNORED),
        ("backend_vhost", "11.3", Live.REPLUG),
    ],
)
def test_what_a_live_change_takes_depends_on_the_libvirt(name, libvirt, live):
    assert Nic.field(name).live(libvirt and Version.parse(libvirt)) is live


def test_a_version_is_read_as_people_and_as_libvirt_write_it():
    assert Version.parse("9.0") == Version.of_number(9_000_000) == (9, 0, 0)
    assert Version.parse("11.3.1") == Version.of_number(11_003_001)
    assert str(Version(9, 0)) == "9.0.0"


@pytest.mark.parametrize("text", ["", "9", "9.0.0.0", "9.x", "v9.0", "9.0\n", "9.0-rc1", "٩.0"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(UsageError):
        Version.parse(text)


def test_a_field_names_one_that_it_needs_and_that_is_there():
    assert all(field.needs in Nic.FIELDS for field in Nic.FIELDS.values() if field.needs)
    assert all(Nic.field(field.needs).needs == "" for field in Nic.FIELDS.values() if field.needs)
