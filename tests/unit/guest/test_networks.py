"""What a libvirt network comes down to."""

from __future__ import annotations

import pytest

from vmnet.guest.networks import Network, resolve

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
