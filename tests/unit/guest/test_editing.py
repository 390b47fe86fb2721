"""Which change of a running NIC is made by which means."""

from __future__ import annotations

import pytest

from vmnet.errors import UsageError
from vmnet.guest.editing import Update, Verdict, field_changes, kernel_mode, plan_edit
from vmnet.guest.kinds import Scope, State, Target
from vmnet.guest.model import Document, Domain
from vmnet.guest.planner import Attach, Detach
from vmnet.nic.attachment import Network
from vmnet.nic.generator import rewrite
from vmnet.nic.version import Version

NIC = """<interface type='{kind}'><mac address='52:54:00:00:00:01'/><source {source}/><model type='virtio'/>{more}
<alias name='ua-x'/><address type='pci' domain='0' bus='1' slot='0' function='0'/></interface>"""
MACVTAP = NIC.format(kind="direct", source="dev='up0' mode='bridge'", more="")
TAP = NIC.format(kind="bridge", source="bridge='br0'", more="")
LIMITED = NIC.format(kind="bridge", source="bridge='br0'", more="<bandwidth><inbound average='9'/></bandwidth>")


OF_NETWORK = NIC.format(kind="bridge", source="network='n' portgroup='p' bridge='br0'", more="")


def domain(nic, *, config=True, state=State.RUNNING):
    document = Document.parse(f"<domain><devices>{nic}</devices></domain>")
    return Domain("web", "u", state, document, document if config else None)


def edit(
    nic, wished, *, scope=None, replug=False, mode=None, config=True, libvirt=None, onto=None, state=State.RUNNING
):
    web = domain(nic, config=config, state=state)
    pair = web.nics[0]
    running = rewrite(pair.live, {"mode": mode}) if mode else pair.live
    return plan_edit(web, pair, wished, scope, running=running, replug=replug, libvirt=libvirt, onto=onto)


def live(plan):
    return [step for step in plan.steps if step.target is Target.LIVE]


@pytest.mark.parametrize(
    ("nic", "wished", "verdicts"),
    [
        (TAP, {"link": "down"}, {"link": Verdict.LIVE}),
        (TAP, {"boot_order": 1}, {"boot_order": Verdict.NEXT_START}),
        (TAP, {"queues": 2}, {"queues": Verdict.REPLUG}),
        (MACVTAP, {"mode": "private"}, {"mode": Verdict.NETLINK}),
        (MACVTAP, {"mode": "passthrough"}, {"mode": Verdict.REPLUG}),
        (MACVTAP, {"direct": "up1"}, {"direct": Verdict.REPLUG}),
        (TAP, {"direct": "up0"}, dict.fromkeys(("direct", "bridge", "mode"), Verdict.REPLUG)),
    ],
)
def test_each_field_says_what_it_takes(nic, wished, verdicts):
    (pair,) = domain(nic).nics
    assert {c.field: c.verdict for c in field_changes(pair.nic, rewrite(pair.nic, wished))} == verdicts


@pytest.mark.parametrize(("version", "steps"), [("9.0", 0), ("10.0", 1)])
def test_a_libvirt_that_ignores_a_change_is_not_asked_for_it(version, steps):
    plan = edit(MACVTAP, {"trust_rx": "yes"}, libvirt=Version.parse(version))
    assert len(live(plan)) == steps
    assert [f.code for f in plan.findings if f.is_error] == ["G311"] * (1 - steps)


def test_bandwidth_has_a_call_of_its_own_and_the_next_change_keeps_it():
    narrow, wide = live(edit(LIMITED, {"inbound": "1000", "link": "down"}))
    assert (narrow.is_bandwidth_only, wide.is_bandwidth_only) == (True, False)
    assert wide.before == narrow.nic
    assert wide.nic.inbound == "1000"


def test_an_update_gives_libvirt_its_own_belief_of_the_mode():
    (update,) = live(edit(MACVTAP, {"link": "down"}, mode="private"))
    assert update.nic.mode == "bridge"


def test_a_replug_starts_from_what_the_kernel_has():
    _, attach = live(edit(MACVTAP, {"queues": 2}, mode="private", replug=True))
    assert (attach.nic.mode, attach.nic.queues) == ("private", 2)


@pytest.mark.parametrize(
    ("wished", "scope", "codes"),
    [
        ({"queues": 2}, None, ["G315"]),
        ({"queues": 2}, Scope.CONFIG, []),
        ({"link": "down"}, None, []),
    ],
)
def test_a_paused_guest_is_not_asked_to_let_go_of_a_nic_that_it_is_to_get_again(wished, scope, codes):
    plan = edit(TAP, wished, scope=scope, replug=True, state=State.PAUSED)
    assert [f.code for f in plan.findings if f.is_error] == codes


