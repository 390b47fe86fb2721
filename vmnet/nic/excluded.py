"""What libvirt's schema allows in an `<interface>` and vmnet never writes, and what no template may say: with reasons.

A key is a path: an attribute, or an element with all that is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from vmnet.nic.xml import Element

_LIVE = "libvirt's own note on a running guest"
_OTHER_KIND = "of no use to a NIC on a bridge, a macvtap or a network"
_ROOT = "a program that libvirt runs as root, for type='ethernet' and Xen"

EXCLUDED = MappingProxyType(
    {
        "source/@portid": _LIVE,
        "source/@macTableManager": _LIVE,
        "mac/@currentAddress": _LIVE,
        "bandwidth/@classID": _LIVE,
        "target/@managed": "libvirt refuses managed='no' but on type='ethernet', and managed='yes' says nothing",
        "script": _ROOT,
        "downscript": _ROOT,
        "backenddomain": "for Xen; on QEMU it does nothing",
        "backend/@type": _OTHER_KIND,
        "backend/@logFile": _OTHER_KIND,
        "backend/@hostname": _OTHER_KIND,
        "backend/@fqdn": _OTHER_KIND,
        "portForward": _OTHER_KIND,
        "ip": "for containers and type='user'; libvirt refuses it for QEMU's other NICs",
        "route": "for containers and type='user'; libvirt refuses it for QEMU's other NICs",
        "guest": "for containers",
        "driver/@name": "its values kvm, vfio and xen are of type='hostdev'",
        **{
            f"address/@{name}": "of another bus than PCI: such an address is kept and shown, and not chosen"
            for name in (
                *("controller", "port", "target", "unit", "reg", "cssid", "ssid", "devno", "iobase", "irq", "base"),
            )
        },
        "address/zpci": "s390's second address of a PCI device, which libvirt numbers itself",
    }
)
"""By path, why."""

UNSAFE = MappingProxyType(
    {
        "script": "libvirt runs it as root",
        "downscript": "libvirt runs it as root",
        "backend": "libvirt opens its paths as root",
        "backenddomain": "it names a domain of the host",
        "rom/@file": "QEMU loads it, and the guest runs it and can read it",
    }
)
"""What a template may not say, and why: it may come from anywhere, and the NIC acts on the host."""


def unsafe(nic: Element) -> Iterator[tuple[str, str]]:
    """What an `<interface>` that comes from anywhere must not say: the part as written, and why."""
    for path, why in UNSAFE.items():
        tag, _, attribute = path.partition("/@")
        if any(not attribute or node.get(attribute) is not None for node in nic.iterfind(tag)):
            yield f"<{tag}>" if not attribute else f"{attribute} in <{tag}>", why
    for node in nic.iter("{*}*"):
        for name in (node.tag, *node.keys()):
            if str(name).startswith("{"):
                yield str(name), "it is not of libvirt's <interface>, and a hypervisor may act on it"
                return
