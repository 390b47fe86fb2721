"""Give each of ten guests a NIC: one vmnet, and a process of virsh for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import libvirt
from live import BRIDGE
from lxml import etree
from measure import Failed, timed

NAMES = tuple(f"many{n}" for n in range(1, 11))
VMNET, VIRSH, VIRSH_XML = "one vmnet attach", "10 x virsh attach-interface", "10 x virsh attach-device"


@contextmanager
def guests(like: str) -> Iterator[libvirt.virConnect]:
    """Ten guests that are off, as another one is but for their names."""
    connection = libvirt.open(None)
    original = connection.lookupByName(like).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    domains = [connection.defineXML(_renamed(original, like, name)) for name in NAMES]
    try:
        yield connection
    finally:
        for domain in domains:
            domain.undefine()


def cases(connection: libvirt.virConnect, vmnet: str, scratch: Path) -> dict[str, Callable[[], float]]:
    """A case for each tool; it leaves the guests without NICs."""
    file = scratch / "many.xml"
    file.write_text(f'<interface type="bridge"><source bridge="{BRIDGE}"/><model type="virtio"/></interface>')
    bare = {name: connection.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) for name in NAMES}

    def by_vmnet() -> float:
        return timed(vmnet, "attach", *NAMES, "--bridge", BRIDGE, "--config", "-q")

    def by_virsh(verb: str, *words: str) -> float:
        return sum(timed("virsh", "-q", verb, name, *words, "--config") for name in NAMES)

    def seen(attach: Callable[[], float]) -> float:
        took = attach()
        for name, xml in bare.items():
            if connection.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).count("<interface ") != 1:
                raise Failed(f"{name} did not get its NIC")
            connection.defineXML(xml)
        return took

    return {
        VIRSH: partial(seen, partial(by_virsh, "attach-interface", "bridge", BRIDGE, "--model", "virtio")),
        VIRSH_XML: partial(seen, partial(by_virsh, "attach-device", str(file))),
        VMNET: partial(seen, by_vmnet),
    }


def _renamed(original: str, like: str, name: str) -> str:
    """The definition under another name, with a console of its own and whatever else libvirt numbers left to it."""
    domain = etree.fromstring(original)
    for part in domain.xpath("uuid | devices/interface"):
        part.getparent().remove(part)
    return str(etree.tostring(domain, encoding="unicode")).replace(like, name)
