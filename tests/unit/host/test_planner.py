"""The host's planner as tables: what is refused, what is warned of, what is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vmnet.change.plan import Plan
from vmnet.findings import Severity
from vmnet.host.model import Address, BridgeSettings, Host, Link, PortState, Route
from vmnet.host.planner import check_direct, plan_attachment, plan_bridge, plan_release, real_name
from vmnet.host.steps import CreateBridge, Enslave, KeepUp, SetUp
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode

UP0 = Link(index=2, name="up0", mac="02:00:00:00:00:10", mtu=9000)
BR0 = Link(index=3, name="br0", kind="bridge", mac="02:00:00:00:00:20", bridge=BridgeSettings())


def port(link: Link, master: Link) -> Link:
    return changed(link, master=master.index, port=PortState.FORWARDING)


def changed(link: Link, **fields) -> Link:
    return replace(link, **fields)


STEPS = [
    # what is there, what is to be done for --bridge br0 --uplink up0
    ([UP0], [CreateBridge("br0", UP0.mac, 9000), Enslave(UP0.identity, "br0")]),
    (
        [changed(UP0, up=False)],
        [CreateBridge("br0", UP0.mac, 9000), Enslave(UP0.identity, "br0"), SetUp(UP0.identity)],
    ),
    ([UP0, BR0], [Enslave(UP0.identity, "br0")]),
    ([UP0, changed(BR0, up=False)], [SetUp(BR0.identity), Enslave(UP0.identity, "br0")]),
    ([port(UP0, BR0), BR0], []),
    ([port(changed(UP0, up=False), BR0), BR0], [SetUp(UP0.identity)]),
]


@pytest.mark.parametrize(("links", "steps"), STEPS)
def test_a_bridge_with_its_uplink_needs_only_what_is_missing(links, steps):
    assert plan_bridge(Host(tuple(links)), "br0", "up0") == Plan(tuple(steps))


@pytest.mark.parametrize("bridge", [BR0, changed(BR0, up=False)])
def test_without_an_uplink_the_host_is_never_changed(bridge):
    assert plan_bridge(Host((UP0, bridge)), "br0", None).steps == ()


def test_an_uplink_may_be_named_by_its_altname():
    host = Host((changed(UP0, altnames=("enp1s0",)),))
    assert plan_bridge(host, "br0", "enp1s0").steps[-1] == Enslave(UP0.identity, "br0")


def test_a_link_local_address_does_not_keep_an_uplink_from_its_bridge():
    host = Host((UP0,), (Address(index=2, family=6, address="fe80::1/64", link_local=True),))
    assert plan_bridge(host, "br0", "up0").findings == ()


VLAN = Link(index=7, name="up0.10", kind="vlan", lower=2)
BRIDGE_FINDINGS = [
    # code, severity, words it must have, links beside up0, fields of up0, bridge, uplink
    ("H101", Severity.ERROR, "15 characters", [], {}, "x" * 16, "up0"),
    ("H101", Severity.ERROR, "Letters", [], {}, "br\n0", "up0"),
    ("H101", Severity.ERROR, "Letters", [], {}, "\x1b[31m", "up0"),
    ("H101", Severity.ERROR, "Letters", [], {}, "-br0", "up0"),
    ("H101", Severity.ERROR, "Letters", [], {}, "br%d", "up0"),
    ("H101", Severity.ERROR, "Letters", [], {}, "", "up0"),
    ("H102", Severity.ERROR, "up0 is not a bridge", [], {}, "up0", None),
    ("H103", Severity.ERROR, "--uplink DEV; there are: br0", [BR0], {}, "br1", None),
    ("H104", Severity.WARNING, "is down", [changed(BR0, up=False)], {}, "br0", None),
    ("H105", Severity.WARNING, "30 s", [changed(BR0, bridge=BridgeSettings(True, 1500))], {}, "br0", None),
    ("H201", Severity.ERROR, "Did you mean up0?", [], {}, "br0", "up1"),
    ("H201", Severity.ERROR, "There are: up0", [], {}, "br0", "wlan7"),
    ("H205", Severity.ERROR, "ipvl0", [Link(index=8, name="ipvl0", kind="ipvlan", lower=2)], {}, "br0", "up0"),
    ("H206", Severity.ERROR, "wireless", [], {"wireless": True}, "br0", "up0"),
    ("H207", Severity.ERROR, "bond bond0", [Link(index=9, name="bond0", kind="bond")], {"master": 9}, "br0", "up0"),
    ("H207", Severity.ERROR, "vrf red", [Link(index=9, name="red", kind="vrf")], {"master": 9}, "br0", "up0"),
    ("H207", Severity.ERROR, "link 99", [], {"master": 99}, "br0", "up0"),
    ("H209", Severity.ERROR, "Open vSwitch", [], {"kind": "openvswitch"}, "br0", "up0"),
    ("H209", Severity.ERROR, "no Ethernet", [], {"ethernet": False}, "br0", "up0"),
    ("H210", Severity.WARNING, "up0.10", [VLAN], {}, "br0", "up0"),
    ("H211", Severity.WARNING, "eth1", [BR0, port(Link(index=5, name="eth1"), BR0)], {}, "br0", "up0"),
]


@pytest.mark.parametrize(("code", "severity", "words", "others", "fields", "bridge", "uplink"), BRIDGE_FINDINGS)
def test_what_is_wrong_with_a_bridge_is_said_with_a_remedy(code, severity, words, others, fields, bridge, uplink):
    host = Host((changed(UP0, **fields), *others))
    (finding,) = plan_bridge(host, bridge, uplink).findings
    assert (finding.code, finding.severity) == (code, severity)
    assert words in " ".join((finding.what, finding.why, finding.remedy))
    assert finding.remedy


@pytest.mark.parametrize("fields", [{"kind": "tun"}, {"kind": "veth", "lower_netns": 0}])
def test_guests_and_containers_on_a_bridge_are_no_second_way_out(fields):
    host = Host((UP0, BR0, port(Link(index=5, name="vnet0", **fields), BR0)))
    assert plan_bridge(host, "br0", "up0").findings == ()


def test_addresses_and_routes_of_an_uplink_are_named():
    host = Host(
        (UP0,),
        (Address(index=2, family=4, address="192.0.2.1/24"), Address(index=2, family=6, address="2001:db8::1/64")),
        (
            Route(family=4, destination="192.0.2.0/24", links=(2,), kernel_made=True),
            Route(family=4, destination="default", links=(4, 2), gateways=((2, "192.0.2.9"),)),
        ),
    )
    plan = plan_bridge(host, "br0", "up0")
    assert [f.code for f in plan.findings] == ["H203", "H204"]
    assert "192.0.2.1/24, 2001:db8::1/64" in plan.findings[0].what
    assert plan.findings[1].what.endswith("up0: default")
    assert plan.steps == ()


DIRECT_FINDINGS = [
    ("H301", Severity.ERROR, "Did you mean up0?", [], {}, "up1"),
    ("H303", Severity.ERROR, "Use bond bond0 itself", [Link(index=9, name="bond0", kind="bond")], {"master": 9}, "up0"),
    ("H304", Severity.ERROR, "wireless", [], {"wireless": True}, "up0"),
    ("H308", Severity.ERROR, "ipvl0", [Link(index=8, name="ipvl0", kind="ipvlan", lower=2)], {}, "up0"),
    ("H310", Severity.WARNING, "libvirt sets it up", [], {"up": False}, "up0"),
    ("H312", Severity.NOTE, "cannot talk to this guest", [], {}, "up0"),
]


@pytest.mark.parametrize(("code", "severity", "words", "others", "fields", "dev"), DIRECT_FINDINGS)
def test_what_is_wrong_with_a_lower_link_is_said(code, severity, words, others, fields, dev):
    host = Host((changed(UP0, **fields), *others))
    findings = {f.code: f for f in check_direct(host, Direct(dev, MacvtapMode.BRIDGE), None)}
    assert findings[code].severity is severity
    assert words in " ".join((findings[code].what, findings[code].why, findings[code].remedy))


def test_a_member_of_a_vrf_can_carry_macvtaps():
    host = Host((changed(UP0, master=9), Link(index=9, name="red", kind="vrf")))
    assert not any(f.is_error for f in check_direct(host, Direct("up0", MacvtapMode.BRIDGE), None))


def test_the_host_and_its_macvtap_guests_are_told_apart_where_the_host_has_an_address():
    host = Host((UP0,), (Address(index=2, family=4, address="192.0.2.1/24"),))
    (finding,) = check_direct(host, Direct("up0", MacvtapMode.BRIDGE), None)
    assert (finding.code, finding.severity) == ("H311", Severity.WARNING)
    assert "192.0.2.1/24" in finding.what
    assert "another NIC on a bridge" in finding.remedy


@pytest.mark.parametrize("mode", list(MacvtapMode))
def test_a_second_passthrough_is_refused_with_what_it_would_destroy(mode):
    sibling = Link(index=8, name="macvtap0", kind="macvtap", lower=2, mode="passthrough", mac=UP0.mac)
    (finding,) = [f for f in check_direct(Host((UP0, sibling)), Direct("up0", mode), None) if f.is_error]
    assert (finding.code, "macvtap0" in finding.what) == ("H305", True)
    assert ("change the link's MAC under the guest" in finding.why) == (mode == MacvtapMode.PASSTHROUGH)


def test_a_macvtap_in_another_namespaces_lower_is_no_sibling():
    stranger = Link(index=8, name="mv0", kind="macvlan", lower=2, lower_netns=0, mode="passthrough")
    host = Host((UP0, stranger))
    assert [f.code for f in check_direct(host, Direct("up0", MacvtapMode.PASSTHROUGH), None)] == ["H312"]


def test_an_attachment_chooses_its_preflight():
    host = Host((UP0,))
    direct = plan_attachment(host, Direct("up0", MacvtapMode.VEPA), None, None)
    assert direct.steps == () and [f.code for f in direct.findings] == ["H312"]
    assert plan_attachment(host, Bridge("br0"), None, "up0") == plan_bridge(host, "br0", "up0")


GUEST_MAC = "52:54:00:00:00:01"
MACVTAP = Link(index=5, name="macvtap0", kind="macvtap", mac=GUEST_MAC, lower=2, mode="bridge")


@pytest.mark.parametrize(("mode", "code"), [("bridge", "H307"), ("passthrough", "H305")])
def test_a_nic_is_no_rival_of_itself_and_others_are(mode, code):
    there = Host((changed(UP0, mac=GUEST_MAC if mode == "passthrough" else UP0.mac), changed(MACVTAP, mode=mode)))
    wish = Direct("up0", MacvtapMode(mode))
    assert [f.code for f in check_direct(there, wish, GUEST_MAC, ["macvtap0"])] == ["H312"]
    for own in ([], ["macvtap1"]):
        assert code in [f.code for f in check_direct(there, wish, GUEST_MAC, own)]


@pytest.mark.parametrize("attachment", [Bridge("br0"), Direct("up0", MacvtapMode.PASSTHROUGH)])
@pytest.mark.parametrize("name", ["up0", "enp1s0"])
def test_a_target_cannot_have_the_name_of_a_link(attachment, name):
    host = Host((changed(UP0, altnames=("enp1s0",)),))
    plan = plan_attachment(host, attachment, GUEST_MAC, "up0", target=name)
    assert "H314" in [f.code for f in plan.findings if f.is_error]
    assert plan.steps == ()


def test_a_target_may_be_the_link_that_the_nic_has_already():
    host = Host((UP0, MACVTAP))
    wish = Direct("up0", MacvtapMode.BRIDGE)
    plan = plan_attachment(host, wish, GUEST_MAC, None, target="macvtap0", own=["macvtap0"])
    assert [f.code for f in plan.findings] == ["H312"]


def test_a_link_is_called_by_its_own_name():
    host = Host((changed(UP0, altnames=("enp1s0",)),))
    assert [real_name(host, name) for name in ("up0", "enp1s0", "nope")] == ["up0", "up0", "nope"]


RELEASES = [
    # mode, the lower link's fields, what is to be seen to
    ("passthrough", {"permanent": "00:11:22:33:44:55"}, [KeepUp("up0", 2, GUEST_MAC, "00:11:22:33:44:55")]),
    ("passthrough", {}, [KeepUp("up0", 2, GUEST_MAC, None)]),
    ("passthrough", {"permanent": GUEST_MAC}, [KeepUp("up0", 2, GUEST_MAC, None)]),
    ("passthrough", {"up": False}, []),
    ("bridge", {}, []),
]


@pytest.mark.parametrize(("mode", "fields", "steps"), RELEASES)
def test_an_uplink_that_was_taken_whole_is_looked_after_when_it_comes_back(mode, fields, steps):
    host = Host((changed(UP0, mac=GUEST_MAC, **fields),))
    assert plan_release(host, Direct("up0", MacvtapMode(mode)), GUEST_MAC).steps == tuple(steps)