@pytest.mark.parametrize(("scope", "codes"), [(None, ["G318", "G318"]), (Scope.CONFIG, ["G318"])])
def test_a_nic_is_not_let_go_of_for_an_address_that_another_has(scope, codes):
    other = TAP.replace("00:01'", "00:02'").replace("bus='1'", "bus='2'")
    plan = edit(other + TAP, {"address": "0000:01:00.0"}, scope=scope, replug=True)
    assert [f.code for f in plan.findings] == codes


@pytest.mark.parametrize(("now", "wish", "mode"), [("bridge", "vepa", "vepa"), ("vepa", "vepa", None)])
def test_the_kernel_is_asked_for_a_mode_that_it_has_not(now, wish, mode):
    (pair,) = domain(MACVTAP).nics
    running = rewrite(pair.live, {"mode": now})
    assert kernel_mode(running, {"mode": wish}, None) == mode
    assert kernel_mode(running, {"mode": wish}, Scope.CONFIG) is None


def test_what_waits_for_the_next_start_is_no_part_of_a_replug():
    steps = edit(TAP, {"queues": 2, "boot_order": 1}, replug=True).steps
    assert [type(s) for s in steps] == [Detach, Attach, Update]
    assert (steps[1].nic.boot_order, steps[2].nic.boot_order) == (None, 1)


@pytest.mark.parametrize(("scope", "config"), [(Scope.LIVE, True), (None, False)])
def test_what_can_only_wait_is_refused_where_nothing_keeps_it(scope, config):
    plan = edit(TAP, {"boot_order": 1}, scope=scope, config=config)
    assert [f.code for f in plan.findings] == ["G312"]


def test_an_identity_changes_in_a_definition_where_the_nic_is():
    (step,) = edit(TAP, {"mac": "52:54:00:00:00:02"}, scope=Scope.CONFIG).steps
    assert (type(step), step.is_identity) == (Update, True)
    assert (step.before.mac, step.nic.alias) == ("52:54:00:00:00:01", "ua-x")


def test_what_is_so_already_is_no_step():
    assert edit(TAP, {"bridge": "br0", "model": "virtio"}).steps == ()


@pytest.mark.parametrize(
    ("nic", "wished", "onto", "changed"),
    [
        (TAP, {"bridge": "br1"}, "br1", ["bridge"]),
        (TAP, {"network": "n"}, "br1", ["bridge", "network"]),
        (OF_NETWORK, {"bridge": "br1"}, "br1", ["bridge", "portgroup"]),
        (OF_NETWORK, {"network": "m"}, "br1", ["network"]),
        (OF_NETWORK, {"network": "m", "portgroup": "q"}, "br1", ["network", "portgroup"]),
        (OF_NETWORK.replace("type='bridge'", "type='network'"), {"bridge": "br1"}, "br1", ["bridge", "network"]),
    ],
)
def test_a_tap_moves_live_from_bridge_to_bridge_whichever_way_it_comes_to_them(nic, wished, onto, changed):
    (update,) = live(edit(nic, wished, onto=None if "bridge" in wished else onto))
    assert {c.field for c in update.changes} >= set(changed)
    assert update.onto == onto
    assert {update.nic.get(name) for name in wished} == set(wished.values())


@pytest.mark.parametrize(
    ("wished", "changes"),
    [
        ({"network": "n"}, {}),
        ({"network": "m"}, {"network": Verdict.REPLUG}),
        ({"network": "n", "portgroup": "q"}, {"portgroup": Verdict.REPLUG}),
        ({"bridge": "br1"}, {"bridge": Verdict.LIVE, "portgroup": Verdict.LIVE}),
    ],
)
def test_a_wish_about_its_network_is_held_against_the_network_of_a_running_nic(wished, changes):
    steps = live(edit(OF_NETWORK, wished, replug=True))
    told = next((step.changes for step in steps if isinstance(step, Update)), None)
    if told is not None:
        assert {c.field: c.verdict for c in told} == changes
    else:
        assert [type(step) for step in steps] == ([Detach, Attach] if changes else [])


def test_a_replug_plugs_a_nic_of_a_network_in_by_its_network():
    detach, attach = live(edit(OF_NETWORK, {"queues": 2}, replug=True))
    assert attach.nic.attachment == Network("n", "p")
    assert detach.then == attach.nic


def test_a_nic_keeps_a_mac_address():
    with pytest.raises(UsageError, match="always has a MAC"):
        edit(TAP, {"mac": None})
