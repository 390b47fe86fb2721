"""What came to the host while it moved, or before it is put back, is nobody's to take away."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.host.hosts import plain_host
from tests.host.lan import gateway, ip, shown
from vmnet.change.executor import execute
from vmnet.change.plan import Plan
from vmnet.errors import VmnetError
from vmnet.host.applier import HostImage, HostWing
from vmnet.host.carried import Carried, observe_carried
from vmnet.host.observe import observe
from vmnet.host.planner import plan_dismantle, plan_prepare
from vmnet.host.wire import Line, Message, Refusal


class Before:
    """Opens lines on which, all together, something is done before the send of one number."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.left, self.act = number, act

    def __call__(self) -> Line:
        return _BeforeLine(self)


class _BeforeLine(Line):
    def __init__(self, before: Before) -> None:
        super().__init__()
        self._before = before

    def send(self, messages: Sequence[Message]) -> tuple[Refusal, ...]:
        self._before.left -= bool(messages)
        if messages and not self._before.left:
            self._before.act()
        return super().send(messages)


@pytest.fixture(autouse=True)
def lan(private_namespace: None) -> Iterator[None]:
    with gateway():
        yield


def carried(name: str) -> dict[str, Carried]:
    with Line() as line:
        return observe_carried(line, [name])


def texts(name: str) -> list[str]:
    return [e.text() for found in carried(name).values() for e in found.entries]


def takes(command: str) -> bool:
    """Whether the kernel takes a command, which may come too early for it."""
    return subprocess.run(["ip", *command.split()], capture_output=True, check=False).returncode == 0


def preparing() -> Plan:
    return plan_prepare(observe(), carried("up0"), "br0", "up0")


def dismantling() -> Plan:
    return plan_dismantle(observe(), carried("br0"), "br0")


def done(plan: Plan, line: Callable[[], Line] = Line) -> Callable[[], list[str]]:
    """Carry a plan out; what puts it back."""
    wing = HostWing(line)
    image = json.dumps(wing.image(plan.steps).document())
    execute(plan, {"host": wing}, lambda step: None)
    return lambda: HostWing().restore(HostImage.of_document(json.loads(image)))


NEWS = [
    "addr add 10.1.0.60/24 dev {}",
    "-6 addr add fd00::60/64 nodad dev {}",
    "route add 10.66.0.0/16 via 10.1.0.1 dev {}",
]


@pytest.mark.parametrize("news", NEWS)
@pytest.mark.parametrize(("way", "source", "target"), [(preparing, "up0", "br0"), (dismantling, "br0", "up0")])
@pytest.mark.parametrize("to", ["source", "target"])
def test_what_comes_while_the_host_moves_moves_along(way, source, target, news, to):
    plain_host()
    if way is dismantling:
        done(preparing())
    dev = source if to == "source" else target
    for number in range(2, 20):
        before, taken = texts(source), []
        with_it = Before(number, lambda taken=taken: taken.append(takes(news.format(dev))))
        try:
            back = done(way(), with_it)
        except VmnetError:  # it came to the bridge that was to be deleted, and all is as it was, with it
            assert way is dismantling
            assert len(texts(source)) > len(before)
            break
        if with_it.left >= 0 and observe().link("br0") is None and to == "source":
            break  # it came right before the bridge is deleted: nobody could have seen it
        if with_it.left > 0:
            break
        if taken[0]:
            assert len(texts(target)) > len(before), f"before send {number}"
            ip(news.format(target).replace(" add ", " del "))
        back()
        assert texts(source) == before
    assert number >= 5


def test_an_undo_takes_nothing_away_that_came_since():
    plain_host()
    before = texts("up0")
    undo = done(preparing())
    came = ["addr add 10.1.0.50/24 dev br0", "-6 addr add fd00::50/64 nodad dev br0", "addr add 10.8.0.1/24 dev br0"]
    came += [
        "addr add 10.1.0.51/24 dev up0",
        "route add 10.77.0.0/16 via 10.1.0.1",
        "rule add iif br0 lookup 7 priority 70",
    ]
    for command in came:
        ip(command)
    said = undo()
    assert sum("came in the meantime" in w for w in said) >= 5
    now = texts("up0")
    kept = ["10.1.0.50/24", "fd00::50/64", "10.8.0.1/24", "10.1.0.51/24", "route 10.77.0.0/16 via 10.1.0.1", "rule 70"]
    assert [t for t in (*before, *kept) if t not in now] == []
    assert observe().link("br0") is None
    assert undo() == []
    ip("addr del 10.1.0.51/24 dev up0")
    assert before[0] in texts("up0")


def test_an_undo_of_a_dismantling_has_the_bridge_carry_what_came_since():
    plain_host()
    done(preparing())
    before = texts("br0")
    undo = done(dismantling())
    ip("addr add 10.1.0.50/24 dev up0")
    undo()
    assert texts("br0") == [*before[:1], "10.1.0.50/24", *before[1:]]
    assert texts("up0") == []


def test_an_undo_gives_what_was_renewed_the_time_that_it_has_now():
    plain_host()
    ip("addr del 10.1.0.2/24 dev up0")
    ip("addr add 10.1.0.2/24 dev up0 valid_lft 2 preferred_lft 2")
    ip("route add default via 10.1.0.1 metric 100")
    ip("-6 route add default via fd00::1 proto ra expires 2")
    began = time.monotonic()
    before, undo = texts("up0"), done(preparing())
    ip("addr change 10.1.0.2/24 dev br0 valid_lft 3600 preferred_lft 1800")
    ip("-6 route replace default via fd00::1 dev br0 proto ra expires 1800")
    while time.monotonic() < began + 2.5:
        time.sleep(0.1)
    undo()
    assert texts("up0") == before
    (address,) = [a for a in shown_plainly("up0") if a["local"] == "10.1.0.2"]
    assert 3590 < address["valid_life_time"] <= 3600
    assert 1790 < address["preferred_life_time"] <= 1800


def shown_plainly(name: str) -> list[dict]:
    told = subprocess.run(["ip", "-j", "addr", "show", "dev", name], capture_output=True, check=True).stdout
    return json.loads(told)[0]["addr_info"]


@pytest.mark.parametrize("way", [preparing, dismantling])
def test_an_uplink_that_was_renamed_is_the_same(way):
    plain_host()
    if way is dismantling:
        done(preparing())
    before = shown()
    undo = done(way())
    ip("link set up0 name eth7")
    undo()
    ip("link set eth7 name up0")
    assert shown() == before


@pytest.mark.parametrize("change", ["link set br0 alias office", "link set br0 name br9"])
def test_a_bridge_is_known_whatever_somebody_calls_it(change):
    plain_host()
    before, undo = shown(), done(preparing())
    ip(change)
    undo()
    assert shown() == before


def test_a_bridge_whose_uplink_is_gone_keeps_what_it_carries():
    plain_host()
    undo = done(preparing())
    before = texts("br0")
    ip("link del up0")
    ip("link add up0 type veth peer name other")
    ip("link set up0 up")
    with pytest.raises(VmnetError) as told:
        undo()
    assert told.value.code == "host-uplink-gone"
    assert texts("br0") == before
    assert [t for t in texts("up0") if "10.1" in t or "fd00" in t] == []
