"""Write the reference pages in docs/ from the code: commands, NIC fields, rules, finding codes, error and exit codes.

With --check, only say whether the pages are as the code would have them.
"""

from __future__ import annotations

import ast
import difflib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vmnet import errors
from vmnet.cli.app import COMMANDS
from vmnet.findings import Severity
from vmnet.nic.excluded import EXCLUDED
from vmnet.nic.field import Field, Since
from vmnet.nic.jsonschema import fits
from vmnet.nic.model import Nic
from vmnet.nic.rules import DOMAIN_RULES, RULES
from vmnet.nic.rules.table import Rule
from vmnet.nic.version import Version

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

SUBCOMMANDS = {
    "bridge": ("prepare", "dismantle", "repair", "list", "status"),
    "hostlink": ("add", "remove", "list"),
    "lab": ("run", "shell"),
}
"""Commands that are groups, and what is in them."""

_SEVERITIES = {s.value for s in Severity}
_ERRORS = {c.__name__: c for c in (errors.VmnetError, errors.UsageError, errors.RolledBack, errors.NotRolledBack)}


def main() -> int:
    """Write the pages, or with --check compare them; 1 if one is stale."""
    stale = [name for name, parts in pages().items() if not _settled(DOCS / name, "\n\n".join(parts) + "\n")]
    for name in stale:
        sys.stderr.write(f"docs/{name} is stale: run make docs\n")
    return int(bool(stale))


def pages() -> dict[str, tuple[str, ...]]:
    """The parts of every page, by its name."""
    return {
        "reference.md": (_HEAD, *_commands(), *_findings(), *_failures(), *_exit_codes()),
        "reference/nic.md": tuple(_fields()),
        "reference/rules.md": tuple(_rules_page()),
    }


def _settled(page: Path, wanted: str) -> bool:
    """Write the page, or with --check compare it; whether it is as wanted."""
    if "--check" not in sys.argv[1:]:
        page.parent.mkdir(exist_ok=True)
        page.write_text(wanted)
        return True
    found = page.read_text() if page.exists() else ""
    differing = difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), "found", "wanted", n=1)
    sys.stdout.writelines(differing)
    return found == wanted


_HEAD = """\
# Reference

Made by `make docs` from the code; do not edit.

[Commands](#commands) · [NIC fields](reference/nic.md) · [Rules of the NIC](reference/rules.md) ·
[Finding codes](#finding-codes) · [Error codes](#error-codes) · [Exit codes](#exit-codes)"""


def _commands() -> Iterator[str]:
    yield "## Commands"
    for words in ((), *((name, *sub) for name in COMMANDS for sub in ((), *((s,) for s in SUBCOMMANDS.get(name, ()))))):
        yield f"### {' '.join(('vmnet', *words))}"
        yield f"```text\n{_help(*words)}\n```"


