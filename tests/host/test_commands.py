"""The commands that see, keep and put back a change of the host, over a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.host.hosts import plain_host
from tests.host.lan import gateway, ip, shown
from tests.host.processes import Child
from vmnet.change import journal, locks
from vmnet.change.executor import execute
from vmnet.change.journal import Standing, State
from vmnet.change.plan import Plan
from vmnet.change.transaction import Transaction
from vmnet.cli.app import run
from vmnet.cli.face import Face
from vmnet.host import firewall
from vmnet.host.applier import HostWing
from vmnet.host.carried import observe_carried
from vmnet.host.observe import observe
from vmnet.host.planner import plan_prepare
from vmnet.host.probes import answering, peers
from vmnet.host.steps import VerifyPeers
from vmnet.host.wire import Line
from vmnet.operations.undoing import WATCHDOG


@pytest.fixture
def host(private_namespace: None, tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(locks, "folder", lambda: tmp_path / "vmnet" / "lock")
    with gateway():
        plain_host()
        yield


@pytest.fixture
def vmnet(host, capfd, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """A command line: its exit code, its stdout and its stderr."""

    def said(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vmnet", *words])
        code = run()
        return code, *capfd.readouterr()

    return said


def prepared() -> str:
    """A bridge over the host's only NIC, through which its gateways answer; the transaction's id."""
    with Line() as line:
        carried = observe_carried(line, ["up0"])
    known = answering(peers(observe()))
    assert known
    then = tuple(replace(peer, link="br0") for peer in known)
    plan = plan_prepare(observe(), carried, "br0", "up0") + Plan((VerifyPeers(then),))
    transaction = Transaction(("up0", "br0"), WATCHDOG)
    execute(plan, {"host": HostWing()}, lambda step: None, transaction)
    return transaction.id


def test_a_change_is_shown_kept_and_put_back_and_saying_it_again_changes_nothing(vmnet):
    before = shown()
    name = prepared()
    after = shown()
    assert after != before
    code, out, _ = vmnet("status")
    assert code == 0
    assert out.splitlines()[1].split()[:3] == [name, "confirmed", "up0,br0"]
    assert vmnet("confirm", name) == (0, f"Transaction {name} is confirmed\n", "")
    assert shown() == after
    code, out, _ = vmnet("undo", name)
    assert (code, shown()) == (0, before)
    assert out.startswith(f"Transaction {name} is undone; ")
    assert vmnet("undo", name) == (0, f"Transaction {name} is undone\n", "")
    assert vmnet("recover") == (0, "Nothing is to be put back.\n", "")
    assert shown() == before


def test_what_a_dead_vmnet_left_is_shown_with_what_to_do_and_recovered(vmnet):
    before = shown()
    name = prepared()
    (record,) = journal.records()
    with record.alone():
        record.set(Standing(State.ARMED))
    _, out, _ = vmnet("status")
    assert f"{name}: on its way, or died on it. If nobody is at it any more: vmnet recover" in out
    code, out, _ = vmnet("recover", "--json")
    (seen,) = json.loads(out)["transactions"]
    assert (code, seen["id"], seen["state"], bool(seen["done"])) == (0, name, "undone", True)
    assert shown() == before


@pytest.mark.parametrize(
    "option",
    [
        *("--mac foo", "--mac zz:00:00:00:00:01", "--mac 02:00", "--mac 03:00:00:00:00:01", "--mtu -5", "--mtu 0"),
        *("--ageing nan", "--ageing inf", "--ageing 99999999", "--forward-delay nan", "--forward-delay inf"),
        *("--confirm nan", "--confirm inf"),
    ],
)
def test_a_value_that_makes_no_sense_is_told_as_such(vmnet, option):
    before = shown()
    code, out, err = vmnet("bridge", "prepare", "br0", "--uplink", "up0", "--yes", "--no-probe", *option.split())
    assert (code, out) == (2, "")
    assert option.split()[0].strip("-") in err
    assert "Traceback" not in err
    assert shown() == before


def test_without_a_stdin_nobody_is_at_a_terminal(vmnet, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    code, _, err = vmnet("bridge", "prepare", "br0", "--uplink", "up0")
    assert (code, "Traceback" in err) == (0, False)


def test_a_bridge_is_known_by_its_further_name_too(vmnet):
    for command in (
        "link add br0 address 06:00:00:00:00:10 type bridge",
        "link set br0 alias vmnet:adopted",
        "link property add dev br0 altname lanbridge",
        "link set br0 up",
    ):
        ip(command)
    before = shown(but=("br0",))
    assert vmnet("bridge", "prepare", "lanbridge", "--uplink", "up0", "--yes")[0] == 0
    assert shown(but=("br0",)) != before
    assert vmnet("undo", journal.records()[0].id)[0] == 0
    assert shown(but=("br0",)) == before


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_after_the_change_hides_nothing_of_it(vmnet, monkeypatch, number):
    """As `vmnet` has them, the signals tear out of whatever is being done."""
    told = Face.result

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), number)
        told(*arguments, **options)

    monkeypatch.setattr(Face, "result", interrupted)
    before = signal.signal(number, signal.default_int_handler)
    try:
        code, out, _ = vmnet("bridge", "prepare", "br0", "--uplink", "up0", "--yes", "--no-probe")
    finally:
        signal.signal(number, before)
    assert code == 0
    assert out.startswith("Prepared bridge br0")


PREPARE = ("bridge", "prepare", "br0", "--uplink", "up0")


def filter_with(program: str, *rules: str) -> None:
    for rule in rules:
        subprocess.run([program, *rule.split()], check=True)


@pytest.mark.parametrize("program", ["iptables", "ip6tables", "iptables-legacy"])
def test_a_firewall_that_knows_the_uplink_alone_is_told_before_the_host_is_cut_off(vmnet, program):
    filter_with(program, "-P INPUT DROP", "-A INPUT -i up0 -j ACCEPT")
    before = shown()
    code, _, err = vmnet(*PREPARE, "--yes")
    assert (code, "[H427]" in err, "-j ACCEPT" in err or "accept" in err) == (1, True, True)
    assert shown() == before
    filter_with(program, "-A INPUT -i br0 -j ACCEPT")
    code, _, err = vmnet(*PREPARE, "--yes")
    assert (code, "H427" in err) == (0, False)


def test_whoever_confirms_is_warned_of_the_firewall(vmnet):
    filter_with("iptables", "-A INPUT -i up0 -j ACCEPT")
    code, _, err = vmnet(*PREPARE, "--confirm", "1", "--no-probe")
    assert (code, "warning" in err, "[H427]" in err) == (3, True, True)


def test_tables_of_nft_that_nobody_can_read_are_told(vmnet, monkeypatch):
    subprocess.run(["nft", "add", "table", "inet", "f"], check=True)
    said = firewall._said
    monkeypatch.setattr(firewall, "_said", lambda *words: "" if words[0] == "nft" else said(*words))
    before = shown()
    code, _, err = vmnet(*PREPARE, "--yes")
    assert (code, "[H430]" in err, "inet f" in err) == (1, True, True)
    assert shown() == before
    subprocess.run(["nft", "delete", "table", "inet", "f"], check=True)
    assert vmnet(*PREPARE, "--yes")[0] == 0


def test_a_gateway_that_answers_now_is_asked_on_the_bridge(vmnet):
    code, _, err = vmnet(*PREPARE, "--yes")
    assert (code, "10.1.0.1 (gateway of the default route)" in err) == (0, True)
    assert "H428" not in err
    assert vmnet("bridge", "dismantle", "br0", "--yes")[0] == 0


def test_where_no_gateway_answers_nothing_is_done_unless_that_is_wished(vmnet):
    ip("route replace default via 10.1.0.99 metric 100")
    before = shown()
    code, _, err = vmnet(*PREPARE, "--yes")
    assert (code, "[H428]" in err, "10.1.0.99" in err, "--no-probe" in err) == (1, True, True, True)
    assert shown() == before
    assert vmnet(*PREPARE, "--yes", "--no-probe")[0] == 0


def test_a_host_that_was_cut_off_by_hand_is_reached_again(vmnet):
    for command in (
        "link add br0 address 06:00:00:00:00:10 type bridge",
        "link set br0 alias vmnet:adopted",
        "link set br0 up",
        "link set up0 master br0",
    ):
        ip(command)
    code, _, err = vmnet(*PREPARE, "--yes")
    assert (code, "[H429]" in err) == (0, True)
    assert len(answering(peers(observe()))) == 1
    assert "Nothing to do." in vmnet(*PREPARE, "--yes")[1]


def test_that_nobody_can_be_asked_is_told(vmnet):
    ip("route del default")
    code, _, err = vmnet(*PREPARE, "--yes")
    assert (code, "[H429]" in err) == (0, True)


ADD = ("hostlink", "add", "--uplink", "up0", "--yes", "--address")


@pytest.mark.parametrize("address", ["192.168.50.1/24", "10.1.0.1/24"], ids=["a neighbour's", "the gateway's"])
def test_an_address_that_somebody_on_the_lan_has_is_not_given(vmnet, host, address):
    before = shown()
    code, _, err = vmnet(*ADD, address)
    assert (code, "[address-in-use]" in err) == (1, True)
    assert shown() == before


def test_an_address_that_nobody_has_is_given(vmnet):
    assert vmnet(*ADD, "10.1.0.33/24")[0] == 0
    assert vmnet("hostlink", "remove", "host0", "--yes")[0] == 0


CHANGING = ["bridge prepare br0 --uplink up0", "bridge dismantle br0", "confirm bokiru", "undo bokiru", "recover"]


@pytest.fixture
def as_nobody(vmnet, capfd, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """A command line of somebody who is not root."""

    def said(*words: str) -> tuple[int, str, str]:
        vmnet(*words[:1], "--help")  # what it imports may be for root's eyes only
        monkeypatch.setattr(sys, "argv", ["vmnet", *words])

        def body(pause) -> int:
            os.setresuid(65534, 65534, 65534)
            return run()

        code = Child(body).status()
        return code, *capfd.readouterr()

    return said


@pytest.mark.parametrize("command", CHANGING)
def test_only_root_changes_the_host_and_all_others_are_told_at_once(as_nobody, command):
    code, out, err = as_nobody(*command.split())
    assert (code, out) == (1, "")
    assert f"sudo vmnet {command}" in err


def test_whoever_may_not_see_the_changes_of_root_is_told_so(as_nobody):
    prepared()
    code, out, err = as_nobody("status")
    assert (code, out, err) == (0, "There is no transaction.\n", "Those of root are not shown: sudo vmnet status\n")


def test_where_a_change_is_cannot_be_read_it_can_be_put_back_all_the_same(vmnet):
    before = shown()
    name = prepared()
    (record,) = journal.records()
    (record.folder / "state.json").write_text("[]")
    code, _, err = vmnet("bridge", "dismantle", "br0", "--yes")
    assert (code, f"vmnet undo {name}" in err) == (1, True)
    assert vmnet("undo", name)[0] == 0
    assert shown() == before


def test_an_image_that_is_cut_short_is_found_before_anything_is_touched(vmnet):
    name = prepared()
    after, (record,) = shown(), journal.records()
    image = json.loads((record.folder / "image.json").read_text())
    image["images"]["host"]["carried"][0]["addresses"][0]["body"] = "00"
    (record.folder / "image.json").write_text(json.dumps(image))
    code, _, err = vmnet("undo", name)
    assert (code, "transaction-unreadable" in err, "Traceback" in err) == (1, True, False)
    assert shown() == after


def test_a_name_that_is_none_is_refused(vmnet):
    name = prepared()
    for verb in ("confirm", "undo"):
        code, _, err = vmnet(verb, f"{name}x")
        assert code == 1
        assert f"Did you mean {name}?" in err
