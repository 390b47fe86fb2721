"""A kernel and an initramfs to boot, built once from Debian's packages and kept in a cache; nothing is installed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from vmnet.errors import VmnetError
from vmnet.lab.cache import kept
from vmnet.lab.cpio import Entry, archive, directory, file, link
from vmnet.values import dataclass

_FORMAT = 3
"""Raise it when other code here makes another image of the same parts."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an initramfs is made of, beside busybox.

    Args:
        kernel: Debian's package that depends on the newest kernel of a kind.
        drivers: Kernel modules; they come with those that they depend on. What the kernel has built in is no matter.
        scripts: Our files, by their place in the image; ``init`` loads the drivers in the order of ``modules/order``.
        programs: Debian's programs with their libraries, by their place in the image: the package, and where it has it.
    """

    kernel: str
    drivers: tuple[str, ...]
    scripts: Mapping[str, Path]
    programs: Mapping[str, tuple[str, str]]


_SOURCES = Path(__file__).parent / "guest"
_GUEST = Recipe(
    kernel="linux-image-cloud-amd64",
    drivers=("virtio_pci", "virtio_net", "virtio_console", "af_packet"),
    scripts={"init": _SOURCES / "init", "dhcp": _SOURCES / "dhcp", "sbin/shutdown": _SOURCES / "shutdown"},
    programs={"bin/qemu-ga": ("qemu-guest-agent", "sbin/qemu-ga")},
)


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine boots from.

    Args:
        kernel: The bzImage, which unpacks itself at each boot. QEMU starts an uncompressed one (PVH) sooner, but that
            hung in a reset after an e1000e NIC had come and gone (QEMU 7.2, Linux 6.1); why is not known.
        initrd: The initramfs.
    """

    kernel: Path
    initrd: Path


def guest_image(say: Callable[[str], None]) -> Image:
    """The image of a lab guest, as `image`."""
    return image(_GUEST, say)


def image(recipe: Recipe, say: Callable[[str], None]) -> Image:
    """The image of a recipe, downloaded and built if the cache has none.

    Args:
        recipe: What it is made of.
        say: Told what takes its time, a sentence each.

    Raises:
        VmnetError: A package cannot be had, or the cache cannot be written.
    """

    def made(out: Path) -> None:
        others = [package for package, _ in recipe.programs.values()]
        packages = (_kernel_package(recipe.kernel), "busybox-static", *others)
        say(f"Fetching {', '.join(packages)} (once)")
        with tempfile.TemporaryDirectory(dir=out) as scratch:
            _build(recipe, _unpack(packages, Path(scratch)), out)

    try:
        place = kept(_key(recipe), made)
    except OSError as error:
        raise _unavailable(str(error), "Make room for it, or name another directory in XDG_CACHE_HOME") from error
    return Image(place / "vmlinuz", place / "initrd")


def _key(recipe: Recipe) -> str:
    """A name that changes with what goes into the image."""
    scripts = {name: source.read_text() for name, source in recipe.scripts.items()}
    parts = (_FORMAT, recipe.kernel, recipe.drivers, scripts, dict(recipe.programs))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _unpack(packages: tuple[str, ...], scratch: Path) -> Path:
    """Download the packages and unpack them into one tree."""
    _run(["apt-get", "--quiet=2", "download", *packages], scratch)
    tree = scratch / "tree"
    for package in sorted(scratch.glob("*.deb")):
        _run(["dpkg-deb", "--extract", os.fspath(package), os.fspath(tree)], scratch)
        package.unlink()
    return tree


def _kernel_package(newest: str) -> str:
    """The package that the meta package for the newest kernel depends on."""
    shown = _run(["apt-cache", "show", "--no-all-versions", newest], Path("/"))
    if not (found := re.search(r"^Depends: (linux-image-[^ ,]+)", shown, re.MULTILINE)):
        raise _unavailable(f"{newest} names no kernel")
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


def _build(recipe: Recipe, tree: Path, out: Path) -> None:
    kernel = _only(tree, "boot/vmlinuz-*")
    version = kernel.name.removeprefix("vmlinuz-")
    modules = _modules(_only(tree, f"lib/modules/{version}/kernel"), recipe.drivers)
    programs = {place: _only(tree, found) for place, (_, found) in recipe.programs.items()}
    shutil.copyfile(kernel, out / "vmlinuz")
    root = _root(_only(tree, "bin/busybox"), programs, recipe.scripts, modules)
    (out / "initrd").write_bytes(archive(root))


def _only(tree: Path, pattern: str) -> Path:
    """The file that the packages put into / or, which is the same place today, into /usr."""
    for found in (*tree.glob(pattern), *tree.glob(f"usr/{pattern}")):
        return found
    raise _unavailable(f"Debian's packages hold no {pattern}")


def _root(
    busybox: Path, programs: Mapping[str, Path], scripts: Mapping[str, Path], modules: Mapping[str, bytes]
) -> Iterator[Entry]:
    """The root file system."""
    libraries = dict.fromkeys(library for program in programs.values() for library in _libraries(program))
    folders = {"bin", "dev", "proc", "sys", "run", "var", "var/run", "tmp", "etc", "sbin", "modules"}
    for library in libraries:
        folders.update(os.fspath(p)[1:] for p in library.parents if p != Path("/"))
    yield from (directory(name) for name in sorted(folders))
    yield file("bin/busybox", busybox.read_bytes())
    yield link("bin/sh", "busybox")
    yield from (file(place, program.read_bytes()) for place, program in programs.items())
    yield from (file(os.fspath(library)[1:], library.read_bytes()) for library in libraries)
    yield from (file(place, source.read_bytes()) for place, source in scripts.items())
    yield from (file(f"modules/{name}.ko", code) for name, code in modules.items())
    yield file("modules/order", "".join(f"{name}\n" for name in modules).encode())


def _libraries(program: Path) -> list[Path]:
    """The shared libraries that `program` needs, as this system's loader finds them."""
    listed = _run(["ldd", os.fspath(program)], Path("/"))
    return [Path(p) for p in re.findall(r"(/\S+\.so\S*) \(0x", listed)]


def _modules(folder: Path, drivers: tuple[str, ...]) -> dict[str, bytes]:
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

    for driver in drivers:
        add(driver)
    return ordered
