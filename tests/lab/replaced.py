"""In a lab: a NIC goes and another one of the same name comes while the guest waits for an answer over the first."""

from __future__ import annotations

import re

from tests.e2e.world import UPLINK, Guest, changed, hypervisor, ip, tool, until

OLD, NEW = "52:54:00:00:00:0a", "52:54:00:00:00:0b"
guest = Guest("guest1")
changed("attach", guest.name, "--direct", UPLINK, "--mac", OLD)
guest.reaches_lan(OLD)
guest.address(OLD)
with guest.told(r"lab: lan eth0 down"):
    ip("-n lan link set port1 down")  # from now on the guest waits a second for each answer

document = f"<interface type='direct'><source dev='{UPLINK}'/><mac address='%s'/><model type='virtio'/></interface>"
with hypervisor() as connection:
    domain = connection.lookupByName(guest.name)
    domain.detachDevice(document % OLD)
    until(lambda: OLD not in domain.XMLDesc(), "the first NIC is gone")
    domain.attachDevice(document % NEW)
ip("-n lan link set port1 up")

guest.reaches_lan(NEW)
address = guest.address(NEW)
until(lambda: f"lab: nic- eth0 {OLD}" in guest.console, "the guest has told that the first NIC went")
assert f"lab: nic- eth0 {NEW}" not in guest.console
clients = re.findall(r"udhcpc .*-i (\S+)", guest.execute("/bin/ps")[1])
assert clients == ["eth0"], clients
assert address in guest.execute("/bin/ip", "addr", "show", "eth0")[1]
assert tool("virsh", "domstate", guest.name).strip() == "running"
print("replaced")
