"""`vmnet wait`: until a guest has an address, or cannot have one any more."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE

import pytest

from tests.e2e.world import UPLINK, at_rest, changed, run, tool, until, vmnet
from vmnet.errors import VmnetError
from vmnet.guest.connection import Connection

MAC = "52:54:00:00:00:01"


@contextmanager
def waiting(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`vmnet wait` that has a connection to libvirt, and waits."""
    command = ["vmnet", "wait", *arguments]
    others = clients()  # those of a test before may take a moment to go
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            until(lambda: set(clients()) - set(others), "it is connected")
            at_rest(process.pid)
            yield process
        finally:
            process.kill()


def clients() -> list[str]:
    """The connections that libvirt has."""
    return re.findall(r"^ (\d+) ", tool("virt-admin", "srv-clients-list", "libvirtd"), re.MULTILINE)


def disconnect() -> None:
    """Have libvirt end all of them."""
    for client in clients():
        run("virt-admin", "client-disconnect", "libvirtd", client)


def test_the_address_of_a_nic_that_comes_meanwhile_is_waited_for(guest1):
    with waiting(guest1.name, "--timeout", "60") as process:
        changed("attach", guest1.name, "--direct", UPLINK, "--mac", MAC)
        said, _ = process.communicate(timeout=90)
    assert (process.returncode, said.strip()) == (0, guest1.address(MAC))


def test_what_happens_to_others_does_not_end_it_early(off, guest1):
    with waiting(off.name, "--timeout", "4") as process:
        changed("attach", guest1.name, "--direct", UPLINK)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "no address after 4 s" in said
    assert "it does not run" in said


def test_a_domain_that_goes_away_meanwhile_is_told(off):
    with waiting(off.name) as process:
        tool("virsh", "undefine", off.name)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "[domain-gone]" in said


def test_an_interrupt_is_told_in_a_sentence(off):
    with waiting(off.name) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    assert said == "error: interrupted; nothing was changed [interrupted]\n"


def test_a_daemon_that_goes_away_is_told(off):
    with waiting(off.name) as process:
        disconnect()
        _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "[libvirt-lost]" in said
    assert "Traceback" not in said


def test_a_daemon_that_goes_away_while_it_is_asked_is_told_too(off):
    with Connection("qemu:///system") as connection:
        handle = connection.domain(off.name)
        disconnect()
        for ask in (handle.state, handle.glimpse, connection.domains):
            with pytest.raises(VmnetError) as told:
                ask()
            assert told.value.code == "libvirt-lost"


def test_no_time_at_all_is_one_look(off):
    assert vmnet("wait", off.name, "--timeout", "0").code == 1
