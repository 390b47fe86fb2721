"""The rules speak where libvirt would refuse late or drop in silence, and only there."""

import pytest

from vmnet.nic.model import Nic
from vmnet.nic.rules import RULES, check

DIRECT = "type='direct'><source dev='eth0' mode='bridge'/>"
BRIDGE = "type='bridge'><source bridge='br0'/>"

SPEAKS = {
    "N101": [
        (DIRECT + "<mtu size='9000'/>", "mtu"),
        (DIRECT + "<coalesce><rx><frames max='7'/></rx></coalesce>", "coalesce"),
        (DIRECT + "<port isolated='yes'/>", "isolated"),
    ],
    "N102": [
        (BRIDGE + "<driver queues='4'/>", "queues"),
        (DIRECT + "<model type='e1000e'/><driver queues='4'/>", "queues"),
    ],
    "N103": [(BRIDGE + "<target dev='vnet3'/>", "target"), (DIRECT + "<target dev='macvtap0'/>", "target")],
    "N104": [(DIRECT + "<filterref filter='clean-traffic'/>", "filter")],
    "N105": [
        ("type='direct'><source dev='eth0' mode='vepa'/>", "mode"),
        ("type='direct'><source dev='eth0'/>", "mode"),
    ],
    "N106": [("type='direct'><source dev='eth0' mode='passthrough'/>", "mode")],
}

SILENT = [
    DIRECT + "<model type='virtio'/><driver queues='4'/><target dev='web0'/><port isolated='no'/>",
    DIRECT.replace("bridge", "private"),
    BRIDGE + "<mtu size='9000'/><coalesce><rx><frames max='7'/></rx></coalesce><port isolated='yes'/>",
    BRIDGE + "<model type='virtio-transitional'/><driver queues='2'/><filterref filter='clean-traffic'/>",
    "type='network'><source network='default'/><mtu size='9000'/><filterref filter='clean-traffic'/>",
    "type='hostdev' managed='yes'>",
]


def nic(text):
    return Nic.parse(f"<interface {text}</interface>")


def test_every_rule_is_in_the_table_of_this_file_and_says_its_source():
    assert [rule.code for rule in RULES] == sorted(SPEAKS)
    assert all(rule.check.__doc__ for rule in RULES)


@pytest.mark.parametrize(("code", "text", "field"), [(code, *case) for code, cases in SPEAKS.items() for case in cases])
def test_a_rule_names_the_field_the_reason_and_the_remedy(code, text, field):
    [finding] = check(nic(text))
    assert (finding.code, finding.field) == (code, field)
    assert finding.what and finding.why and finding.remedy


@pytest.mark.parametrize("text", SILENT)
def test_what_libvirt_takes_is_left_in_peace(text):
    assert check(nic(text)) == []


def test_only_what_libvirt_refuses_or_loses_dangerously_stops_a_plan():
    errors = {code for code, cases in SPEAKS.items() for text, _ in cases if any(f.is_error for f in check(nic(text)))}
    assert errors == {"N101", "N104"}


def test_names_from_the_xml_are_shown_safely():
    text = DIRECT + "<filterref filter='a&#x202e;&#x9b;b'/>"
    assert all(part.isprintable() for f in check(nic(text)) for part in (f.what, f.why, f.remedy))
