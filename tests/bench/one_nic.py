"""Print how many seconds one NIC takes, from its values to its XML: `one_nic.py vmnet|virtinst`.

Each runs in its own interpreter: virtinst is Debian's, and not to be had in a virtual environment.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

MAC = "52:54:00:be:00:01"
CALLS = 1000


def vmnet() -> Callable[[], str]:
    """vmnet's generator, its template loaded."""
    from vmnet.nic import templates
    from vmnet.nic.generator import generate

    template = templates.load("direct")
    wish = {"direct": "up0", "mode": "bridge", "mac": MAC, "model": "virtio"}
    return lambda: generate(template, wish).xml()


def virtinst() -> Callable[[], str]:
    """virtinst's own, which wants a connection but does not use it here."""
    sys.path.insert(0, "/usr/share/virt-manager")
    from virtinst import DeviceInterface
    from virtinst.connection import VirtinstConnection

    connection = VirtinstConnection("qemu:///system")

    def one() -> str:
        nic = DeviceInterface(connection)
        nic.type, nic.source, nic.source_mode, nic.macaddr, nic.model = "direct", "up0", "bridge", MAC, "virtio"
        return str(nic.get_xml())

    return one


make = {"vmnet": vmnet, "virtinst": virtinst}[sys.argv[1]]()
assert all(part in make() for part in (MAC, "up0", "bridge", "virtio")), make()
start = time.perf_counter()
for _ in range(CALLS):
    make()
print((time.perf_counter() - start) / CALLS)
