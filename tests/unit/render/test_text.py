"""Text from elsewhere acts on no terminal; messages and tables say all there is to say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmnet.change.plan import Plan
from vmnet.errors import Refused, VmnetError
from vmnet.findings import Finding, Severity
from vmnet.guest.addresses import Known
from vmnet.guest.editing import FieldChange, Verdict
from vmnet.guest.kinds import Source
from vmnet.guest.networks import Network
from vmnet.host.model import Identity
from vmnet.host.steps import SetUp
from vmnet.nic import templates
from vmnet.nic.generator import generate
from vmnet.operations.change import Changed, Outcome
from vmnet.operations.listing import Row
from vmnet.render import message
from vmnet.render.listing import listing
from vmnet.render.outcome import outcome, verdicts
from vmnet.render.table import table
from vmnet.render.text import safe

HOSTILE = "\x1b[31m\u202ered\x07\r\n\x9b2J\u2028\x00"


def harmless(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@given(st.text())
def test_safe_text_has_nothing_that_a_terminal_acts_on(text):
    assert safe(text).isprintable()


@given(st.text())
def test_what_can_be_shown_is_shown_as_it_is(text):
    shown = "".join(c for c in text if c.isprintable())
    assert safe(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1bb", r"a\x1bb"), ("\n", r"\n"), ("\u202e", r"\u202e"), ("é 網", "é 網")]
)
def test_what_cannot_be_shown_is_spelt_out(text, shown):
    assert safe(text) == shown


ERROR = VmnetError("code", f"what{HOSTILE}", why=f"why{HOSTILE}", remedy=f"do{HOSTILE}")
FINDING = Finding("X1", Severity.ERROR, f"what{HOSTILE}", f"why{HOSTILE}", f"do{HOSTILE}")
STEP = SetUp(Identity(f"up{HOSTILE}", 2, None))
NIC = {"domain": HOSTILE, "mac": "52:54:00:00:00:01", "direct": HOSTILE, "mode": "bridge", "target": HOSTILE}
ATTACHED = generate(templates.load("direct"), {"direct": "up0"})


def row(**fields) -> Row:
    usual = {
        "domain": "web", "uuid": "u", "state": "running", "number": 1, "nic": {"bridge": "br0", "mac": "m"},
        "type": "bridge", "network": None, "documents": ("live", "config"), "differs": {}, "kernel": None,
        "notes": (), "addresses": (),
    }  # fmt: skip
    return Row(**(usual | fields))


TOLD = [
    message.error(ERROR),
    message.error(Refused([FINDING])),
    message.finding(FINDING),
    message.step(STEP),
    message.plan(Plan((STEP,))),
    message.json_text({"x": HOSTILE}),
    outcome(Outcome(Plan(), True, (Changed(HOSTILE, ATTACHED, ("live",)),)), "Attached"),
    outcome(Outcome(Plan((STEP,)), False, ()), "Attached"),
    verdicts({HOSTILE: [FieldChange("alias", None, HOSTILE, Verdict.REPLUG)]}),
    table(["A"], [[HOSTILE]]),
    listing([row(domain=HOSTILE, nic=NIC, type=HOSTILE, network=Network(HOSTILE, None, HOSTILE), notes=(HOSTILE,))]),
]


@pytest.mark.parametrize("text", TOLD)
def test_nothing_that_is_told_acts_on_a_terminal(text):
    assert harmless(text)
    assert "\\x1b" in text or "\\u001b" in text


def test_an_error_says_what_why_and_what_to_do():
    told = message.error(VmnetError("no-way", "it fails", why="it is broken", remedy="mend it"))
    assert told == "error: it fails [no-way]\n  why: it is broken\n  do:  mend it"
    assert message.error(VmnetError("no-way", "it fails")) == "error: it fails [no-way]"


def test_a_refusal_says_every_finding():
    told = message.error(Refused([Finding("X1", Severity.ERROR, "one"), Finding("X2", Severity.NOTE, "two")]))
    assert told == "error: one [X1]\nnote: two [X2]"


def test_a_plan_is_a_numbered_list_and_an_empty_one_is_said():
    assert (
        message.plan(Plan((SetUp(Identity("a", 1, None)), SetUp(Identity("b", 2, None))))) == "1. Set a up\n2. Set b up"
    )
    assert message.plan(Plan()) == "Nothing to do."


def test_a_plain_table_has_a_word_in_every_cell():
    assert table(["A", "LONG"], [["one", ""], ["", "x"]]) == "A    LONG\none  -\n-    x"


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), max_size=5))
def test_a_plain_table_has_a_line_for_each_row(rows):
    assert len(table(["A", "B", "C"], rows).split("\n")) == len(rows) + 1


def test_json_is_what_was_given_in_ascii():
    told = message.json_text({"x": [HOSTILE, 1, None]})
    assert told.isascii()
    assert json.loads(told) == {"x": [HOSTILE, 1, None]}


def known(address: str) -> Known:
    return Known(address, Source.AGENT)


ROWS = [
    # fields of the row, the words of its line
    ({"nic": {"bridge": "br0", "mac": "m", "target": "vnet0"}}, "web 1 vnet0 br0 m -"),
    ({"nic": {"direct": "up0", "mode": "vepa", "mac": "m", "target": "macvtap0"}}, "web 1 macvtap0 up0 vepa m -"),
    ({"documents": ("config",), "state": "shut off"}, "web 1 shut off br0 m -"),
    ({"documents": ("config",)}, "web 1 - br0 m -"),
    ({"addresses": (known("192.0.2.1/24"), known("fe80::1/64"))}, "web 1 - br0 m 192.0.2.1"),
    ({"network": Network("lan", "bridge", "br0")}, "web 1 - lan: br0 m -"),
    ({"nic": {"mac": "m"}, "network": Network("lan", "vepa", None, ("a", "b"))}, "web 1 - lan: a,b m -"),
    ({"nic": {"mac": "m"}, "network": Network("lan")}, "web 1 - lan: ? m -"),
    ({"nic": {"mac": "m"}, "type": "user"}, "web 1 - user m -"),
]


@pytest.mark.parametrize(("fields", "words"), ROWS)
def test_a_nic_is_a_line_of_the_list(fields, words):
    assert " ".join(listing([row(**fields)]).split("\n")[1].split()) == words


def test_notes_come_beneath_the_list_with_the_nic_they_are_of():
    assert listing([row(notes=("it is down", "it is odd"))]).split("\n")[-3:] == [
        "",
        "web 1: it is down",
        "web 1: it is odd",
    ]
    assert listing([]) == "There is no NIC."
