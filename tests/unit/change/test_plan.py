"""Plans are values: they add up, refuse, and are told as JSON."""

from __future__ import annotations

import json

import pytest

from vmnet.change.plan import Plan
from vmnet.errors import ExitCode, Refused
from vmnet.findings import Finding, Severity
from vmnet.host.model import Identity
from vmnet.host.steps import SetUp

STEP = SetUp(Identity("up0", 2, None))
NOTE = Finding("H312", Severity.NOTE, "just so you know")
WARNING = Finding("H310", Severity.WARNING, "take care")
ERROR = Finding("H301", Severity.ERROR, "it is not there", "nobody made it", "Make it", "direct")


def test_a_planner_yields_steps_and_findings_in_any_order():
    assert Plan.of([NOTE, STEP, WARNING]) == Plan((STEP,), (NOTE, WARNING))
    assert Plan((STEP,), (NOTE,)) + Plan((STEP,), (ERROR,)) == Plan((STEP, STEP), (NOTE, ERROR))


def test_only_an_error_refuses():
    Plan((STEP,), (NOTE, WARNING)).refuse()
    with pytest.raises(Refused) as told:
        Plan((STEP,), (NOTE, ERROR)).refuse()
    assert (told.value.what, told.value.why, told.value.remedy) == ("it is not there", "nobody made it", "Make it")
    assert told.value.findings == (NOTE, ERROR)
    assert told.value.exit_code is ExitCode.REFUSED


def test_a_plan_is_told_as_json_with_stable_keys():
    document = json.loads(json.dumps(Plan((STEP,), (ERROR,)).document()))
    assert document == {
        "steps": [{"wing": "host", "action": "SetUp", "summary": "Set up0 up"}],
        "findings": [
            {
                "code": "H301",
                "severity": "error",
                "what": "it is not there",
                "why": "nobody made it",
                "remedy": "Make it",
                "field": "direct",
                "domain": "",
            }
        ],
    }
