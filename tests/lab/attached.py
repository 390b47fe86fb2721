"""In a lab: give guest1 a macvtap NIC, meet the other lab, and reach the LAN. Arguments: own and the other's file."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.world import UPLINK, Guest, changed, links, until

mine, theirs = map(Path, sys.argv[1:])
guest = Guest("guest1")
nic = changed("attach", guest.name, "--direct", UPLINK, "--mac", "52:54:00:00:00:01")["nics"][0]
mine.touch()
until(theirs.exists, "the other lab has attached its NIC too", 60)
guest.reaches_lan(nic["mac"])
print(guest.name, nic["target"], links()[nic["target"]]["ifindex"], guest.pings("10.99.0.1"))
