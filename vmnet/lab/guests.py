"""The guests of a lab host: defined from `templates/guest/lab.xml`, started together, awaited."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from vmnet.errors import VmnetError
from vmnet.lab.accelerator import COMMAND_LINE, READY
from vmnet.lab.image import Image
from vmnet.resources import shipped

if TYPE_CHECKING:
    from lxml.etree import _Element

CONSOLES = Path("/run/vmnet-lab")


def console(name: str) -> Path:
    """The file that a guest's console is written to."""
    return CONSOLES / f"{name}.console"


def start(names: Sequence[str], image: Image, accelerator: str, deadline: float) -> None:
    """Define and start guests and wait until each has booted.

    Args:
        names: The guests' names.
        image: What they boot from.
        accelerator: libvirt's domain type, ``kvm`` or ``qemu``.
        deadline: `time.monotonic()` by which all must be up.

    Raises:
        VmnetError: A guest did not boot; the reason is the end of its console.
    """
    import libvirt

    libvirt.registerErrorHandler(lambda *_: None, None)  # it prints every error otherwise
    try:
        with closing(libvirt.open("qemu:///system")) as connection:
            for name in names:
                connection.defineXML(_definition(name, image, accelerator)).create()
    except libvirt.libvirtError as error:
        raise VmnetError("lab-guest", "a lab guest did not start", why=str(error)) from error
    for name in names:
        while READY not in (said := _said(name)):
            if time.monotonic() > deadline:
                raise VmnetError("lab-guest", f"{name} did not boot in time", why=said[-500:])
            time.sleep(0.02)


def _said(name: str) -> str:
    return console(name).read_text(errors="replace") if console(name).exists() else ""


def _definition(name: str, image: Image, accelerator: str) -> str:
    from lxml import etree

    domain = etree.parse(shipped("guest/lab.xml")).getroot()
    domain.set("type", accelerator)
    _part(domain, "name").text = name
    _part(domain, "os/kernel").text = str(image.kernel)
    _part(domain, "os/initrd").text = str(image.initrd)
    _part(domain, "os/cmdline").text = f"{COMMAND_LINE} lab.name={name}"
    _part(domain, "devices/serial/source").set("path", str(console(name)))
    return etree.tostring(domain, encoding="unicode")


def _part(domain: _Element, path: str) -> _Element:
    part = domain.find(path)
    assert part is not None, f"guest/lab.xml has no {path}"
    return part
