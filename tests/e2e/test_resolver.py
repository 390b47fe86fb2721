"""What the real systemd-resolved was told of the uplink moves with the host's addresses, and comes back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_managers import bus, running
from tests.e2e.world import HOST_ADDRESS, UPLINK, changed, ip, links, run, tool, until, vmnet

UNPACKED = Path(".make/systemd-resolved").absolute()
DAEMON = UNPACKED / "lib/systemd/systemd-resolved"
STATE = Path("/run/systemd/resolve")
TOLD = {
    "dns": ("10.99.0.1", "10.99.0.2:5353#dns.example", "2001:db8::53"),
    "domain": ("example.org", "~corp.example"),
    "default-route": ("yes",),
    "llmnr": ("no",),
    "mdns": ("no",),
    "dnssec": ("allow-downgrade",),
}


@pytest.fixture
def resolved(tmp_path: Path) -> Iterator[None]:
    """systemd-resolved and its user, in this lab alone."""
    if not DAEMON.exists():
        assert not os.environ.get("CI"), "CI has systemd-resolved, or does not know whether this holds"
        pytest.skip("systemd-resolved is not unpacked: .ci/packages does that on Debian")
    mine = []
    for name, line in (
        ("passwd", "systemd-resolve:x:990:990::/:/usr/sbin/nologin\n"),
        ("group", "systemd-resolve:x:990:\n"),
    ):
        (tmp_path / name).write_text(Path("/etc", name).read_text() + line)
        mine.append((f"{tmp_path}/{name}", f"/etc/{name}"))
    for ours, theirs in mine:
        tool("mount", "--bind", ours, theirs)
    tool("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={UNPACKED}/usr/bin:/usr/bin", "/usr/bin")
    STATE.mkdir(parents=True)
    shutil.chown(STATE, "systemd-resolve", "systemd-resolve")
    try:
        with bus(tmp_path), running(str(DAEMON), tmp_path):
            until(lambda: run("resolvectl", "dns").code == 0, "systemd-resolved answers")
            yield
    finally:
        for place in ("/usr/bin", *(theirs for _, theirs in mine)):
            tool("umount", "--lazy", place)
        shutil.rmtree(STATE)


def known(link: str) -> dict[str, tuple[str, ...]]:
    """What systemd-resolved knows of a link."""
    return {verb: tuple(tool("resolvectl", verb, link).partition(": ")[2].split()) for verb in TOLD}


def test_name_servers_move_to_the_bridge_and_back_and_are_undone(resolved: None) -> None:
    ip(f"addr add {HOST_ADDRESS}/24 dev {UPLINK}")
    nothing = known(UPLINK)
    for verb, values in TOLD.items():
        tool("resolvectl", verb, UPLINK, *values)
    assert (before := known(UPLINK)) == TOLD
    transaction = changed("bridge", "prepare", "br0", "--uplink", UPLINK, "--yes")["transaction"]
    assert (known("br0"), known(UPLINK)["dns"]) == (before, nothing["dns"])
    assert vmnet("undo", transaction).code == 0
    assert "br0" not in links()
    assert known(UPLINK) == before
    changed("bridge", "prepare", "br0", "--uplink", UPLINK, "--yes")
    changed("bridge", "dismantle", "br0", "--yes")
    assert known(UPLINK) == before
