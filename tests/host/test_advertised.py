"""What the host has by a router's word it goes on having by it, on the bridge and back on the NIC."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.host.hosts import plain_host
from tests.host.lan import gateway, ip, until_settled
from tests.host.router import router
from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.host.applier import HostWing
from vmnet.host.carried import observe_carried
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare
from vmnet.host.port import wait_until
from vmnet.host.wire import Line

GOOD = 1800


@pytest.fixture
def lan(private_namespace: None) -> Iterator[int]:
    with gateway() as process:
        yield process


@pytest.fixture
def say(lan: int) -> Iterator[Callable[[int, int], None]]:
    plain_host()
    with router(lan) as say:
        say(GOOD, 10000)
        assert heard("up0", 10000)
        until_settled()
        yield say


def shown(command: str) -> list[Any]:
    return json.loads(subprocess.run(["ip", "-j", "-6", *command.split()], capture_output=True, check=True).stdout)


def heard(name: str, seconds: int) -> bool:
    """Whether a link has an address of the router's that is good for so long, and the kernel's own route to it."""

    def has() -> bool:
        (link,) = shown(f"addr show dev {name}") or [{}]
        good = [a["valid_life_time"] for a in link.get("addr_info", ()) if a.get("local", "").startswith("2001:db8:1:")]
        nets = [r["expires"] for r in shown(f"route show 2001:db8:1::/64 dev {name}")]
        return {round(n, -3) for n in good} == {seconds} == {round(n, -3) for n in nets}

    return wait_until(lambda: has() and 1024 in ways(name), 15)


def ways(name: str) -> list[int]:
    """The metrics of the default routes by a router's word, all of which end."""
    routes = [r for r in shown(f"route show default dev {name}") if r["protocol"] == "ra"]
    assert all(0 < r["expires"] <= GOOD for r in routes)
    return [r["metric"] for r in routes]


def carried(name: str):
    with Line() as line:
        return observe_carried(line, [name])


def do(plan: Plan) -> Callable[[], list[str]]:
    wing = HostWing()
    image = wing.image(plan.steps)
    execute(plan, {"host": wing}, lambda step: None)
    return lambda: wing.restore(wing.from_json(json.loads(json.dumps(wing.to_json(image)))))


def prepare():
    return do(plan_prepare(observe(), carried("up0"), "br0", "up0"))


def dismantle():
    return do(plan_dismantle(observe(), carried("br0"), "br0"))


def test_the_kernel_goes_on_hearing_the_router_on_the_bridge_and_back_on_the_nic(say):
    prepare()
    assert set(ways("br0")) & {1024, 1025}
    assert heard("br0", 10000)  # the router was asked
    say(GOOD, 20000)
    assert heard("br0", 20000)
    dismantle()
    assert set(ways("up0")) & {1024, 1025}
    assert heard("up0", 20000)
    say(GOOD, 30000)
    assert heard("up0", 30000)


@pytest.mark.parametrize("way", [prepare, dismantle])
def test_the_kernel_goes_on_hearing_the_router_after_an_undo(say, way):
    if way is dismantle:
        prepare()
        assert heard("br0", 10000)
    link, other = ("up0", "br0") if way is prepare else ("br0", "up0")
    undo = way()
    assert heard(other, 10000)
    undo()
    assert heard(link, 10000)
    say(GOOD, 20000)
    assert heard(link, 20000)
    assert undo() == []


def test_a_router_that_says_goodbye_is_gone_when_the_copy_ends(say):
    prepare()
    assert heard("br0", 10000)
    say(0, 20000)
    assert wait_until(lambda: 1024 not in ways("br0"), 5)


def test_several_routers_stay_several(lan, say):
    subprocess.run(
        ["nsenter", "-t", str(lan), "-n", *["ip", "-6", "addr", "add", "fe80::2/64", "dev", "gw0", "nodad"]], check=True
    )
    with router(lan, "fe80::2") as other:
        other(GOOD, 10000)
        assert wait_until(lambda: len(ways("up0")) == 2, 5)
        for step, name in ((prepare, "br0"), (dismantle, "up0")):
            step()
            gateways = {r["gateway"] for r in shown(f"route show default dev {name}") if r["protocol"] == "ra"}
            assert gateways == {"fe80::1", "fe80::2"}
            assert wait_until(lambda name=name: ways(name).count(1024) == 2, 15)


def test_a_route_that_somebody_made_like_a_routers_comes_along_as_it_is(say):
    ip("-6 route add default via fd00::1 dev up0 proto ra metric 900 expires 1700")
    prepare()
    assert 900 in ways("br0")
    dismantle()
    assert 900 in ways("up0")
