"""In a lab: libvirtd ends and starts again, and everything is as it was."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.e2e.world import GATEWAY, UPLINK, Guest, changed, links, run, tool, until, vmnet

guest = Guest("guest1")
nics = [changed("attach", guest.name, "--direct", UPLINK, "--mode", mode)["nics"][0] for mode in ("bridge", "vepa")]
guest.reaches_lan(nics[0]["mac"])
address = guest.address(nics[0]["mac"])
before = [(n.same_in_both, n.target) for n in guest.running]

os.kill(int(Path("/run/libvirtd.pid").read_text()), signal.SIGTERM)
until(lambda: vmnet("list").code == 1, "libvirtd has ended")
refused = vmnet("list", "--json").error
assert refused["code"] == "libvirt-unreachable", refused
assert guest.console.count("lab: ready") == 1
tool("libvirtd", "--daemon", "--pid-file", "/run/libvirtd.pid")
until(lambda: run("virsh", "list").code == 0, "libvirtd is back")

assert [(n.same_in_both, n.target) for n in guest.running] == before
until(lambda: guest.pings(GATEWAY), "the guest still reaches the LAN")
rows = until(lambda: (r := vmnet("list", "--json").json["nics"])[0]["addresses"] and r, "the agent is back")
assert [row["notes"] for row in rows] == [[], []], rows
assert rows[0]["addresses"][0]["address"] == f"{address}/24", rows
for nic in nics:
    changed("detach", guest.name, nic["mac"])
assert (guest.running, guest.defined) == ([], [])
assert set(links()) == {"lo", UPLINK}
print("kept")
