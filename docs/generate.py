"""Write docs/reference.md from the code: commands, NIC fields, finding codes, error codes, exit codes.

With --check, only say whether the page is as the code would have it.
"""

from __future__ import annotations

import ast
import difflib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vmnet import errors
from vmnet.change.plan import Severity
from vmnet.cli.app import COMMANDS
from vmnet.nic.attachment import Fits
from vmnet.nic.model import Field, Nic

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference.md"

SUBCOMMANDS = {"lab": ("run", "shell")}
"""Commands that are groups, and what is in them."""

_SEVERITIES = {s.value for s in Severity}
_ERRORS = {c.__name__: c for c in (errors.VmnetError, errors.UsageError, errors.RolledBack, errors.NotRolledBack)}


def main() -> int:
    """Write the page, or with --check compare it; 1 if it is stale."""
    wanted = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted)
        return 0
    found = PAGE.read_text() if PAGE.exists() else ""
    if found == wanted:
        return 0
    sys.stdout.writelines(difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), "found", "wanted", n=1))
    sys.stderr.write("docs/reference.md is stale: run make docs\n")
    return 1


def page() -> str:
    """The whole page."""
    parts = (_HEAD, *_commands(), *_fields(), *_findings(), *_failures(), *_exit_codes())
    return "\n\n".join(parts) + "\n"


_HEAD = """\
# Reference

Made by `make docs` from the code; do not edit.

[Commands](#commands) · [NIC fields](#nic-fields) · [Finding codes](#finding-codes) · [Error codes](#error-codes) ·
[Exit codes](#exit-codes)"""


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
    yield "## NIC fields"
    yield (
        "What vmnet can say about a NIC. *Running guest* is what it takes for a running guest to get a new value: "
        "`live` nothing, `replug` unplugging and plugging in again, `next-boot` the next start. "
        "*Since* is the libvirt that brought the field."
    )
    yield _table(
        ("Option", "Value", "On", "Running guest", "Since", "Meaning"),
        ((f"`{f.option}`", f.type.means, _fits(f), f"`{f.live}`", f.since, f.help) for f in Nic.FIELDS.values()),
    )


def _fits(field: Field[object]) -> str:
    return "both" if field.fits is Fits.EVERY else (field.fits.name or "").lower()


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
    found = sorted({*_called(_failure)})
    yield _table(("Code", "Exit", "Says", "Remedy"), ((f"`{s.code}`", s.kind, s.what, s.remedy) for s in found))


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


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
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
    if name == "rule":
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
    for node in ast.walk(ast.parse((ROOT / "vmnet" / "nic" / "rules.py").read_text())):
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and _name(decorator.func) == "rule":
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
