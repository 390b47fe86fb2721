"""The schema is asked about what the vocabulary cannot vouch for, and about nothing else."""

from __future__ import annotations

import pytest

from vmnet.operations.wish import NicWish, check, shaped

OWN = "<interface type='direct'><source dev='eth0' mode='bridge'/><mtu size='big'/></interface>"


@pytest.mark.parametrize("place", ["a file", "one's own by the name of a shipped one"])
def test_a_template_of_ones_own_is_asked_about(place, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "vmnet" / "templates" / "direct.xml"
    file.parent.mkdir(parents=True)
    file.write_text(OWN)
    wish = NicWish({}, str(file)) if place == "a file" else NicWish({"direct": "eth1"})
    assert "N001" in [f.code for f in check(wish, shaped(wish, None))]


def test_a_shipped_template_is_not_asked_about(monkeypatch):
    def asked(nic):
        raise AssertionError("the schema was read")

    monkeypatch.setattr("vmnet.nic.schema.check", asked)
    for kind in ("direct", "bridge"):
        wish = NicWish({kind: "eth0"})
        assert check(wish, shaped(wish, None)) == []
