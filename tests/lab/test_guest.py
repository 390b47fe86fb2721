"""The guests of a lab: what they say on their consoles is true."""

from __future__ import annotations

from tests.lab.outside import said, script


def test_a_nic_that_follows_another_of_its_name_is_a_nic_of_its_own():
    assert said("--guests", "1", "--", *script("replaced.py")).strip() == "replaced"
