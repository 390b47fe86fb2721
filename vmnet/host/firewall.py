"""What of this host's firewall names links: read by its own tools, and nothing where they cannot be asked."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from vmnet.errors import VmnetError
from vmnet.host.wire import Line, attributes
from vmnet.values import dataclass

_PATIENCE = 10.0
"""Seconds for one tool: tens of thousands of rules take it about one."""

_HOOKED_BELOW = frozenset({"bridge", "netdev"})
"""Families whose rules see the frames of a port as they did those of the link."""

# Names and numbers of linux/netlink.h, linux/netfilter.h and linux/netfilter/nf_tables.h.
_NETFILTER = 12  # NETLINK_NETFILTER
_NEW_TABLE, _GET_TABLE, _HEADER, _NAME = 0xA00, 0xA01, 4, 1  # NFT_MSG_..., sizeof(nfgenmsg), NFTA_TABLE_NAME
_FAMILIES = {1: "inet", 2: "ip", 10: "ip6"}  # NFPROTO_...
_OF_IPTABLES = frozenset({"filter", "nat", "mangle", "raw", "security"})

_META = frozenset({"iif", "iifname", "oif", "oifname"})
_OF_LINKS = frozenset({"ifname", "iface_index"})
_SHAPE = frozenset(
    {"match", "op", "left", "right", "meta", "key", "payload", "protocol", "field", "set", "elem", "val"}
)
"""Keys of nft's JSON that say nothing that its text would (libnftables-json(5))."""


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """A rule, or a set of names that rules look into.

    Args:
        place: Its family, table, and chain or set.
        words: What it says, word for word.
        links: Those of the words that name links; ``*`` or ``+`` at the end stands for any rest.
    """

    place: str
    words: tuple[str, ...]
    links: frozenset[str]

    def names(self, link: str) -> bool:
        """Whether it is about this link."""
        return any(_is(word, link) for word in self.links)

    def about(self, other: str, link: str) -> tuple[str, tuple[str, ...]]:
        """Its place and words, if it were about another link in place of one."""
        return self.place, tuple(other if word in self.links and _is(word, link) else word for word in self.words)

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(self.words)}"


def observe_firewall() -> tuple[FirewallRule, ...]:
    """The rules that name links, of nftables and of both kinds of iptables."""
    told = _said("nft", "-j", "list", "ruleset")
    rules = list(of_nft(told)) if told else []
    saves = ("iptables-legacy-save", "ip6tables-legacy-save") if told else ("iptables-save", "ip6tables-save")
    for family, program in zip(("ip", "ip6"), saves, strict=True):
        rules += of_iptables(family, _said(program))
    return tuple(rules)


def unasked() -> tuple[str, ...]:
    """The tables of nftables that are in force where nft, which knows what they say, cannot be asked for them.

    The kernel keeps them without the program. Those of iptables are asked for by its own, where that is there.
    """
    if _said("nft", "-j", "list", "ruleset"):
        return ()
    with suppress(VmnetError), Line(_NETFILTER) as line:  # none, or none that we may see
        bodies = line.dump("nftables", _GET_TABLE, bytes(_HEADER), _NEW_TABLE)
        found = [(b[0], attributes(b[_HEADER:])) for b in bodies if len(b) > _HEADER]
        tables = [
            (_FAMILIES.get(n, ""), dict(a).get(_NAME, b"").rstrip(b"\0").decode(errors="replace")) for n, a in found
        ]
        known = _OF_IPTABLES if _said("iptables-save") else frozenset()
        return tuple(
            f"{family} {name}" for family, name in tables if family and not (family != "inet" and name in known)
        )
    return ()


def of_nft(text: str) -> Iterator[FirewallRule]:
    """The rules of ``nft -j list ruleset``; what makes no sense is passed over."""
    with suppress(ValueError, TypeError, AttributeError, LookupError, RecursionError):
        for found in json.loads(text)["nftables"]:
            for kind, body in found.items():
                if kind in ("rule", "set", "map") and body["family"] not in _HOOKED_BELOW:
                    yield from _of_nft(kind, body)


def of_iptables(family: str, text: str) -> Iterator[FirewallRule]:
    """The rules of ``iptables-save``.

    Args:
        family: ``ip`` or ``ip6``.
        text: What it printed.
    """
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        match _words(line):
            case ["-A", chain, *words]:
                links = frozenset(word for option, word in pairwise(words) if option in ("-i", "-o"))
                if links:
                    yield FirewallRule(f"{family} {table} {chain}", tuple(words), links)


def _of_nft(kind: str, body: dict[str, Any]) -> Iterator[FirewallRule]:
    if kind == "rule":
        expressions = [e for e in body["expr"] if "counter" not in e]
        links = frozenset(word for e in expressions for word in _links(e))
        name = body["chain"]
    else:
        expressions = body.get("elem", [])
        kinds = body["type"] if isinstance(body["type"], list) else [body["type"]]
        links = frozenset(_leaves(expressions)) if _OF_LINKS & set(kinds) else frozenset()
        name = f"{kind} {body['name']}"
    if links:
        yield FirewallRule(f"{body['family']} {body['table']} {name}", tuple(_told(expressions)), links)


def _links(expression: Any) -> Iterator[str]:
    """The names of links that an expression compares with, or looks up."""
    for verb, body in expression.items():
        match verb, body:
            case "match", {"left": left, "right": right} if _META & set(_leaves(left)):
                yield from _leaves(right)
            case "vmap", {"key": key, "data": {"set": list(pairs)}} if _META & set(_leaves(key)):
                for known, _ in pairs:
                    yield from _leaves(known)


def _leaves(value: Any) -> Iterator[str]:
    """The texts in a document; names of sets are none."""
    match value:
        case str() if not value.startswith("@"):
            yield value
        case dict():
            for each in value.values():
                yield from _leaves(each)
        case list():
            for each in value:
                yield from _leaves(each)


def _told(value: Any) -> Iterator[str]:
    """The words of a document, about as nft's text has them."""
    match value:
        case dict():
            for key, each in value.items():
                if key not in _SHAPE:
                    yield key
                yield from _told(each)
        case list():
            for each in value:
                yield from _told(each)
        case None | "==":
            pass
        case _:
            yield str(value)


def _is(word: str, link: str) -> bool:
    return link.startswith(word[:-1]) if word[-1:] in ("*", "+") else word == link


def _words(line: str) -> Sequence[str]:
    try:
        words = shlex.split(line)
    except ValueError:  # a quote in a comment
        words = line.split()
    return words


def _said(*command: str) -> str:
    """What a tool prints; nothing where it is not there, or fails."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [program, *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=True
        )
        return done.stdout.decode(errors="replace")
    return ""
