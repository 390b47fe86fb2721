"""What stands against a NIC before it comes."""

from __future__ import annotations

import pytest

from vmnet.nic import rules
from vmnet.nic.model import Nic
from vmnet.operations.company import all_kept

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