def _help(*words: str) -> str:
    """What `--help` prints, at a width of 80 columns."""
    environment = {k: v for k, v in os.environ.items() if k != "LIBVIRT_DEFAULT_URI"}
    done = subprocess.run(
        [sys.executable, "-m", "vmnet", *words, "--help"],
        env=environment | {"COLUMNS": "80", "NO_COLOR": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.replace("python -m vmnet", "vmnet").strip()


def _fields() -> Iterator[str]:
    yield "# NIC fields"
    yield "Made by `make docs` from the code; do not edit."
    yield (
        "What vmnet can say about a NIC. Fields without an option of their own are reached with `--set FIELD=VALUE`, "
        "as all are. *Running guest* is what it takes for a running guest to get a new value: `live` nothing; `replug` "
        "unplugging and plugging in again, for libvirt refuses to change it; `ignored` the same, but libvirt "
        "answers success and changes nothing; `next-boot` the next start. *Libvirt* is the one that brought the field."
    )
    head = ("Field", "Option", "Value", "On", "Running guest", "Libvirt", "In the XML", "Meaning")
    yield _table(head, (_field(field) for field in Nic.FIELDS.values()))
    yield "## Together"
    needs = (
        f"- `{f.name}` means nothing without `{f.needs}`, and goes with it." for f in Nic.FIELDS.values() if f.needs
    )
    yield "\n".join(["- A NIC has one of `direct`, `bridge`, `network`, and one of `vlan`, `trunk`.", *needs])
    yield "## Never written"
    yield "What libvirt's schema allows besides: kept where it is found, not set."
    yield _table(("In the XML", "Why"), ((f"`{path}`", why) for path, why in EXCLUDED.items()))


def _field(field: Field[object]) -> tuple[str, ...]:
    option = f"`{field.option}`" if field.daily else ""
    places = ", ".join(f"`{path}`" for path in field.place.paths)
    where = fits(field) or "all"
    return (f"`{field.name}`", option, field.type.means, where, _live(field), str(field.since), places, field.help)


def _live(field: Field[object]) -> str:
    match field.verdict:
        case Since(libvirt, now, before):
            return f"`{before}`, from {libvirt} `{now}`"
        case always:
            return f"`{always}`"


def _rules_page() -> Iterator[str]:
    yield "# Rules of the NIC"
    yield "Made by `make docs` from the code; do not edit."
    newer = " and ".join(f"`{rule.code}`" for rule in RULES if not rule.holds_on(_TRIED)) + " is"
    yield (
        "What vmnet says of a NIC before libvirt does, or where libvirt never does. An error refuses a plan, and makes "
        f"`vmnet check` exit with 1. *libvirt* says of which versions a rule speaks, where it is not of all. Every "
        f"claim that is of libvirt {_TRIED} is held against a real one by `tests/e2e/test_claims.py`; {newer} "
        "of a newer one, and not tried."
    )
    yield "`N001` (error) is libvirt's own schema; `N002` (note) says that it is not installed, so nothing was checked."
    yield "## One NIC"
    yield _table(("Code", "Weight", "libvirt", "What libvirt does"), map(_rule, RULES))
    yield "## The NICs of one domain"
    yield _table(("Code", "Weight", "libvirt", "What libvirt does"), map(_rule, DOMAIN_RULES))


_TRIED = Version(9, 0)
"""The libvirt of the lab that the claims are held to."""


def _rule(rule: Rule[object]) -> tuple[str, ...]:
    versions = [f"from {rule.since}"] * bool(rule.since) + [f"until {rule.until}"] * bool(rule.until)
    return (f"`{rule.code}`", rule.severity.value, " ".join(versions), rule.claim)


@dataclass(frozen=True, slots=True, order=True)
class _Said:
    """One thing that the code can say: a finding or a failure, as it is written there."""

    code: str
    kind: str
    what: str
    remedy: str


def _findings() -> Iterator[str]:
    yield "## Finding codes"
    yield (
        "What a plan can say before anything is changed: N of the NIC itself, H of the host, G of the guest. "
        "An error refuses the plan. A `…` stands for what depends on the case."
    )
    found = {*_called(_finding), *_rules()}
    yield _table(
        ("Code", "Weight", "Says", "Remedy"), ((f"`{s.code}`", s.kind, s.what, s.remedy) for s in sorted(found))
    )


def _failures() -> Iterator[str]:
    yield "## Error codes"
    yield (
        "What a command can fail with; `--json` has it as `error.code`. Exit code 1 becomes 3 "
        "where steps had been done and were put back."
    )
    found = sorted({*_called(_failure), _REFUSED})
    yield _table(("Code", "Exit", "Says", "Remedy"), ((f"`{s.code}`", s.kind, s.what, s.remedy) for s in found))


_REFUSED = _Said("refused", str(int(errors.Refused.exit_code)), "what the first error among the findings says", "…")
"""What a plan with error findings fails with: no call names it."""


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes"
    meanings = {
        errors.ExitCode.DONE: "Done, or nothing to do.",
        errors.ExitCode.REFUSED: "Refused or failed; nothing was changed.",
        errors.ExitCode.USAGE: "The command line makes no sense; nothing was looked at.",
        errors.ExitCode.ROLLED_BACK: "Failed on the way; what had been done was put back.",
        errors.ExitCode.NOT_ROLLED_BACK: "Failed, and something remains or is pending; the message says what.",
    }
    yield _table(("Code", "Meaning"), ((str(int(code)), meanings[code]) for code in errors.ExitCode))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])


