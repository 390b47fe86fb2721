"""What stands against a NIC before it comes."""

from __future__ import annotations

import pytest

from vmnet.host.model import BridgeSettings, Host, Link
from vmnet.nic import rules
from vmnet.nic.model import Nic
from vmnet.operations.company import all_kept, on_host

NIC = """<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><model type='e1000e'/>
{}</interface>"""


@pytest.mark.parametrize(
    ("more", "unsettable", "said"),
    [
        ("<driver queues='4'/>", (), ("queues", "Say --model virtio, or leave the queues out")),
        ("<driver queues='4'/>", ("queues",), ("queues", "Say --unset queues too")),
        ("<driver name='vhost'/>", ("driver",), ("driver", "Say --unset driver too")),
    ],
)
def test_what_libvirt_would_drop_is_refused_and_not_missed_afterwards(more, unsettable, said):
    (found,) = all_kept(rules.check(Nic.parse(NIC.format(more))), unsettable)
    assert (found.is_error, found.field, found.remedy) == (True, *said)


def test_what_is_only_said_stays_what_it_is():
    found = rules.check(Nic.parse(NIC.format("").replace("e1000e", "mine")))
    assert list(all_kept(found)) == found != []


BR0 = Link(index=3, name="br0", kind="bridge", mac="02:00:00:00:00:20", bridge=BridgeSettings())
UP0 = Link(index=2, name="up0", mac="02:00:00:00:00:10", master=3)
VNET0 = Link(index=4, name="vnet0", mac="fe:54:00:00:00:01", master=3)


@pytest.mark.parametrize(
    ("mtu", "ports", "codes"),
    [
        (9000, (UP0, VNET0), ["H315"]),
        (1500, (UP0,), []),
        (9000, (VNET0,), []),  # the bridge takes the MTU of the port that is its only one
    ],
)
def test_an_mtu_larger_than_the_bridges_is_warned_of_where_others_are_on_it(mtu, ports, codes):
    nic = Nic.parse(NIC.format(f"<mtu size='{mtu}'/>"))
    found = on_host(Host((BR0, *ports)), nic, None, own=["vnet0"], live=True).findings
    assert [f.code for f in found if f.code == "H315"] == codes
    assert not any(f.is_error for f in found)
