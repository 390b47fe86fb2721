"""Rules on how packets move: queues, offloads and other options of the driver."""

from __future__ import annotations

from collections.abc import Iterator

from vmnet.findings import Severity
from vmnet.nic.attachment import Other
from vmnet.nic.model import Nic
from vmnet.nic.rules.table import Remark, rule
from vmnet.nic.xml import quoted

_VIRTIO_OPTIONS = ("iommu", "ats", "packed", "page_per_vq")
_QUEUE_SIZES = ("rx_queue_size", "tx_queue_size")
_QEMU_TX = 256


@rule("N102", Severity.WARNING)
def queues_need_virtio(nic: Nic) -> Iterator[Remark]:
    """libvirt drops driver/@queues in silence unless the model is one of virtio's (since 1.0.6)."""
    if nic.queues is not None and not nic.is_virtio:
        has = f"the model is {quoted(nic.model)}" if nic.model else "no model is given"
        yield Remark(
            "the queues will be lost",
            f"only virtio has more than one, {has}, and libvirt drops them without a word",
            "Say --model virtio, or leave the queues out",
            "queues",
        )


@rule("N121", Severity.WARNING)
def driver_needs_virtio(nic: Nic) -> Iterator[Remark]:
    """libvirt drops <driver>, <host> and <guest> in silence unless the model is one of virtio's (9.0 to 12.8)."""
    if nic.is_virtio or isinstance(nic.attachment, Other):
        return
    dropped = [
        name
        for name in nic.values()
        if Nic.FIELDS[name].element == "driver" and name not in ("queues", *_VIRTIO_OPTIONS)
    ]
    for name in dropped:
        yield Remark(
            f"{name} will be lost",
            "it is an option of virtio's, and libvirt drops it without a word",
            f"Say --model virtio, or leave {name} out",
            name,
        )


@rule("N122", Severity.ERROR)
def virtio_option_needs_virtio(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses iommu, ats, packed and page_per_vq unless the model is one of virtio's (9.0 to 12.8)."""
    for name in _VIRTIO_OPTIONS:
        if nic.get(name) is not None and not nic.is_virtio:
            yield Remark(
                f"{name} is an option of virtio's",
                "libvirt refuses it with another model",
                f"Say --model virtio, or leave {name} out",
                name,
            )


@rule("N123", Severity.ERROR)
def queue_size_is_odd(nic: Nic) -> Iterator[Remark]:
    """libvirt refuses a queue size that is no power of two; QEMU one below 256 or above 1024, when it starts."""
    for name in _QUEUE_SIZES:
        size = nic.get(name)
        if size is not None and str(size) not in Nic.field(name).type.choices and nic.is_virtio:
            yield Remark(
                f"{name} cannot be {size}",
                "QEMU's queues have 256, 512 or 1024 descriptors",
                f"Give {Nic.field(name).type.means}",
                name,
            )


@rule("N124", Severity.WARNING)
def tx_queue_size_does_nothing(nic: Nic) -> Iterator[Remark]:
    """QEMU makes tx_queue_size 256 in silence but on vhost-user and vDPA (since QEMU 2.10); libvirt keeps it."""
    size = nic.tx_queue_size
    if size is not None and size > _QEMU_TX and nic.is_virtio and not isinstance(nic.attachment, Other):
        yield Remark(
            f"the transmit queue will have {_QEMU_TX} descriptors, not {size}",
            "QEMU has a longer one for vhost-user and vDPA only, and shortens it without a word",
            "Leave tx_queue_size out",
            "tx_queue_size",
        )


@rule("N125", Severity.ERROR)
def too_many_queues(nic: Nic) -> Iterator[Remark]:
    """The kernel's tap has 256 queues at most, and libvirt fails when it makes the tap (MAX_TAP_QUEUES, since 3.8)."""
    if nic.queues is not None and nic.queues > 256 and nic.is_virtio:
        yield Remark(f"{nic.queues} queues are too many", "a tap has 256 at most", "Give 256 or fewer", "queues")
