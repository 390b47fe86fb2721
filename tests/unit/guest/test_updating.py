"""Bandwidth by libvirt's own call, in libvirt's test driver: each rate, and of two NICs with one MAC the one meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vmnet.guest.connection import Connection
from vmnet.guest.editing import Update, field_changes
from vmnet.guest.kinds import Target
from vmnet.guest.observe import observe
from vmnet.guest.updating import update
from vmnet.nic.generator import rewrite

NIC = """<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><target dev='tap{n}'/>
<address type='pci' domain='0' bus='0' slot='{n}' function='0'/></interface>"""
NODE = """<node><domain type='test'><name>web</name><memory>1</memory><os><type arch='i686'>hvm</type></os><devices>
<controller type='pci' index='0' model='pci-root'/>{nics}</devices></domain></node>"""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A running domain with two NICs of one MAC address."""
    node = tmp_path / "node.xml"
    node.write_text(NODE.format(nics="".join(NIC.format(n=n) for n in (3, 4))))
    with Connection(f"test://{node}") as connection:
        yield connection


def limit(connection: Connection, number: int, **rates: str | None) -> list[tuple[str | None, str | None]]:
    """Set or unset rates of a NIC by its number; the limits of all NICs then."""
    handle = connection.domain("web")
    domain = observe(handle)
    nic = domain.live.nics[number]
    wished = rewrite(nic, rates)
    update(handle, Update("web", domain.uuid, wished, Target.LIVE, nic, field_changes(nic, wished)))
    return [(nic.inbound, nic.outbound) for nic in observe(handle).live.nics]


@pytest.mark.parametrize("rates", ["1000", "1000,2000", "1000,2000,512", "1000,,512"])
def test_each_rate_of_a_limit_is_set_and_the_other_direction_is_left(connection, rates):
    assert limit(connection, 0, inbound=rates) == [(rates, None), (None, None)]
    assert limit(connection, 0, outbound=rates) == [(rates, rates), (None, None)]


def test_a_limit_is_taken_away_in_the_direction_that_is_meant(connection):
    limit(connection, 0, inbound="1000,2000,512", outbound="7")
    assert limit(connection, 0, inbound=None) == [(None, "7"), (None, None)]
    assert limit(connection, 0, outbound=None) == [(None, None), (None, None)]


def test_of_two_nics_with_one_mac_the_one_that_is_meant_is_limited(connection):
    assert limit(connection, 1, inbound="1000") == [(None, None), ("1000", None)]
    assert limit(connection, 1, inbound=None) == [(None, None), (None, None)]
