"""A NIC as libvirt has it, held against the host: what is as it should be says nothing."""

from __future__ import annotations

import pytest

from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Source, State
from vmnet.guest.model import Document, Domain
from vmnet.host.model import Host, Link, Neighbour
from vmnet.operations.listing import as_seen, listing, rows_of
from vmnet.operations.watching import watch

MAC = "52:54:00:00:00:01"
BRIDGED = f"<interface type='bridge'><mac address='{MAC}'/><source bridge='br0'/><target dev='tap'/></interface>"
DIRECT = (
    f"<interface type='direct'><mac address='{MAC}'/><source dev='up0' mode='bridge'/><target dev='tap'/></interface>"
)
BR0, BR1, UP0 = (
    Link(index=1, name="br0", kind="bridge"),
    Link(index=2, name="br1", kind="bridge"),
    Link(index=3, name="up0"),
)


def tap(**said) -> Link:
    return Link(index=9, name="tap", **{"kind": "tun", "mode": None, **said})


def macvtap(**said) -> Link:
    return tap(**{"kind": "macvtap", "lower": 3, "mode": "bridge", **said})


def document(*nics: str) -> Document:
    return Document.parse(f"<domain><devices>{''.join(nics)}</devices></domain>")


def row(*nics: str, state: State = State.RUNNING):
    (only,) = rows_of(None, Domain("web", "uuid", state, document(*nics), document(*nics)), {})
    return only


@pytest.mark.parametrize(
    ("nic", "links", "notes"),
    [
        (BRIDGED, [BR0, tap(master=1)], ()),
        (BRIDGED, [BR0, BR1, tap(master=2)], ("tap is a port of br1, not of br0",)),
        (BRIDGED, [BR0, tap()], ("tap is a port of no bridge, not of br0",)),
        (BRIDGED, [BR0], ("the kernel has no link tap",)),
        (BRIDGED, [BR0, tap(master=1, up=False)], ("tap is down",)),
        (DIRECT, [UP0, macvtap()], ()),
        (DIRECT, [UP0, macvtap(mode="vepa")], ("tap is in mode vepa, not bridge",)),
        (DIRECT, [BR0, UP0, macvtap(lower=1)], ("tap is on br0, not on up0",)),
    ],
)
def test_what_the_kernel_has_otherwise_is_noted(nic, links, notes):
    assert as_seen(row(nic), Host(tuple(links)), {}).notes == notes


def test_a_link_that_is_down_under_a_paused_guest_is_as_it_should_be():
    host = Host((BR0, tap(master=1, up=False)))
    assert as_seen(row(BRIDGED, state=State.PAUSED), host, {}).notes == ()


def test_a_host_elsewhere_is_not_held_against_anything():
    assert as_seen(row(BRIDGED), None, {}).kernel is None


def test_a_nic_is_reached_where_its_neighbours_say():
    host = Host((BR0, tap(master=1)), neighbours=(Neighbour(index=1, family=4, address="192.0.2.7", mac=MAC),))
    (known,) = as_seen(row(BRIDGED), host, {}).addresses
    assert (known.address, known.source) == ("192.0.2.7", Source.NEIGHBOUR)


def test_a_field_that_only_one_document_has_is_unset_in_the_other():
    linked = BRIDGED.replace("<target", "<link state='down'/><target")
    (only,) = rows_of(None, Domain("web", "uuid", State.RUNNING, document(linked), document(BRIDGED)), {})
    assert only.notes == ("link is down now and unset after the next start",)


def test_only_what_is_among_the_devices_is_a_nic():
    text = (
        f"<domain><metadata><x:n xmlns:x='urn:x'><interface/><devices>{DIRECT}</devices></x:n></metadata>"
        f"<description><![CDATA[<devices>{DIRECT}</devices>]]></description>"
        f"<devices><!-- {DIRECT} -->{BRIDGED}</devices></domain>"
    )
    (only,) = rows_of(None, Domain("web", "uuid", State.SHUTOFF, None, Document.parse(text)), {})
    assert (only.type, only.nic) == ("bridge", {"bridge": "br0", "mac": MAC, "target": "tap"})


def test_a_row_is_told_with_all_that_is_known_of_it():
    said = as_seen(row(DIRECT), Host((UP0, macvtap())), {}).document()
    assert said["kernel"] == {"link": "tap", "on": "up0", "mode": "bridge", "up": True}
    assert (said["state"], said["documents"], said["differs"]) == ("running", ("live", "config"), {})


@pytest.fixture
def connection(tmp_path):
    """libvirt's own test driver, with two domains."""
    domains = "".join(
        f"<domain type='test'><name>{name}</name><memory>8192</memory><os><type>hvm</type></os>"
        f"<devices>{BRIDGED}</devices></domain>"
        for name in ("web", "db")
    )
    file = tmp_path / "node.xml"
    file.write_text(f"<node>{domains}</node>")
    with Connection(f"test://{file}") as connection:
        yield connection


def test_a_domain_that_is_named_twice_is_listed_once_and_watched_in_the_same_order(connection):
    names = ["web", "db", "web", connection.domain("db").uuid]
    listed = listing(connection, names)
    watching = watch(connection, names)
    assert [row.domain for row in listed] == ["db", "web"]
    assert next(watching) == listed
    watching.close()
