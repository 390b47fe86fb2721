"""The rules speak where libvirt would refuse late or drop in silence, and only there."""

import pytest

from tests.e2e.claims import BRIDGE, CLAIMS, DIRECT, DOMAIN_CLAIMS, HELD_TO, TWINS, Does
from vmnet.nic import xml
from vmnet.nic.model import Nic
from vmnet.nic.rules import DOMAIN_RULES, RULES, check, check_domain
from vmnet.nic.version import Version

SILENT = [
    DIRECT + "<driver queues='4'/><target dev='web0'/><port isolated='no'/>",
    DIRECT.replace("mode='bridge'", "mode='private'"),
    DIRECT + "<bandwidth><inbound average='1' peak='2'/><outbound average='3'/></bandwidth><alias name='net0'/>",
    BRIDGE + "<mtu size='9000'/><coalesce><rx><frames max='7'/></rx></coalesce><port isolated='yes'/>",
    BRIDGE + "<driver queues='2' rx_queue_size='1024' packed='on'/><filterref filter='clean-traffic'/>",
    BRIDGE + "<virtualport type='openvswitch'/><vlan><tag id='5'/></vlan><acpi index='7'/>",
    BRIDGE + "<teaming type='persistent'/><rom enabled='no'/><target dev='x' managed='yes'/>",
    "type='network'><source network='n' portgroup='p'/><model type='virtio'/><mtu size='9000'/>"
    "<filterref filter='f'/><vlan><tag id='5'/></vlan><bandwidth><inbound average='9' floor='5'/></bandwidth>",
    "type='bridge'><source bridge='virbr0' network='n' portgroup='p' portid='1'/><model type='virtio'/>",
    "type='hostdev' managed='yes'><driver name='vfio'/><teaming type='transient' persistent='ua-x'/>",
    "type='ethernet'><model type='virtio'/><script path='/x'/><ip address='1.2.3.4'/><target managed='no' dev='x'/>",
]


def nic(text):
    return Nic.parse(f"<interface {text}</interface>")


def domain(nics, inside=""):
    return xml.parse(f"<domain>{inside}<devices>{''.join(nics)}</devices></domain>")


def together(root):
    return check_domain(root, [Nic(element) for element in root.iterfind("devices/interface")])


def test_every_rule_is_claimed_of_libvirt_and_says_what_it_claims():
    assert {rule.code for rule in RULES} == {claim.code for claim in CLAIMS}
    assert {claim.code for claim in CLAIMS if claim.does is not Does.DIFFERS} == {
        rule.code for rule in RULES if rule.holds_on(HELD_TO)
    }
    assert {rule.code for rule in DOMAIN_RULES} == {claim.code for claim in DOMAIN_CLAIMS} | {"N202"}
    assert all(rule.claim and rule.name for rule in [*RULES, *DOMAIN_RULES])
    codes = [rule.code for rule in [*RULES, *DOMAIN_RULES]]
    assert codes == sorted(set(codes))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: f"{c.code} {c.field}")
def test_a_rule_names_the_field_the_reason_and_the_remedy(claim):
    libvirt = Version.parse(claim.libvirt) if claim.libvirt else HELD_TO
    found = [f for f in check(Nic.parse(claim.xml), libvirt) if f.code == claim.code]
    assert claim.field in [f.field for f in found]
    assert all(f.what and f.why and f.remedy for f in found)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: f"{c.code} {c.field}")
def test_what_libvirt_refuses_stops_a_plan(claim):
    libvirt = Version.parse(claim.libvirt) if claim.libvirt else HELD_TO
    errors = [f for f in check(Nic.parse(claim.xml), libvirt) if f.is_error]
    if claim.does.name == "REFUSES_DEFINE":
        assert errors


@pytest.mark.parametrize("claim", DOMAIN_CLAIMS, ids=lambda c: f"{c.code} {c.field}")
def test_a_rule_of_the_domain_names_the_nic_too(claim):
    found = together(domain(claim.xmls, "<os><boot dev='hd'/></os>" if claim.boot else ""))
    assert [(f.code, f.field, f.is_error) for n, f in found if n == len(claim.nics)] == [
        (claim.code, claim.field, True)
    ]


def test_two_nics_of_one_mac_are_told_once_and_do_not_stop_a_plan():
    [(number, finding)] = together(domain([f"<interface {one}</interface>" for one in TWINS]))
    assert (number, finding.code, finding.is_error) == (2, "N202", False)


def test_the_halves_of_a_failover_pair_may_share_a_mac():
    half = "<teaming type='persistent'/>"
    assert together(domain([f"<interface {one}{half}</interface>" for one in TWINS])) == []


def test_another_devices_address_alias_and_boot_order_count_too():
    same = "<boot order='1'/><alias name='ua-x'/><address type='pci' bus='0x05' slot='0' function='0'/>"
    found = together(domain([f"<disk>{same}</disk>", f"<interface {BRIDGE}{same}</interface>"]))
    assert [f.code for _, f in found] == ["N203", "N204", "N206"]
    assert all("<disk>" in f.why for _, f in found)


@pytest.mark.parametrize("text", SILENT)
@pytest.mark.parametrize("libvirt", [None, HELD_TO])
def test_what_libvirt_takes_is_left_in_peace(text, libvirt):
    assert check(nic(text), libvirt) == []


def test_only_what_libvirt_refuses_or_loses_dangerously_is_an_error():
    lost = {claim.code for claim in CLAIMS if claim.does.name == "TAKES"}
    errors = {rule.code for rule in RULES if rule.severity.value == "error"}
    assert lost & errors == {"N104", "N107", "N127", "N135"}


@pytest.mark.parametrize(
    ("libvirt", "codes"), [("9.0", {"N108"}), ("10.10", {"N108"}), ("11.0", {"N109"}), (None, {"N109"})]
)
def test_a_rule_holds_for_some_versions_only(libvirt, codes):
    text = BRIDGE + "<vlan><tag id='5'/></vlan>"
    assert {f.code for f in check(nic(text), libvirt and Version.parse(libvirt))} == codes


def test_a_field_is_not_too_new_for_the_libvirt_that_brought_it():
    text = BRIDGE + "<acpi index='5'/>"
    assert check(nic(text), Version(7, 3)) == check(nic(text)) == []
    assert [f.code for f in check(nic(text), Version(7, 2, 9))] == ["N107"]


def test_names_from_the_xml_are_shown_safely():
    text = DIRECT.replace("virtio", "a&#x202e;b") + "<filterref filter='a&#x202e;&#x9b;b'/><target dev='vnet&#x9b;'/>"
    assert all(part.isprintable() for f in check(nic(text)) for part in (f.what, f.why, f.remedy))
    twice = ["<interface type='bridge'><mac address='&#x9b;'/><target dev='&#x202e;'/></interface>"] * 2
    assert all(part.isprintable() for _, f in together(domain(twice)) for part in (f.what, f.why, f.remedy))


def test_a_rule_shows_a_mode_that_there_is_not_as_it_is_written():
    nic = Nic.parse("<interface type='direct'><source dev='e' mode='odd'/><vlan><tag id='5'/></vlan></interface>")
    (found,) = (finding for finding in check(nic) if finding.code == "N110")
    assert found.what == "vlan does not go with a macvtap in mode 'odd'"
