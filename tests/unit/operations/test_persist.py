"""What is asked of the host for its configuration at boot."""

from __future__ import annotations

from vmnet.operations import persist


def test_a_search_domain_that_is_none_is_not_written(tmp_path, monkeypatch):
    asked = tmp_path / "resolv.conf"
    asked.write_text("nameserver 192.0.2.53\nsearch ok.example a;b $(x) -bad bad- a.-b _tcp.example. x--y\n")
    monkeypatch.setattr(persist, "_RESOLVED", tmp_path / "none")
    monkeypatch.setattr(persist, "_RESOLVER", asked)
    assert persist._resolver() == (("192.0.2.53",), ("ok.example", "_tcp.example.", "x--y"))
