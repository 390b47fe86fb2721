"""What cannot be done from here is refused: libvirt's test driver is a host that is not this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmnet.errors import Refused
from vmnet.guest.connection import Connection
from vmnet.guest.kinds import Scope
from vmnet.operations.change import Run
from vmnet.operations.choice import Choice
from vmnet.operations.edit import edit

NODE = """<node><domain type='test'><name>web</name><memory>1</memory><os><type arch='i686'>hvm</type></os><devices>
<interface type='direct'><mac address='52:54:00:00:00:01'/><source dev='up0' mode='bridge'/></interface>
</devices></domain></node>"""


def test_a_macvtap_mode_of_a_guest_of_another_host_is_refused_but_for_its_definition(tmp_path: Path):
    node = tmp_path / "node.xml"
    node.write_text(NODE)
    with Connection(f"test://{node}") as connection:
        with pytest.raises(Refused) as told:
            edit(connection, Choice(["web"]), "1", {"mode": "private"}, scope=Scope.LIVE, run=Run(dry=True))
        assert [finding.code for finding in told.value.findings] == ["G314"]
        edit(connection, Choice(["web"]), "1", {"mode": "private"}, scope=Scope.CONFIG, run=Run(dry=True))
