"""What is told of guests that could not be put back."""

from __future__ import annotations

import pytest

from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.errors import NotRolledBack, VmnetError
from vmnet.guest.applier import GuestWing
from vmnet.guest.kinds import State, Target
from vmnet.guest.model import Document, Domain
from vmnet.guest.planner import Attach, Detach
from vmnet.nic.model import Nic

NIC = "<interface type='bridge'><mac address='52:54:00:00:00:0{}'/><source bridge='br0'/></interface>"
OLD, NEW = (Nic.parse(NIC.format(number)) for number in (1, 2))


class Gone:
    """A connection whose daemon went away."""

    def again(self, uuid: str):
        raise VmnetError("libvirt-lost", "looking up the domain failed", why="client socket is closed")


def test_each_guest_is_named_with_what_may_remain_on_it_and_the_way_on():
    document = Document.parse(f"<domain><devices>{OLD.xml()}</devices></domain>")
    domains = [Domain(name, name, State.RUNNING, document, document) for name in ("web", "db")]
    steps = (
        Attach("web", "web", NEW, Target.LIVE),
        Attach("web", "web", NEW, Target.CONFIG),
        Detach("db", "db", OLD, Target.LIVE),
    )
    with pytest.raises(NotRolledBack) as told:
        execute(Plan(steps), {"guest": GuestWing(Gone(), 1, domains)}, lambda _: None)
    error = told.value
    assert "looking up the domain failed" in error.what
    assert error.why.startswith("client socket is closed; ")
    assert f"web could not be put back: NIC {NEW.mac}, bridge br0 may still be there" in error.why
    assert f"db could not be put back: NIC {OLD.mac}, bridge br0 may be missing or changed" in error.why
    assert error.remedy == (
        f"Look at it with: vmnet list web; and take away what is there of it: vmnet detach web {NEW.mac}. "
        "Look at it with: vmnet list db"
    )