def _called(read: Callable[[ast.Call], _Said | None]) -> Iterator[_Said]:
    """What `read` makes of every call in the package."""
    for source in sorted((ROOT / "vmnet").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and (said := read(node)):
                yield said


def _finding(call: ast.Call) -> _Said | None:
    """A finding: a call whose first argument is a code such as "H301"."""
    code = _text(call.args[0]) if call.args else ""
    if not (len(code) == 4 and code[0] in "NHG" and code[1:].isdigit()):
        return None
    name = _name(call.func)
    if name == "unknown_link":
        return _Said(code, "error", "there is no link … on this host", "Did you mean …?")
    if name.endswith("rule"):
        return None
    if shared := _shared().get(name):
        name, call = _name(shared.func), shared
    weight = name.lstrip("_") if name.lstrip("_") in _SEVERITIES else _severity(call)
    return _Said(code, weight, _argument(call, "what", 2), _argument(call, "remedy", 4))


@cache
def _shared() -> dict[str, ast.Call]:
    """The findings that several rules have in common, by the name of the function that makes them."""
    module = ast.parse((ROOT / "vmnet" / "host" / "findings.py").read_text())
    return {
        function.name: call
        for function in module.body
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and _name(call.func) in _SEVERITIES
    }


def _severity(call: ast.Call) -> str:
    """The severity of a `Finding(code, severity, ...)`; several where it depends on the case."""
    named = [n.attr.lower() for n in ast.walk(call) if isinstance(n, ast.Attribute) and _name(n.value) == "Severity"]
    return " or ".join(named)


def _rules() -> Iterator[_Said]:
    """The rules of the NIC: the code is in the decorator, the words in the remark."""
    for source in sorted((ROOT / "vmnet" / "nic" / "rules").glob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield from _rules_of(node)


def _rules_of(node: ast.FunctionDef) -> Iterator[_Said]:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and _name(decorator.func).endswith("rule"):
            code, weight = _text(decorator.args[0]), decorator.args[1]
            remark = next(n for n in ast.walk(node) if isinstance(n, ast.Call) and _name(n.func) == "Remark")
            assert isinstance(weight, ast.Attribute)
            yield _Said(code, weight.attr.lower(), _argument(remark, "what", 0), _argument(remark, "remedy", 2))


def _failure(call: ast.Call) -> _Said | None:
    kind = _ERRORS.get(_name(call.func))
    code = _text(call.args[0]) if kind and call.args else ""
    if not kind or code in ("", "…"):
        return None
    return _Said(code, str(int(kind.exit_code)), _argument(call, "what", 1), _argument(call, "remedy", 3))


def _argument(call: ast.Call, name: str, place: int) -> str:
    """An argument's text, given by name or by place; empty if it is not given."""
    named = [k.value for k in call.keywords if k.arg == name]
    given = named or call.args[place : place + 1]
    return _text(given[0]) if given else ""


def _text(node: ast.expr) -> str:
    """The text that an expression makes, with … for what is known only when it runs."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_text, parts))
        case ast.FormattedValue(value=value):
            return _text(value)
        case ast.IfExp(body=body, orelse=orelse):
            return " / ".join(filter(None, (_text(body).strip(), _text(orelse).strip())))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
    return "…"


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


if __name__ == "__main__":
    sys.exit(main())
