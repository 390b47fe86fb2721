"""What only looks at the host does without pyroute2, whose import takes ten times as long as starting Python."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import sys
from vmnet.change.executor import execute
from vmnet.host.applier import HostWing
from vmnet.host.observe import observe
from vmnet.host.planner import plan_attachment
from vmnet.host.steps import VerifyPort
from vmnet.change.plan import Plan
from vmnet.nic.attachment import Direct, MacvtapMode

there = Direct("up0", MacvtapMode.BRIDGE)
plan = plan_attachment(observe(), there, None, None)
execute(plan + Plan((VerifyPort("web", "52:54:00:00:00:01", there),)), {"host": HostWing()}, lambda step: None)
print([name for name in sys.modules if name in ("pyroute2", "libvirt", "lxml")])
"""


def test_a_macvtap_is_planned_and_verified_without_pyroute2(uplink, ip):
    ip(f"link add macvtap0 link {uplink} address 52:54:00:00:00:01 type macvtap mode bridge")
    ip("link set macvtap0 up")
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
