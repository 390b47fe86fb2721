"""What is done to a guest's NICs, as tables: from two documents and a wish to steps and findings."""

from __future__ import annotations

import pytest

from vmnet.findings import Severity
from vmnet.guest.kinds import Scope, State, Target
from vmnet.guest.model import Document, Domain
from vmnet.guest.planner import Attach, Detach, describe, plan_attach, plan_detach, unlike
from vmnet.nic.model import Nic

MAC = "52:54:00:00:00:01"
PORTS = "<controller type='pci' index='0' model='pcie-root'/>" + "".join(
    f"<controller type='pci' index='{n}' model='pcie-root-port'/>" for n in (1, 2)
)
LIVE, CONFIG = Target.LIVE, Target.CONFIG


def interface(mac: str = MAC, *, mode: str = "bridge", bus: int | None = None, more: str = "") -> str:
    place = "" if bus is None else f"<address type='pci' domain='0' bus='{bus}' slot='0' function='0'/>"
    return (
        f"<interface type='direct'><mac address='{mac}'/><source dev='up0' mode='{mode}'/>"
        f"<model type='virtio'/>{more}{place}</interface>"
    )


WISH = Nic.parse(interface())


def domain(live: list[str] | None, config: list[str] | None, state: State = State.RUNNING, machine: str = PORTS):
    def document(nics):
        return Document.parse(f"<domain><devices>{machine}{''.join(nics)}</devices></domain>")

    return Domain(
        "web", "uuid", state, None if live is None else document(live), None if config is None else document(config)
    )


def errors(plan) -> list[str]:
    return [f.code for f in plan.findings if f.is_error]


HERE = interface(bus=1, more="<alias name='ua-mine'/>")
TARGETS = [
    # live NICs, config NICs (None: no such document), scope, the documents that get the NIC
    ([], [], None, [LIVE, CONFIG]),
    ([], None, None, [LIVE]),
    (None, [], None, [CONFIG]),
    ([], [], Scope.LIVE, [LIVE]),
    ([], [], Scope.CONFIG, [CONFIG]),
    ([], [], Scope.LIVE | Scope.CONFIG, [LIVE, CONFIG]),
    ([HERE], [HERE], None, []),
    ([HERE], [], None, [CONFIG]),
    ([], [HERE], None, [LIVE]),
    ([HERE], [], Scope.LIVE, []),
]


@pytest.mark.parametrize(("live", "config", "scope", "targets"), TARGETS)
def test_a_nic_comes_into_each_document_that_wants_it_the_running_guest_first(live, config, scope, targets):
    plan = plan_attach(domain(live, config), WISH, scope)
    assert errors(plan) == []
    assert all(isinstance(step, Attach) for step in plan.steps)
    assert [step.target for step in plan.steps] == targets


def test_alias_and_place_are_decided_once_for_both_documents():
    first, second = plan_attach(domain([], []), WISH, None).steps
    assert first.nic == second.nic
    assert (first.nic.alias, first.nic.address) == ("ua-525400000001", "0000:01:00.0")


@pytest.mark.parametrize(("live", "config"), [([HERE], []), ([], [HERE])])
def test_a_nic_that_one_document_has_keeps_its_alias_and_place_in_the_other(live, config):
    (step,) = plan_attach(domain(live, config), WISH, None).steps
    assert (step.nic.alias, step.nic.address) == ("ua-mine", "0000:01:00.0")


def test_an_alias_that_libvirt_gave_is_not_taken_over():
    (step,) = plan_attach(domain([interface(bus=1, more="<alias name='net0'/>")], []), WISH, None).steps
    assert step.nic.alias == "ua-525400000001"


def test_a_place_that_was_asked_for_is_left_as_it_is():
    (step, _) = plan_attach(domain([], []), Nic.parse(interface(bus=2)), None).steps
    assert step.nic.address == "0000:02:00.0"


