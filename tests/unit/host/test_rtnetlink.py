"""What the kernel answers is data: read within its bounds, whole or not at all, and never fatal."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmnet.errors import VmnetError
from vmnet.host.model import Link
from vmnet.host.rtnetlink import ADDRESSES, LINKS, NEIGHBOURS, ROUTES, Table, dump
from vmnet.host.wire import Line, attributes

NEW_LINK, DONE, ERROR = 16, 3, 2
WHOLE, TORN = 0x2, 0x12
OK = pack("=i", 0)


def message(kind: int, body: bytes, flags: int = WHOLE) -> bytes:
    return pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(name: str, *more: bytes) -> bytes:
    return pack("=BxHiII", 0, 1, 7, 0x1, 0) + attribute(3, name.encode() + b"\0") + b"".join(more)


class Told(Line):
    """A line on whose other end is whoever holds the other socket."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end


def answered(table: Table, *datagrams: bytes):
    """What is made of a kernel's answers, datagram by datagram."""
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, kernels:
        for datagram in datagrams:
            kernels.send(datagram)
        kernels.shutdown(socket.SHUT_WR)
        return dump(Told(ours), table)


def test_a_link_is_read():
    macs = attribute(1, bytes.fromhex("525400000001")), attribute(54, bytes.fromhex("001122334455"))
    (found,) = answered(LINKS, message(NEW_LINK, link("eth0", *macs)), message(DONE, OK))
    assert (found.name, found.index, found.mac, found.up) == ("eth0", 7, "52:54:00:00:00:01", True)
    assert found.permanent == "00:11:22:33:44:55"


def test_a_torn_dump_is_read_again():
    torn = message(NEW_LINK, link("old0")), message(DONE, OK, TORN)
    found = answered(LINKS, *torn, *torn, message(NEW_LINK, link("new0")) + message(DONE, OK))
    assert [n.name for n in found] == ["new0"]


def test_a_table_that_never_keeps_still_is_an_error():
    with pytest.raises(VmnetError) as told:
        answered(LINKS, *[message(NEW_LINK, link("v0"), TORN) + message(DONE, OK)] * 9)
    assert told.value.code == "netlink-unsteady"


@pytest.mark.parametrize(
    ("datagram", "code"),
    [
        (message(ERROR, pack("=i", -1)), "netlink-eperm"),
        (message(DONE, pack("=i", -105)), "netlink-enobufs"),
        (b"", "netlink-ebadmsg"),
        (b"\0" * 16, "netlink-ebadmsg"),
        (message(NEW_LINK, link("v0"))[:-4], "netlink-ebadmsg"),
        (message(NEW_LINK, link("v0")) + b"\xff" * 20, "netlink-ebadmsg"),
        (message(NEW_LINK, bytes(70_000)), "netlink-ebadmsg"),
    ],
    ids=["refused", "broken off", "nothing", "zeros", "cut off", "garbage behind", "larger than is read"],
)
def test_an_answer_that_is_none_is_an_error(datagram, code):
    with pytest.raises(VmnetError) as told:
        answered(LINKS, datagram)
    assert told.value.code == code


def test_a_message_of_another_kind_is_passed_over():
    assert answered(LINKS, message(99, b"news"), message(NEW_LINK, link("v0")), message(DONE, OK))


def test_a_name_of_any_bytes_is_kept():
    odd = pack("=BxHiII", 0, 1, 7, 0, 0) + attribute(3, b"\xff\x1b[2J\0")
    assert answered(LINKS, message(NEW_LINK, odd), message(DONE, OK)) == (
        Link(index=7, name="\udcff\x1b[2J", mtu=0, up=False, carrier=False, operstate="unknown"),
    )


@given(st.binary(max_size=300))
def test_attributes_of_any_bytes_lie_within_them(data):
    found = list(attributes(data))
    assert sum(4 + len(value) for _, value in found) <= len(data)
    assert all(value in data for _, value in found)


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=30)), max_size=8), st.binary(max_size=3))
def test_attributes_are_those_that_were_written(pairs, rest):
    assert list(attributes(b"".join(attribute(*pair) for pair in pairs) + rest)) == pairs


def odd_attributes() -> st.SearchStrategy[bytes]:
    """Attributes with the numbers that mean something, holding nonsense, other attributes, or not all they should."""
    nests = st.recursive(
        st.binary(max_size=20),
        lambda inner: st.lists(st.builds(attribute, st.integers(0, 55), inner), max_size=6).map(b"".join),
        max_leaves=12,
    )
    return st.builds(lambda whole, cut: whole[: len(whole) - cut], nests, st.integers(0, 3))


@pytest.mark.parametrize("table", [LINKS, ADDRESSES, ROUTES, NEIGHBOURS], ids=lambda table: table.name)
@given(header=st.binary(max_size=16), family=st.sampled_from([2, 10, 28, 255]), more=odd_attributes())
def test_no_answer_is_fatal(table, header, family, more):
    for answer in (header, (bytes([family]) + header)[: table.header.size] + more, link("v0", more)):
        table.value(answer)


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_no_datagram_is_fatal(datagrams):
    try:
        answered(LINKS, *datagrams)
    except VmnetError as error:
        assert error.code.startswith("netlink-")


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """A reader that waits for more than was sent would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(5)
    yield
    socket.setdefaulttimeout(before)
