"""`--set FIELD=VALUE` and `--unset FIELD`: told well when they make no sense."""

import pytest

from vmnet.errors import UsageError
from vmnet.nic.assignment import changes


def test_options_assignments_and_removals_come_together():
    assert changes({"mtu": "1400"}, ["rss=on", "inbound=1,2", "filter_params=A=1,B=2"], ["link"]) == {
        "mtu": "1400",
        "rss": "on",
        "inbound": "1,2",
        "filter_params": "A=1,B=2",
        "link": None,
    }


def test_nothing_said_is_no_change():
    assert changes({}) == {}


@pytest.mark.parametrize(
    ("given", "texts", "unset", "code", "names"),
    [
        ({}, ["mtu"], [], "set-malformed", "'mtu'"),
        ({}, ["=5"], [], "field-unknown", "''"),
        ({}, ["mtus=5"], [], "field-unknown", "mtu"),
        ({}, ["trust-rx=yes"], [], "field-unknown", "trust_rx"),
        ({}, ["MTU=1400"], [], "field-unknown", "mtu"),
        ({}, [], ["host_csun"], "field-unknown", "host_csum"),
        ({}, ["\x1b[31m=5"], [], "field-unknown", r"\x1b"),
        ({}, ["mtu="], [], "bad-value", "mtu"),
        ({}, ["rss=maybe"], [], "bad-value", "--set rss"),
        ({"mtu": "1400"}, ["mtu=1400"], [], "field-twice", "mtu"),
        ({}, ["rss=on", "rss=on"], [], "field-twice", "rss"),
        ({}, ["rss=on"], ["rss"], "field-twice", "rss"),
    ],
)
def test_what_makes_no_sense_is_refused_and_names_what_was_meant(given, texts, unset, code, names):
    with pytest.raises(UsageError) as caught:
        changes(given, texts, unset)
    error = caught.value
    assert error.code == code
    assert names in error.what + error.remedy
    assert error.remedy
    assert error.what.isprintable()
