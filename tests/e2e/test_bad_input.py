"""Bad input: a clear error, the right exit code, an unchanged world, and nothing raw on the terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.world import UPLINK, Guest, changed, run, unchanged_world, vmnet

DIRECT = ("--direct", UPLINK)
ESCAPES = "\x1b[31mred\x1b[0m"
REVERSED = "\u202egnp.exe"
DAEMON = Path("/run/libvirt")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "vmnet")

ATTACHES = [
    # domain, options, exit code, error code, what it must name
    ("guest3", DIRECT, 1, "domain-unknown", "guest3"),
    ("99999999999999999999", DIRECT, 1, "domain-unknown", "9999"),
    ("a" * 5000, DIRECT, 1, "domain-unknown", "aaaa"),
    ("", DIRECT, 1, "domain-unknown", "''"),
    (ESCAPES, DIRECT, 1, "domain-unknown", "red"),
    (REVERSED, DIRECT, 1, "domain-unknown", "gnp.exe"),
    ("two\nlines", DIRECT, 1, "domain-unknown", "lines"),
    ("guest1", ("--direct", "up7"), 1, "H301", "up7"),
    ("guest1", ("--bridge", "br7"), 1, "H103", "br7"),
    ("guest1", ("--bridge", UPLINK), 1, "H102", UPLINK),
    ("guest1", ("--bridge", "br7", "--uplink", "up7"), 1, "H201", "up7"),
    ("guest1", ("--bridge", "br7", "--uplink", ESCAPES), 1, "H201", "red"),
    ("guest1", (*DIRECT, "--mode", "loud"), 2, "bad-value", "loud"),
    ("guest1", ("--direct", "x" * 16), 2, "bad-value", "15"),
    ("guest1", ("--direct", "a/b"), 2, "bad-value", "a/b"),
    ("guest1", ("--direct", "a\nb"), 2, "bad-value", r"a\nb"),
    ("guest1", ("--direct", ESCAPES), 2, "bad-value", "red"),
    ("guest1", ("--bridge", "x" * 16, "--uplink", UPLINK), 2, "bad-value", "15"),
    ("guest1", ("--bridge", "a/b", "--uplink", UPLINK), 2, "bad-value", "a/b"),
    ("guest1", ("--bridge", ESCAPES, "--uplink", UPLINK), 2, "bad-value", "red"),
    ("guest1", ("--bridge", "all", "--uplink", UPLINK), 1, "H101", "all"),
    ("guest1", (*DIRECT, "--target", "x" * 16), 2, "bad-value", "15"),
    ("guest1", (*DIRECT, "--mac", "01:00:5e:00:00:01"), 2, "bad-value", "multicast"),
    ("guest1", (*DIRECT, "--mac", "ff:ff:ff:ff:ff:ff"), 2, "bad-value", "multicast"),
    ("guest1", (*DIRECT, "--mac", "52:54:00:00:00"), 2, "bad-value", "52:54:00:00:00"),
    ("guest1", (*DIRECT, "--mac", "02:00:00:00:00:01"), 1, "mac-in-use", UPLINK),
    ("guest1", (*DIRECT, "--bridge", "br0"), 2, "attachment-ambiguous", "--bridge"),
    ("guest1", (), 2, "attachment-missing", "--direct"),
    ("guest1", (*DIRECT, "--alias", "net0"), 2, "bad-value", "ua-"),
    ("guest1", (*DIRECT, "--mtu", "9000"), 1, "N101", "mtu"),
    ("guest1", (*DIRECT, "--template", "nonsense"), 1, "template-unknown", "nonsense"),
    ("guest1", (*DIRECT, "--template", "/etc/passwd"), 1, "template-invalid", "passwd"),
]


def clear(text: str) -> bool:
    """Whether a terminal would only show it."""
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize(("domain", "options", "code", "error", "names"), ATTACHES)
def test_a_bad_attach_is_told_and_changes_nothing(domain, options, code, error, names):
    with unchanged_world():
        done = vmnet("attach", domain, *options)
        document = vmnet("attach", domain, *options, "--json").error
    assert (done.code, done.out) == (code, "")
    assert error in {document["code"], *(f["code"] for f in document.get("findings", ()))}
    assert names in done.err
    assert clear(done.err)
    assert "Traceback" not in done.err


@pytest.mark.parametrize("nic", ["52:54:00:00:00:99", "0", "2", "", ESCAPES, "x" * 5000])
def test_a_nic_that_is_not_there_is_told_with_those_that_are(guest1, nic):
    mac = changed("attach", guest1.name, *DIRECT, "--config")["nics"][0]["mac"]
    with unchanged_world():
        done = vmnet("detach", guest1.name, nic)
    assert done.code == 1
    assert mac in done.err
    assert clear(done.err)


@pytest.mark.parametrize("scope", [(), ("--config",)])
def test_a_mac_of_another_domain_is_not_given_twice(guest1, guest2, scope):
    nic = changed("attach", guest1.name, *DIRECT, *scope)["nics"][0]
    with unchanged_world():
        done = vmnet("attach", guest2.name, *DIRECT, "--mac", nic["mac"].upper(), "--json")
    assert done.code == 1
    assert done.error["code"] == "mac-in-use"
    assert guest1.name in done.error["why"]


@pytest.mark.parametrize(
    "command", [("list",), ("attach", "guest1", *DIRECT), ("detach", "guest1", "1")], ids=lambda c: c[0]
)
def test_a_libvirt_that_does_not_run_is_told_of(command):
    with unchanged_world():
        done = vmnet(*command, "-c", "qemu+unix:///system?socket=/nonexistent", "--json")
    assert done.code == 1
    assert done.error["code"] == "libvirt-unreachable"
    assert "systemctl start" in done.error["remedy"]


def test_a_daemon_in_the_environment_is_the_daemon_that_is_asked():
    done = vmnet("list", "--json", env=os.environ | {"LIBVIRT_DEFAULT_URI": "nonsense:///"})
    assert done.code == 1
    assert "nonsense:///" in done.error["what"]


@pytest.fixture
def for_root_only() -> object:
    """libvirt's socket for those who may change things is root's, as in most installations."""
    socket = DAEMON / "libvirt-sock"
    socket.chmod(0o700)
    yield
    socket.chmod(0o777)


def test_a_user_who_may_not_change_anything_is_told_who_may(for_root_only):
    with unchanged_world():
        done = run(*NOBODY, "attach", "guest1", *DIRECT, "--json")
    assert done.code == 1
    assert done.error["code"] == "permission-denied"
    assert "root" in done.error["remedy"]


def test_a_user_who_may_only_look_still_gets_the_list(guest1: Guest, for_root_only):
    nic = changed("attach", guest1.name, *DIRECT)["nics"][0]
    done = run(*NOBODY, "list", "--json")
    assert done.code == 0, done.err
    assert [row["nic"]["mac"] for row in done.json["nics"]] == [nic["mac"]]
    assert done.json["nics"][0]["kernel"]["on"] == UPLINK


def test_a_user_whom_libvirt_lets_in_but_the_kernel_does_not_gets_no_bridge(guest1: Guest):
    with unchanged_world():
        done = run(*NOBODY, "attach", "guest1", "--bridge", "br0", "--uplink", UPLINK, "--json")
    assert done.code == 1
    assert "root" in done.error["remedy"] or "root" in done.error["why"]


def test_a_session_daemon_is_refused_with_the_right_one(guest1: Guest):
    with unchanged_world():
        done = vmnet("attach", guest1.name, *DIRECT, "-c", "qemu:///session", "--json")
    assert done.code == 1
    assert "G305" in [f["code"] for f in done.error["findings"]]
    assert "qemu:///system" in done.error["remedy"]


@pytest.mark.parametrize("wrong", [("frobnicate",), ("attach",), ("attach", "guest1", "--nonsense"), ("list", "--xml")])
def test_a_command_line_that_makes_no_sense_is_usage(wrong):
    done = vmnet(*wrong)
    assert done.code == 2
    assert done.out == ""
    assert "Traceback" not in done.err
