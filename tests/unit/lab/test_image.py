"""The guest image, made from packages of a small Debian of our own: programs in a directory that is all of PATH."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from vmnet.errors import VmnetError
from vmnet.lab.cpio import archive, directory, file, link
from vmnet.lab.image import guest_image

KERNEL = b"the kernel"
VERSION = "6.1.0-1-cloud-amd64"


class Debian:
    """Programs that a lab makes its image with, and what the packages hold."""

    def __init__(self, place: Path) -> None:
        self.programs = place / "bin"
        self.tree = place / "tree"
        self.programs.mkdir()
        self.program("apt-cache", f'echo "Depends: linux-image-{VERSION} (= 1), other"')
        self.program("apt-get", ": >all.deb")
        self.program("dpkg-deb", f"cp -a {self.tree} $3")
        self.program("ldd", "echo static")
        self.ships("bin/busybox", b"busybox")
        self.ships("usr/sbin/qemu-ga", b"agent")
        self.ships(f"boot/vmlinuz-{VERSION}", KERNEL)
        modules = f"lib/modules/{VERSION}/kernel/net"
        self.ships(f"{modules}/virtio_net.ko", b"\0depends=net-failover,failover\0net")
        self.ships(f"{modules}/net_failover.ko", b"\0depends=failover\0net_failover")
        self.ships(f"{modules}/failover.ko", b"\0depends=\0failover")

    def program(self, name: str, does: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{does}\n")
        path.chmod(0o755)

    def ships(self, name: str, data: bytes) -> None:
        (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / name).write_bytes(data)


@pytest.fixture
def debian(tmp_path, monkeypatch) -> Debian:
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path / "cache"))
    system = Debian(tmp_path)
    monkeypatch.setenv("PATH", os.fspath(system.programs))
    return system


def unpacked(cpio: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and data of each name in an archive, read by the format's definition (initramfs-buffer-format.rst)."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while "TRAILER!!!" not in found:
        assert (cpio[at : at + 6], at % 4) == (b"070701", 0)
        numbers = [int(cpio[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name_end = at + 110 + numbers[11]
        data = name_end + -name_end % 4
        assert cpio[name_end - 1] == 0
        found[cpio[at + 110 : name_end - 1].decode()] = (numbers[1], cpio[data : data + numbers[6]])
        at = data + numbers[6]
        at += -at % 4
    assert at == len(cpio)
    del found["TRAILER!!!"]
    return found


def failure() -> VmnetError:
    with pytest.raises(VmnetError) as caught:
        guest_image(lambda _: None)
    assert caught.value.code == "lab-image"
    return caught.value


def test_an_archive_holds_what_was_put_in_and_a_console():
    entries = [directory("bin"), file("bin/a", b"abc"), link("bin/sh", "a"), file("empty", b"")]
    found = unpacked(archive(entries))
    console_mode, _ = found.pop("dev/console")
    assert stat.S_ISCHR(console_mode)
    assert found == {
        "bin": (stat.S_IFDIR | 0o755, b""),
        "bin/a": (stat.S_IFREG | 0o755, b"abc"),
        "bin/sh": (stat.S_IFLNK | 0o777, b"a"),
        "empty": (stat.S_IFREG | 0o755, b""),
    }


def test_an_image_is_made_once_and_holds_the_kernel_the_drivers_and_our_scripts(debian):
    told: list[str] = []
    image = guest_image(told.append)
    assert guest_image(told.append) == image
    assert len(told) == 1
    assert image.kernel.read_bytes() == KERNEL
    root = {name: data for name, (_, data) in unpacked(image.initrd.read_bytes()).items()}
    assert root["modules/order"].split() == [b"failover", b"net_failover", b"virtio_net"]
    assert (root["bin/busybox"], root["bin/qemu-ga"]) == (b"busybox", b"agent")
    assert all(root[script].startswith(b"#!/bin/busybox sh") for script in ("init", "dhcp", "sbin/shutdown"))
    assert sorted(p.name for p in image.kernel.parent.iterdir()) == ["initrd", "vmlinuz"]


def test_debian_may_have_moved_everything_to_usr(debian):
    for place in ("bin", "lib"):
        (debian.tree / place).rename(debian.tree / "usr" / place)
    assert guest_image(lambda _: None).kernel.read_bytes() == KERNEL


@pytest.mark.parametrize("program", ["apt-cache", "apt-get", "dpkg-deb", "ldd"])
def test_a_program_that_is_missing_is_named(debian, program):
    (debian.programs / program).unlink()
    assert program in failure().why


@pytest.mark.parametrize("part", [f"boot/vmlinuz-{VERSION}", "bin/busybox", "usr/sbin/qemu-ga"])
def test_a_part_that_no_package_holds_is_named(debian, part):
    (debian.tree / part).unlink()
    assert Path(part).name.split("-6")[0] in failure().why


def test_what_apt_says_last_is_the_reason(debian):
    debian.program("apt-get", "echo W: old >&2; echo 'E: Unable to locate package' >&2; exit 100")
    assert failure().why == "E: Unable to locate package"


def test_a_cache_that_cannot_be_written_is_told(debian, tmp_path):
    (tmp_path / "cache").write_text("a file")
    error = failure()
    assert "cache" in error.why
    assert "XDG_CACHE_HOME" in error.remedy
