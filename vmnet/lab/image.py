"""The guest's kernel and initramfs, built once from Debian's packages and kept in a cache; nothing is installed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from vmnet.errors import VmnetError
from vmnet.lab.cache import kept
from vmnet.lab.cpio import Entry, archive, directory, file, link
from vmnet.values import dataclass

_META_PACKAGE = "linux-image-cloud-amd64"
_OTHER_PACKAGES = ("busybox-static", "qemu-guest-agent")
_DRIVERS = ("virtio_pci", "virtio_net", "virtio_console", "af_packet")
_SCRIPTS = {"init": "init", "dhcp": "dhcp", "sbin/shutdown": "shutdown"}
"""Files of the guest, and what each is made from."""
_SOURCES = Path(__file__).parent / "guest"
_FORMAT = 2
"""Raise it when other code here makes another image of the same parts."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a lab guest boots from.

    Args:
        kernel: The bzImage, which unpacks itself at each boot. QEMU starts an uncompressed one (PVH) sooner, but that
            hung in a reset after an e1000e NIC had come and gone (QEMU 7.2, Linux 6.1); why is not known.
        initrd: The initramfs: busybox, the drivers, the guest agent and our init.
    """

    kernel: Path
    initrd: Path


def guest_image(say: Callable[[str], None]) -> Image:
    """The guest image, downloaded and built if the cache has none for the present recipe.

    Args:
        say: Told what takes its time, a sentence each.

    Raises:
        VmnetError: A package cannot be had, or the cache cannot be written.
    """

    def made(out: Path) -> None:
        say("Fetching a Debian kernel, busybox and the guest agent (once, about 40 MB)")
        with tempfile.TemporaryDirectory(dir=out) as scratch:
            _build(_unpack(Path(scratch)), out)

    try:
        place = kept(_recipe(), made)
    except OSError as error:
        raise _unavailable(str(error), "Make room for it, or name another directory in XDG_CACHE_HOME") from error
    return Image(place / "vmlinuz", place / "initrd")


def _recipe() -> str:
    """A name that changes with what goes into the image."""
    scripts = {name: Path(_SOURCES, source).read_text() for name, source in _SCRIPTS.items()}
    parts = (_FORMAT, _META_PACKAGE, _OTHER_PACKAGES, _DRIVERS, scripts)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _unpack(scratch: Path) -> Path:
    """Download the packages and unpack them into one tree."""
    packages = (_kernel_package(), *_OTHER_PACKAGES)
    _run(["apt-get", "--quiet=2", "download", *packages], scratch)
    tree = scratch / "tree"
    for package in sorted(scratch.glob("*.deb")):
        _run(["dpkg-deb", "--extract", os.fspath(package), os.fspath(tree)], scratch)
        package.unlink()
    return tree


def _kernel_package() -> str:
    """The package that the meta package for the newest cloud kernel depends on."""
    shown = _run(["apt-cache", "show", "--no-all-versions", _META_PACKAGE], Path("/"))
    if not (found := re.search(r"^Depends: (linux-image-[^ ,]+)", shown, re.MULTILINE)):
        raise _unavailable(f"{_META_PACKAGE} names no kernel")
    return found.group(1)


def _run(command: list[str], where: Path) -> str:
    return _fed(command, b"", where).decode(errors="replace")


def _fed(command: list[str], data: bytes, where: Path) -> bytes:
    """What the command makes of its input."""
    try:
        return subprocess.run(command, cwd=where, input=data, check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise _unavailable(f"there is no {command[0]} here", f"Install {command[0]}; a lab needs Debian") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise _unavailable(said[-1] if said else str(error)) from error


def _unavailable(why: str, remedy: str = "") -> VmnetError:
    return VmnetError(
        "lab-image",
        "the lab's guest image cannot be made",
        why=why,
        remedy=remedy or "Run 'apt-get update' once on a Debian system that reaches its package mirror",
    )


def _build(tree: Path, out: Path) -> None:
    kernel = _only(tree, "boot/vmlinuz-*")
    version = kernel.name.removeprefix("vmlinuz-")
    modules = _modules(_only(tree, f"lib/modules/{version}/kernel"))
    shutil.copyfile(kernel, out / "vmlinuz")
    (out / "initrd").write_bytes(archive(_root(_only(tree, "bin/busybox"), _only(tree, "sbin/qemu-ga"), modules)))


def _only(tree: Path, pattern: str) -> Path:
    """The file that the packages put into / or, which is the same place today, into /usr."""
    for found in (*tree.glob(pattern), *tree.glob(f"usr/{pattern}")):
        return found
    raise _unavailable(f"Debian's packages hold no {pattern}")


def _root(busybox: Path, agent: Path, modules: dict[str, bytes]) -> Iterator[Entry]:
    """The guest's root file system."""
    libraries = _libraries(agent)
    folders = {"bin", "dev", "proc", "sys", "run", "var", "var/run", "tmp", "etc", "sbin", "modules"}
    for library in libraries:
        folders.update(os.fspath(p)[1:] for p in library.parents if p != Path("/"))
    yield from (directory(name) for name in sorted(folders))
    yield file("bin/busybox", busybox.read_bytes())
    yield link("bin/sh", "busybox")
    yield file("bin/qemu-ga", agent.read_bytes())
    yield from (file(os.fspath(library)[1:], library.read_bytes()) for library in libraries)
    yield from (file(name, Path(_SOURCES, source).read_bytes()) for name, source in _SCRIPTS.items())
    yield from (file(f"modules/{name}.ko", code) for name, code in modules.items())
    yield file("modules/order", "".join(f"{name}\n" for name in modules).encode())


def _libraries(program: Path) -> list[Path]:
    """The shared libraries that `program` needs, as this system's loader finds them."""
    listed = _run(["ldd", os.fspath(program)], Path("/"))
    return [Path(p) for p in re.findall(r"(/\S+\.so\S*) \(0x", listed)]


def _modules(folder: Path) -> dict[str, bytes]:
    """The drivers and what they depend on, in load order; read from .modinfo, so no depmod is needed."""
    places = {p.stem.replace("-", "_"): p for p in folder.rglob("*.ko")}
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in ordered or name not in places:
            return
        code = places[name].read_bytes()
        found = re.search(rb"\0depends=([^\0]*)\0", code)
        for needed in found.group(1).decode().split(",") if found else ():
            add(needed)
        ordered[name] = code

    for driver in _DRIVERS:
        add(driver)
    return ordered
