"""Rules of the firewall that name a link are found in what its tools print, and missed on the link beside it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmnet.findings import Severity
from vmnet.host.firewall import of_iptables, of_nft
from vmnet.host.reached import check_firewall

ACCEPT = {"accept": None}


def compared(key: str, right: object, op: str = "==") -> dict:
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": right}}


def rule(*expressions: dict, chain: str = "input", family: str = "inet") -> dict:
    return {"rule": {"family": family, "table": "f", "chain": chain, "handle": 4, "expr": [*expressions]}}


def ruleset(*parts: dict) -> str:
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *parts]})


def lost(rules, source="up0", target="br0") -> list[str]:
    """The rules that the finding names; none where there is none."""
    found = list(check_firewall(tuple(rules), source, target, confirmed=False))
    return found[0].what.partition(": ")[2].split(", ") if found else []


PORT = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}
PAIR = {"match": {"op": "==", "left": {"concat": [{"meta": {"key": "iifname"}}, PORT["match"]["left"]]}}}
NFT = {
    "by name": ([rule(compared("iifname", "up0"), PORT, ACCEPT)], ["inet f input: iifname up0 tcp dport 22 accept"]),
    "by index": ([rule(compared("oif", "up0"), ACCEPT)], ["inet f input: oif up0 accept"]),
    "by what begins so": ([rule(compared("iifname", "up*"), ACCEPT)], ["inet f input: iifname up* accept"]),
    "all links": ([rule(compared("iifname", "*"), ACCEPT)], []),
    "another link": ([rule(compared("iifname", "up01"), ACCEPT)], []),
    "all but it": ([rule(compared("iifname", "up0", "!="), {"drop": None})], ["inet f input: != iifname up0 drop"]),
    "beside the bridge": ([rule(compared("iifname", {"set": ["up0", "br0"]}), ACCEPT)], []),
    "the bridge as well": (
        [rule(compared("iifname", name), {"counter": {"bytes": ord(name[0])}}, ACCEPT) for name in ("up0", "br0")],
        [],
    ),
    "the bridge elsewhere": (
        [rule(compared("iifname", "up0"), ACCEPT), rule(compared("iifname", "br0"), ACCEPT, chain="forward")],
        ["inet f input: iifname up0 accept"],
    ),
    "the bridge otherwise": (
        [rule(compared("iifname", "up0"), ACCEPT), rule(compared("iifname", "br0"), {"drop": None})],
        ["inet f input: iifname up0 accept"],
    ),
    "in a map": (
        [rule({"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [["up0", {"jump": {"target": "c"}}]]}}})],
        ["inet f input: vmap iifname data up0 jump target c"],
    ),
    "a chain of its name": (
        [rule({"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [["lo", {"jump": {"target": "up0"}}]]}}})],
        [],
    ),
    "in a set": (
        [{"set": {"family": "inet", "table": "f", "name": "lan", "type": "ifname", "elem": ["up0", "eth9"]}}],
        ["inet f set lan: up0 eth9"],
    ),
    "a set of other things": (
        [{"set": {"family": "inet", "table": "f", "name": "up0", "type": "ipv4_addr", "elem": ["192.0.2.1"]}}],
        [],
    ),
    "with a port": (
        [rule({"match": PAIR["match"] | {"right": {"set": [{"concat": ["up0", 22]}]}}}, ACCEPT)],
        ["inet f input: concat iifname tcp dport concat up0 22 accept"],
    ),
    "a set's name": ([rule(compared("iifname", "@up0"), ACCEPT)], []),
    "ports, which stay so": ([rule(compared("iifname", "up0"), ACCEPT, family="bridge")], []),
    "a log's prefix": ([rule({"log": {"prefix": "up0"}}, ACCEPT)], []),
}  # fmt: skip


@pytest.mark.parametrize("case", NFT)
def test_what_nftables_has_of_the_uplink_alone_is_named(case):
    parts, expected = NFT[case]
    assert lost(of_nft(ruleset(*parts))) == expected


IPTABLES = {
    "in": (["-A INPUT -i up0 -j ACCEPT"], ["ip filter INPUT: -i up0 -j ACCEPT"]),
    "out, by what begins so": (["-A FORWARD -o up+ -j DROP"], ["ip filter FORWARD: -o up+ -j DROP"]),
    "all but it": (["-A INPUT ! -i up0 -j DROP"], ["ip filter INPUT: ! -i up0 -j DROP"]),
    "the bridge too": (["-A INPUT -i up0 -j ACCEPT", "-A INPUT -i br0 -j ACCEPT"], []),
    "as a port of a bridge": (["-A FORWARD -m physdev --physdev-in up0 -j ACCEPT"], []),
    "in a comment": (['-A INPUT -m comment --comment "-i up0" -j ACCEPT'], []),
    "a comment that never ends": (["-A INPUT -i up0 --comment it's"], ["ip filter INPUT: -i up0 --comment it's"]),
    "another link": (["-A INPUT -i up01 -j ACCEPT", "-A INPUT -i lo -j ACCEPT"], []),
}  # fmt: skip


@pytest.mark.parametrize("case", IPTABLES)
def test_what_iptables_has_of_the_uplink_alone_is_named(case):
    lines, expected = IPTABLES[case]
    assert (
        lost(of_iptables("ip", "\n".join(["# by iptables-save", "*filter", ":INPUT DROP [0:0]", *lines, "COMMIT"])))
        == expected
    )


def test_whoever_is_to_confirm_is_warned_and_others_are_refused():
    rules = tuple(of_iptables("ip", "*filter\n-A INPUT -i up0 -j ACCEPT"))
    for confirmed, severity in ((True, Severity.WARNING), (False, Severity.ERROR)):
        (finding,) = check_firewall(rules, "up0", "br0", confirmed=confirmed)
        assert (finding.code, finding.severity) == ("H427", severity)
        assert "Add the same for br0 first" in finding.remedy


def test_on_the_way_back_the_rules_of_the_bridge_count():
    rules = tuple(of_iptables("ip", "*filter\n-A INPUT -i br0 -j ACCEPT"))
    assert lost(rules) == []
    assert lost(rules, "br0", "up0") == ["ip filter INPUT: -i br0 -j ACCEPT"]


KEYS = ["nftables", "rule", "set", "expr", "family", "match", "left", "right", "type", "elem"]


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    )
)
def test_anything_that_a_tool_prints_is_no_failure(document):
    list(of_nft(json.dumps(document)))
    list(of_nft(json.dumps({"nftables": document})))
    list(of_iptables("ip", json.dumps(document)))


@settings(max_examples=40)
@given(st.text())
def test_any_text_that_a_tool_prints_is_no_failure(text):
    list(of_nft(text))
    list(of_iptables("ip", f"-A {text}"))
    list(of_iptables("ip", f"-A\n-A \n{text}"))
