"""What is easily lost on the way to a bridge and back: settings, tokens, the order of rules, what a port was told."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.hosts import plain_host
from tests.host.lan import gateway, ip, shown
from vmnet.change import locks
from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.host.applier import HostWing
from vmnet.host.carried import GEN_MODE, observe_carried
from vmnet.host.model import BridgeOptions
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare
from vmnet.host.wire import Line
from vmnet.operations import bridge, transactions
from vmnet.operations.bridge import Terms
from vmnet.operations.change import Run


@pytest.fixture(autouse=True)
def host(private_namespace: None) -> Iterator[None]:
    with gateway():
        plain_host()
        yield


def told(command: str) -> list[Any]:
    done = subprocess.run(command.split(), capture_output=True, check=True)
    return json.loads(done.stdout or "[]")


def carried(name: str):
    with Line() as line:
        return observe_carried(line, [name])


def do(plan: Plan) -> Callable[[], list[str]]:
    wing = HostWing()
    image = wing.image(plan.steps)
    execute(plan, {"host": wing}, lambda step: None)
    return lambda: wing.restore(wing.from_json(json.loads(json.dumps(wing.to_json(image)))))


def prepare(**options: object):
    return do(plan_prepare(observe(), carried("up0"), "br0", "up0", BridgeOptions(**options)))


def dismantle():
    return do(plan_dismantle(observe(), carried("br0"), "br0"))


def setting(name: str, key: str) -> Path:
    room, _, last = key.rpartition("/")
    return Path("/proc/sys/net", room, name, last)


def test_settings_come_along_from_a_nic_that_takes_no_addresses_of_its_own():
    ip("link set up0 addrgenmode none")
    given = {"ipv4/conf/proxy_arp": "1", "ipv4/conf/arp_ignore": "1", "ipv4/conf/rp_filter": "1"}
    given |= {"ipv6/conf/accept_ra": "0", GEN_MODE: "1"}
    for key, value in given.items():
        setting("up0", key).write_text(value)
    before = shown()
    prepare()
    assert {key: setting("br0", key).read_text().strip() for key in given} == given
    dismantle()
    assert shown() == before


def test_settings_stay_those_of_a_nic_whose_bridge_had_no_address():
    setting("up0", "ipv4/conf/proxy_arp").write_text("1")
    for command in ("addr flush dev up0", "link set up0 addrgenmode none"):
        ip(command)
    prepare(without_address=True)
    dismantle()
    assert setting("up0", "ipv4/conf/proxy_arp").read_text().strip() == "1"


def test_a_token_comes_along():
    ip("token set ::53 dev up0")
    before = shown()
    prepare()
    assert [n["token"] for n in told("ip -j token get dev br0")] == ["::53"]
    dismantle()
    assert [n["token"] for n in told("ip -j token get dev up0")] == ["::53"]
    assert shown() == before


RULES = """
rule add from 10.4.0.0/16 lookup 99 priority 1000
rule add iif up0 lookup 100 priority 1000
rule add from 10.5.0.0/16 lookup 101 priority 1000
rule add oif up0 lookup 102 priority 1000
rule add from 10.6.0.0/16 lookup 103 priority 1000
-6 rule add iif up0 lookup 100 priority 1000
-6 rule add from fd05::/16 lookup 101 priority 1000
"""


def test_rules_of_one_priority_keep_their_places():
    for command in RULES.strip().splitlines():
        ip(command)
    before = shown()
    undo = prepare()
    for family, tables in (("-4", ["99", "100", "101", "102", "103"]), ("-6", ["100", "101"])):
        rules = told(f"ip -j {family} rule show priority 1000")
        assert [n["table"] for n in rules] == tables
        assert {n.get("iif", n.get("oif", "br0")) for n in rules} == {"br0"}
    undo()
    assert shown() == before
    prepare()
    dismantle()
    assert shown() == before


def test_a_neighbour_that_is_not_to_be_asked_comes_along():
    ip("neigh add 10.1.0.88 lladdr 02:00:00:00:00:88 nud noarp dev up0")
    for step, name in ((prepare, "br0"), (dismantle, "up0")):
        step()
        (neighbour,) = [n for n in told(f"ip -j neigh show nud noarp dev {name}") if n["dst"] == "10.1.0.88"]
        assert (neighbour["lladdr"], neighbour["state"]) == ("02:00:00:00:00:88", ["NOARP"])


def test_a_bridge_that_is_made_again_has_its_port_as_it_was():
    prepare()
    given = "cost 7 priority 11 isolated on hairpin on learning off flood off mcast_flood off guard on"
    subprocess.run(["bridge", "link", "set", "dev", "up0", *given.split()], check=True)
    before = told("bridge -j -d link show dev up0")
    assert (before[0]["cost"], before[0]["isolated"]) == (7, True)
    dismantle()()
    after = told("bridge -j -d link show dev up0")
    assert after == before


def test_what_a_bridge_was_told_and_an_undo_does_not_bring_back_is_said():
    prepare()
    assert "H410" not in [f.code for f in plan_dismantle(observe(), carried("br0"), "br0").findings]
    command = "bridge fdb add 02:00:00:00:00:55 dev up0 master static"
    subprocess.run(command.split(), check=True)
    (said,) = [f for f in plan_dismantle(observe(), carried("br0"), "br0").findings if f.code == "H410"]
    assert "02:00:00:00:00:55" in said.what


@pytest.mark.parametrize("mode", ["stable_secret", "random"])
def test_addresses_that_are_made_of_the_permanent_mac_are_said_to_change(mode):
    if mode == "stable_secret":
        setting("up0", "ipv6/conf/stable_secret").write_text("fd00::1234")
    ip(f"link set up0 addrgenmode {mode}")
    plan = plan_prepare(observe(), carried("up0"), "br0", "up0")
    assert [f.severity.value for f in plan.findings if f.code == "H409"] == ["warning"]
    assert plan.steps


def test_a_nic_whose_mtu_is_too_small_for_ipv6_has_a_bridge_too():
    ip("link set up0 mtu 1000")
    before = shown()
    prepare()
    assert carried("br0")["br0"].addresses[0].text() == "10.1.0.2/24"
    dismantle()
    assert shown() == before


def test_an_mtu_that_would_lose_the_ipv6_addresses_is_refused():
    plan = plan_prepare(observe(), carried("up0"), "br0", "up0", BridgeOptions(mtu=1000))
    assert [f.code for f in plan.findings if f.is_error] == ["H411"]
    assert plan_prepare(observe(), carried("up0"), "br0", "up0", BridgeOptions(mtu=1280)).steps


def test_a_bridge_that_is_named_by_another_name_is_put_back_too(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "folder", lambda: tmp_path / "vmnet" / "lock")
    ip("link add br0 address 06:00:00:00:00:10 type bridge")
    for command in ("alias vmnet:adopted", "addrgenmode none", "up"):
        ip(f"link set br0 {command}")
    ip("link property add dev br0 altname lanbridge")
    before = shown(but=("br0",))
    outcome = bridge.prepare("lanbridge", "up0", BridgeOptions(), terms=Terms(probe=False), run=Run())
    assert carried("br0")["br0"].addresses
    transactions.undo(outcome.transaction)
    assert shown(but=("br0",)) == before
    assert carried("br0")["br0"].addresses == ()
