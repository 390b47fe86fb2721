"""What a libvirt network comes down to."""

from __future__ import annotations

import pytest

from vmnet.guest.networks import Network, by_network, resolve, to_update
from vmnet.nic.model import Nic

NETWORKS = [
    (None, Network("a")),
    ("<network><bridge name='virbr1'/></network>", Network("a", "isolated", "virbr1")),
    ("<network><forward/><bridge name='virbr0'/></network>", Network("a", "nat", "virbr0")),
    ("<network><forward mode='route'/><bridge name='virbr0'/></network>", Network("a", "route", "virbr0")),
    ("<network><forward mode='bridge'/><bridge name='br0'/></network>", Network("a", "bridge", "br0")),
    (
        "<network><forward mode='vepa'><interface dev='eth0'/><interface/><interface dev='eth1'/></forward></network>",
        Network("a", "vepa", None, ("eth0", "eth1")),
    ),
]


@pytest.mark.parametrize(("definition", "network"), NETWORKS)
def test_a_network_resolves_to_its_bridge_or_its_uplinks(definition, network):
    assert resolve("a", definition) == network


TAP = "type='bridge'><source network='n' portgroup='p' portid='09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f' bridge='br0'/>"
MACVTAP = "type='direct'><source network='n' portgroup='p' dev='up0' mode='bridge'/>"
BY_NETWORK = ("network", "n", "p", None, None)


def shape(nic: Nic) -> tuple[str | None, ...]:
    return tuple(
        nic.text(path) for path in ("@type", "source/@network", "source/@portgroup", "source/@bridge", "source/@dev")
    )


@pytest.mark.parametrize("running", [TAP, MACVTAP])
def test_a_nic_of_a_network_is_plugged_in_by_its_network(running):
    nic = by_network(Nic.parse(f"<interface {running}<link state='down'/></interface>"))
    assert shape(nic) == BY_NETWORK
    assert nic.link == "down"


def test_an_update_leaves_a_macvtap_where_it_is_in_its_pool():
    tap, macvtap = (Nic.parse(f"<interface {running}</interface>") for running in (TAP, MACVTAP))
    assert shape(to_update(tap)) == BY_NETWORK
    assert to_update(macvtap) == macvtap


@pytest.mark.parametrize(
    "kind", ["type='bridge'><source bridge='br0'/>", "type='network'><source network='n' bridge='virbr0'/>"]
)
def test_any_other_nic_is_what_it_shows_as(kind):
    nic = Nic.parse(f"<interface {kind}</interface>")
    assert by_network(nic) is to_update(nic) is nic
