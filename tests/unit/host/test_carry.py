"""What was dumped is given back with the link exchanged, less the time that has passed, and nothing else."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmnet.host import ethtool
from vmnet.host.carried import GEN_MODE, Carried
from vmnet.host.carry import Difference, addresses_to_come, passing_over
from vmnet.host.entry import Entry, Kind
from vmnet.host.model import Link
from vmnet.host.picture import bare, enslaved, moved, released
from vmnet.host.wire import attributes, packed

UP0, BR0 = ("up0", 3), ("br0", 1 << 20)
FOREVER = 0xFFFFFFFF


def address(text: str, length: int, *, flags=0x80, label=None, valid=FOREVER, preferred=FOREVER) -> Entry:
    v6 = ":" in text
    family = socket.AF_INET6 if v6 else socket.AF_INET
    raw = socket.inet_pton(family, text)
    told = {1: raw} if v6 else {1: raw, 2: raw, 3: (label or "up0").encode() + b"\0"}
    told |= {8: pack("=I", flags), 6: pack("=IIII", preferred, valid, 5, 6)}
    return Entry(Kind.ADDRESS, pack("=BBBBi", family, length, flags & 0xFF, 0, 3) + packed(told.items()))


def route(*, family=2, flags=0, expires=0, **more: bytes) -> Entry:
    told = {4: pack("=I", 3), 12: pack("=IIiIIII", 0, 0, expires, 0, 0, 0, 0)} | {
        int(k[1:]): v for k, v in more.items()
    }
    return Entry(Kind.ROUTE, pack("=BBBBBBBBI", family, 0, 0, 0, 254, 4, 0, 1, flags) + packed(told.items()))


def told(message):
    """The attributes of a message about an address or a route."""
    size = 8 if message.kind in (20, 21) else 12
    return dict(attributes(message.body[size:]))


uplink = Link(index=3, name="up0", mac="02:00:00:00:00:10")
bridge = Link(index=1 << 20, name="br0", kind="bridge", mac="02:00:00:00:00:10", alias="vmnet:1")
a4, b4 = address("192.0.2.1", 24, label="up0:web"), address("192.0.2.2", 24, flags=0x81)
a6, b6 = address("2001:db8::1", 64), address("2001:db8::2", 64)
full = Carried(
    link=uplink,
    at=100.0,
    addresses=(a4, b4, a6, b6),
    routes=(route(x5=b"\xc0\x00\x02\xfe"),),
    sysctls={GEN_MODE: "0", "ipv6/conf/accept_ra": "2"},
)
empty = Carried(link=bridge, at=100.0, sysctls={GEN_MODE: "1", "ipv6/conf/accept_ra": "1"})


def test_a_label_has_the_name_of_its_link():
    (message,) = [a4.onto(UP0, BR0).add(0)]
    assert told(message)[3] == b"br0:web\0"


@pytest.mark.parametrize("entry", [a4, b4, a6, *full.routes])
def test_there_and_back_is_the_same(entry):
    there = entry.onto(UP0, BR0)
    assert there.links == (1 << 20,)
    assert there.onto(BR0, UP0) == entry


def test_lifetimes_are_less_what_has_passed():
    entry = address("2001:db8::1", 64, flags=0, valid=600, preferred=100)
    assert told(entry.add(200.0))[6][:8] == pack("=II", 0, 400)
    assert entry.add(600.0) is None
    assert told(a6.add(10**9))[6][:8] == pack("=II", FOREVER, FOREVER)


def test_an_expiring_route_is_told_in_seconds_and_goes_by_itself():
    entry = route(family=10, expires=180000)
    assert told(entry.add(800.0))[23] == pack("=I", 1000)
    assert 12 not in told(entry.add(800.0))
    assert entry.add(1800.0) is None


def test_a_nest_is_marked_as_one_when_it_is_given_back():
    """The kernel refuses some encapsulations without NLA_F_NESTED (Linux 6.18)."""
    encapsulated = Entry(Kind.ROUTE, route().body + pack("=HHHHI", 12, 0x8000 | 22, 8, 1, 5))
    for entry in (encapsulated, encapsulated.onto(UP0, BR0).onto(BR0, UP0)):
        assert pack("=HHHHI", 12, 0x8000 | 22, 8, 1, 5) in entry.add(0).body


def test_what_the_kernel_says_of_a_route_is_not_said_back():
    hop = pack("=HBBi", 8, 0x11, 2, 3)  # dead, and its link down
    message = route(flags=0x15, x9=hop).add(0)
    assert message.body[8:12] == pack("=I", 0x4)
    assert told(message)[9] == pack("=HBBi", 8, 0, 2, 3)


def test_attributes_that_nobody_knows_come_along():
    assert told(route(x55=b"news").add(0))[55] == b"news"


def test_an_ipv6_address_comes_without_a_question_and_is_then_as_it_was():
    assert told(a6.add(0))[8] == pack("=I", 0x02)
    assert told(a6.add(0, dad=True))[8] == pack("=I", 0)


def test_addresses_come_in_the_order_in_which_the_kernel_shows_them():
    """The last IPv6 address to come is shown first, and the last IPv4 address last (Linux 6.18)."""
    picture, _ = enslaved(full, empty)
    doing = [m.doing for m in addresses_to_come([Difference(empty, picture)])]
    assert doing == [f"Adding {n}" for n in ("192.0.2.1/24", "192.0.2.2/24", "2001:db8::2/64", "2001:db8::1/64")]


def test_routes_go_before_addresses_and_the_last_address_first():
    doing = [m.doing for m in passing_over([Difference(full, bare(full))])]
    assert doing[0].startswith("Removing route")
    assert doing[-1] == "Removing 192.0.2.1/24"


def test_the_bridge_and_its_port_come_and_go_together():
    on_bridge, port = enslaved(full, empty)
    assert port.link.master == bridge.index
    assert port.entries == ()
    assert port.sysctls[GEN_MODE] == "1"
    assert on_bridge.sysctls == full.sysctls
    on_uplink, left = released(replace(on_bridge, link=bridge), port)
    assert (on_uplink.link.master, on_uplink.sysctls, left.entries) == (None, full.sysctls, ())
    assert [e.key() for e in on_uplink.entries] == [e.key() for e in full.entries]


def test_a_bridge_without_the_hosts_address_gives_no_settings_back():
    on_uplink, _ = released(empty, full)
    assert on_uplink.sysctls == full.sysctls


def test_what_a_link_has_of_its_own_stays():
    own = address("198.51.100.1", 24).onto(UP0, BR0)
    assert own in moved(full, replace(empty, addresses=(own,))).addresses


def test_a_picture_goes_to_disk_and_back():
    assert Carried.of_document(json.loads(json.dumps(full.document()))) == full


@pytest.mark.parametrize("wrong", [{}, {"link": {}}, {"link": None, "data": "x"}, {**full.document(), "routes": [{}]}])
def test_another_document_is_no_picture(wrong):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Carried.of_document(wrong)


@given(st.lists(st.sampled_from([a4, b4, a6, b6, *full.routes]), max_size=8), st.data())
def test_what_is_missing_and_surplus_is_all_that_differs(entries, data):
    some = tuple(data.draw(st.permutations(entries)))
    now, wanted = replace(full, addresses=some, routes=()), full
    difference = Difference(now, wanted)
    after = [*(e.key() for e in now.entries), *(e.key() for e in difference.missing)]
    for e in difference.surplus:
        after.remove(e.key())
    assert sorted(after) == sorted(e.key() for e in wanted.entries)
    assert list(Difference(full, full).words()) == []


def test_lro_comes_back_once_the_link_is_no_port_and_only_then():
    joining = replace(full, lro=True)
    on_bridge, port = enslaved(joining, empty)
    as_port = replace(port, lro=False)
    assert not any(Difference(now, wanted).is_to_join_frames for now, wanted in ((as_port, port), (empty, on_bridge)))
    assert Difference(as_port, joining).is_to_join_frames, "an undo"
    assert Difference(as_port, released(on_bridge, as_port, lro=True)[0]).is_to_join_frames
    assert not Difference(as_port, released(on_bridge, as_port)[0]).is_to_join_frames


def test_a_link_without_lro_has_none_and_stays_as_it_is():
    assert not ethtool.joins_frames("lo")
    assert not ethtool.join_frames("no such link")
