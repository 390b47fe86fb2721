"""The plan of a hostlink, from values alone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from vmnet.host.carried import Carried
from vmnet.host.direct import check_direct
from vmnet.host.hostlink import HostlinkOptions, name_of, plan_add, plan_remove, unfit_address
from vmnet.host.hostlink_steps import CarryFromHostlink, CarryToHostlink, CreateHostlink, DeleteHostlink, GiveAddresses
from vmnet.host.model import Address, Host, Link, Route
from vmnet.nic.attachment import Direct, MacvtapMode

UP0 = Link(index=2, name="up0", mac="02:00:00:00:00:10", permanent="02:00:00:00:00:10")
HOST0 = Link(
    index=9, name="host0", kind="macvlan", mode="bridge", lower=2, mac="02:00:00:00:00:99", alias="vmnet:12345678"
)
MOVED = replace(HOST0, alias="vmnet:12345678+moved")
LAN = Address(index=2, family=4, address="192.0.2.1/24")
OWN = Address(index=9, family=4, address="192.0.2.3/24")


def host(*links: Link, addresses: tuple[Address, ...] = (LAN,)) -> Host:
    return Host((UP0, *links), addresses)


def add(there: Host, **options: object):
    return plan_add(there, {"up0": Carried(link=UP0, at=0.0)}, "up0", HostlinkOptions(**options))


def remove(there: Host, link: Link):
    return plan_remove(there, {link.name: Carried(link=link, at=0.0)}, link.name)


def test_a_hostlink_has_a_mac_of_its_own_that_is_always_the_same():
    (first, _), (again, _), (other, _) = (add(host(), move=True, name=name).steps for name in ("host0", "host0", "h1"))
    assert isinstance(first, CreateHostlink)
    assert first.mac == again.mac != other.mac
    assert int(first.mac[:2], 16) & 3 == 2


def test_the_name_is_that_of_the_hostlink_that_is_there_or_the_first_that_is_free():
    options = HostlinkOptions()
    assert name_of(host(), "up0", options) == "host0"
    assert name_of(host(replace(HOST0, name="lan7")), "up0", options) == "lan7"
    assert name_of(host(replace(HOST0, alias=None)), "up0", options) == "host1"
    assert name_of(host(HOST0), "up0", HostlinkOptions(name="mine")) == "mine"


def test_what_is_there_already_takes_no_step():
    assert add(host(MOVED, addresses=()), move=True).steps == ()
    assert add(host(HOST0, addresses=(LAN, OWN)), addresses=("192.0.2.3/24",)).steps == ()
    (step,) = add(host(HOST0, addresses=(LAN, OWN)), addresses=("192.0.2.3/24", "2001:db8::3/64")).steps
    assert step == GiveAddresses("host0", ("2001:db8::3/64",), ("2001:db8::/64",))


def test_all_that_the_uplink_carries_moves_after_the_hostlink_is_there():
    create, carry = add(host(), move=True).steps
    assert (create.moving, isinstance(carry, CarryToHostlink)) == (True, True)


@pytest.mark.parametrize(
    ("code", "links", "options"),
    [
        ("H308", [Link(index=8, name="iv0", kind="ipvlan", lower=2)], {}),
        ("H469", [MOVED], {"move": True, "name": "host1"}),
    ],
)
def test_add_refuses(code, links, options):
    plan = add(host(*links), **options)
    assert (code in {f.code for f in plan.findings if f.is_error}, plan.steps) == (True, ())


UNFIT = [
    ("0.0.0.0/24", "no address"),
    ("10.1.0.9/0", "prefix of 0"),
    ("::/0", "prefix of 0"),
    ("10.1.0.0/24", "network"),
    ("10.1.0.255/24", "broadcast"),
    ("255.255.255.255/32", "broadcast"),
    ("127.0.0.5/8", "loopback"),
    ("::1/128", "loopback"),
    ("224.0.0.1/24", "multicast"),
    ("ff02::1/64", "multicast"),
    ("fe80::5/64", "link-local"),
    ("2001:db8::/64", "network"),
]


@pytest.mark.parametrize(("text", "why"), UNFIT)
def test_what_no_host_can_have_is_no_address(text, why):
    assert why in unfit_address(ip_interface(text))


@pytest.mark.parametrize("text", ["10.1.0.9/24", "10.1.0.0/31", "10.1.0.1/31", "10.1.0.7/32", "2001:db8::/127"])
def test_what_a_host_can_have_is_an_address(text):
    assert unfit_address(ip_interface(text)) == ""


@pytest.mark.parametrize(
    ("text", "refused"), [("192.0.2.3/23", True), ("192.0.2.3/24", False), ("192.0.2.3/28", False)]
)
def test_a_prefix_that_is_wider_than_the_lans_is_refused(text, refused):
    assert ("H481" in {f.code for f in add(host(), addresses=(text,)).findings if f.is_error}) == refused


def test_the_lan_is_as_wide_as_the_widest_network_that_the_uplink_has_there():
    wide = replace(LAN, address="192.0.0.1/16")
    assert add(host(addresses=(LAN, wide)), addresses=("192.0.2.3/16",)).steps
    assert not add(host(addresses=(LAN, wide)), addresses=("192.0.2.3/15",)).steps


def test_an_address_that_a_hostlink_has_with_another_prefix_is_its_own():
    there = host(HOST0, addresses=(LAN, replace(OWN, address="192.0.2.3/32")))
    (finding,) = (f for f in add(there, addresses=("192.0.2.3/24",)).findings if f.is_error)
    assert (finding.code, "has 192.0.2.3/32" in finding.what) == ("H462", True)


def test_a_second_hostlink_beside_the_one_that_carries_the_hosts_address_tells_what_changes():
    there = host(MOVED, addresses=(replace(LAN, index=9),))
    (finding,) = (f for f in add(there, addresses=("192.0.2.3/24",), name="host1").findings if f.code == "H466")
    assert "routes by a gateway stay on host0" in finding.why


DEFAULT = Route(family=4, destination="default", links=(9,), gateways=((9, "192.0.2.254"),), table=254)
ON_HOST0 = replace(LAN, index=9)


@pytest.mark.parametrize(
    ("alias", "addresses", "routes", "moves"),
    [
        ("vmnet:adopted", (ON_HOST0,), (), True),
        ("vmnet:adopted", (LAN, OWN), (), False),
        ("vmnet:adopted", (), (), False),
        ("vmnet:12345678", (ON_HOST0,), (), False),
        ("vmnet:12345678", (LAN, OWN), (DEFAULT,), True),
        ("vmnet:12345678+moved", (ON_HOST0,), (DEFAULT,), True),
    ],
)
def test_what_the_host_would_lose_with_a_hostlink_goes_back_whatever_its_alias_says(alias, addresses, routes, moves):
    link = replace(HOST0, alias=alias)
    steps = remove(replace(host(link, addresses=addresses), routes=routes), link).steps
    assert [type(step) for step in steps] == [*([CarryFromHostlink] if moves else []), DeleteHostlink]


@pytest.mark.parametrize(("addresses", "alias"), [((ON_HOST0,), "vmnet:adopted+moved"), ((LAN, OWN), "vmnet:adopted")])
def test_how_to_adopt_a_hostlink_is_told_so_that_nothing_is_lost(addresses, alias):
    link = replace(HOST0, alias="the office LAN")
    (finding,) = remove(host(link, addresses=addresses), link).findings
    assert (finding.code, finding.remedy.rpartition(" ")[2]) == ("H478", alias)


@pytest.mark.parametrize(
    ("code", "link", "others"),
    [
        ("H479", HOST0, [Link(index=10, name="host0.7", kind="vlan", lower=9)]),
        ("H480", replace(MOVED, lower=7, lower_netns=0), []),
    ],
)
def test_remove_refuses(code, link, others):
    plan = remove(host(link, *others), link)
    assert (code in {f.code for f in plan.findings if f.is_error}, plan.steps) == (True, ())


def test_addresses_of_its_own_go_with_a_hostlink():
    (step,) = remove(host(HOST0, addresses=(LAN, OWN)), HOST0).steps
    assert step == DeleteHostlink(HOST0.identity, "192.0.2.3/24")


@pytest.mark.parametrize(("mode", "apart"), [(MacvtapMode.BRIDGE, False), (MacvtapMode.PRIVATE, True)])
def test_a_guest_beside_a_hostlink_is_not_apart_from_the_host(mode, apart):
    findings = check_direct(host(HOST0, addresses=(OWN,)), Direct("up0", mode), None)
    assert ("H312" in {f.code for f in findings}) == apart
