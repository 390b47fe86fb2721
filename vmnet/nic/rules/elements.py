"""Rules on elements that no field speaks of: what QEMU's NICs do not have."""

from __future__ import annotations

from collections.abc import Iterator

from vmnet.findings import Severity
from vmnet.nic.attachment import Other
from vmnet.nic.model import Nic
from vmnet.nic.rules.table import Remark, rule


@rule("N151", Severity.ERROR)
def element_is_refused(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses <ip> and <route> at once, <script> when it attaches, on taps and macvtaps (9.0 to 12.8)."""
    if isinstance(nic.attachment, Other):
        return
    for tag in ("ip", "route", "script"):
        if nic.count(tag):
            yield Remark(
                f"<{tag}> does not go with this NIC",
                "libvirt has it for other kinds of NIC, and refuses it for a tap or macvtap of QEMU's",
                f"Leave <{tag}> out",
            )


@rule("N152", Severity.WARNING)
def element_does_nothing(nic: Nic) -> Iterator[Remark]:
    """libvirt keeps these elements on QEMU's taps and macvtaps and ignores them (9.0)."""
    if isinstance(nic.attachment, Other):
        return
    for tag in ("downscript", "backenddomain", "guest", "portForward"):
        if nic.count(tag):
            yield Remark(
                f"<{tag}> does nothing here",
                "it is of other kinds of NIC; libvirt keeps it and ignores it",
                f"Leave <{tag}> out",
            )


@rule("N153", Severity.ERROR)
def target_is_not_managed(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses target/@managed='no' on any type but ethernet (5.7 to 12.8)."""
    if nic.text("target/@managed") == "no" and not isinstance(nic.attachment, Other):
        yield Remark(
            "managed='no' does not go with this NIC",
            "libvirt makes the tap or macvtap itself, and refuses it on any type but ethernet",
            "Leave managed out",
        )