FULL = [interface("52:54:00:00:00:11", bus=1), interface("52:54:00:00:00:12", bus=2)]
REFUSALS = [
    # code, live NICs, config NICs, scope
    ("G301", None, [], Scope.LIVE),
    ("G302", [], None, Scope.CONFIG),
    ("G303", [interface(mode="vepa", bus=1)], [], None),
    ("G303", [], [interface(mode="private", bus=1)], None),
    ("G304", FULL, [], None),
    ("G304", FULL, FULL, Scope.LIVE),
]


@pytest.mark.parametrize(("code", "live", "config", "scope"), REFUSALS)
def test_what_cannot_be_attached_is_refused_with_a_remedy(code, live, config, scope):
    plan = plan_attach(domain(live, config), WISH, scope)
    assert errors(plan) == [code]
    assert all(f.remedy for f in plan.findings)


@pytest.mark.parametrize(("live", "config", "machine"), [(None, FULL, PORTS), ([], [], "")])
def test_libvirt_finds_a_place_where_vmnet_cannot(live, config, machine):
    plan = plan_attach(domain(live, config, machine=machine), WISH, None)
    assert errors(plan) == []
    assert all(step.nic.address is None for step in plan.steps)


DETACHES = [
    # live NICs, config NICs, scope, the documents that lose the NIC
    ([HERE], [HERE], None, [LIVE, CONFIG]),
    ([HERE], [], None, [LIVE]),
    ([], [HERE], None, [CONFIG]),
    ([HERE], [HERE], Scope.CONFIG, [CONFIG]),
    ([HERE], [HERE], Scope.LIVE, [LIVE]),
    (None, [HERE], None, [CONFIG]),
]


@pytest.mark.parametrize(("live", "config", "scope", "targets"), DETACHES)
def test_a_nic_goes_from_the_running_guest_first_for_it_may_refuse(live, config, scope, targets):
    guest = domain(live, config)
    plan = plan_detach(guest, guest.nics[0], scope)
    assert all(isinstance(step, Detach) for step in plan.steps)
    assert [step.target for step in plan.steps] == targets
    assert plan.findings == ()


def test_a_paused_guest_is_warned_of_only_where_it_must_let_go():
    guest = domain([HERE], [HERE], State.PAUSED)
    (warning,) = plan_detach(guest, guest.nics[0], None).findings
    assert (warning.code, warning.severity) == ("G307", Severity.WARNING)
    assert plan_detach(guest, guest.nics[0], Scope.CONFIG).findings == ()


UNLIKE = [
    # the wish, what was found, the fields that differ
    (interface(), HERE, []),
    (interface(mode="vepa"), HERE, ["mode"]),
    (HERE, interface(), ["alias", "address"]),
    (interface(more="<mtu size='9000'/>"), interface(), ["mtu"]),
    (interface(more="<target dev='macvtap3'/>"), interface(), []),
    (interface(more="<target dev='macvtap3'/>"), interface(more="<target dev='macvtap4'/>"), []),
    (interface(more="<target dev='mine'/>"), interface(more="<target dev='macvtap4'/>"), ["target"]),
]


@pytest.mark.parametrize(("wish", "found", "fields"), UNLIKE)
def test_what_the_wish_leaves_open_is_libvirts_to_fill_in(wish, found, fields):
    assert sorted(unlike(Nic.parse(wish), Nic.parse(found))) == sorted(fields)


SAID = [
    (interface(), f"NIC {MAC}, macvtap on up0 (bridge)"),
    (f"<interface type='bridge'><mac address='{MAC}'/><source bridge='br0'/></interface>", f"NIC {MAC}, bridge br0"),
    (f"<interface type='network'><mac address='{MAC}'/><source network='a'/></interface>", f"NIC {MAC}, network a"),
    (f"<interface type='user'><mac address='{MAC}'/></interface>", f"NIC {MAC}, other user"),
]


@pytest.mark.parametrize(("nic", "words"), SAID)
def test_a_nic_is_described_in_a_few_words(nic, words):
    assert describe(Nic.parse(nic)) == words
