"""The measurements as a page of Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from measure import Group, Unit


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a figure that another row of the page shows by itself.

    Args:
        what: What it is, in words.
        of: Title of the group, and name of the row.
        beyond: A row of the same group that has to be taken off it, if any.
    """

    what: str
    of: tuple[str, str]
    beyond: str | None = None


@dataclass(frozen=True, slots=True)
class Aim:
    """What one figure should be.

    Args:
        what: The figure, in words.
        of: Title of its group, and name of its row.
        limit: In the group's unit, or times what it is compared with.
        over: Name of the row of the same group that it is compared with, if any.
        least: Whether it should be at least that, not at most.
        shares: Where its time goes, as far as it is measured.
        rest: What the rest of it goes to, in words.
    """

    what: str
    of: tuple[str, str]
    limit: float
    over: str | None = None
    least: bool = False
    shares: tuple[Share, ...] = ()
    rest: str = ""


def page(date: str, machine: str, method: str, groups: Sequence[Group], aims: Sequence[Aim]) -> str:
    """The whole page."""
    by_title = {group.title: group for group in groups}
    verdicts = [_verdict(aim, by_title) for aim in aims]
    parts = [
        "# Benchmarks",
        f"Written by `make bench` on {date}; do not edit.",
        f"**Machine.** {machine}",
        f"**Method.** {method}",
        *(part for group in groups for part in _group(group)),
        "## What stands out",
        f"{sum(met for met, _ in verdicts)} of {len(verdicts)} aims are met.",
        _table(("figure", "aim", "measured", "verdict"), [cells for _, cells in verdicts], left=(0, 3)),
        *_explained([aim for aim, (met, _) in zip(aims, verdicts, strict=True) if not met], by_title),
    ]
    return "\n\n".join(parts) + "\n"


def _group(group: Group) -> Iterator[str]:
    yield f"## {group.title}"
    if group.note:
        yield group.note
    unit = group.unit
    head = ("", f"median, {unit.name}", f"min, {unit.name}", *(("ratio",) if group.reference else ()), "n")
    yield _table(head, [_row(group, name) for name in group.rows], left=(0,))


def _row(group: Group, name: str) -> tuple[str, ...]:
    samples = group.rows[name]
    median = statistics.median(samples)
    ratio = (f"{median / group.median(group.reference):.2f}",) if group.reference else ()
    return name, group.unit.text(median), group.unit.text(min(samples)), *ratio, str(len(samples))


def _verdict(aim: Aim, groups: Mapping[str, Group]) -> tuple[bool, tuple[str, ...]]:
    """Whether the aim is met, and its line in the table."""
    title, name = aim.of
    group = groups[title]
    if aim.over:
        found, unit = group.median(name) / group.median(aim.over), Unit("x", 1, 2)
    else:
        found, unit = group.median(name) * group.unit.scale, Unit(group.unit.name, 1, group.unit.digits)
    short = aim.limit / found if aim.least else found / aim.limit
    sense = "at least" if aim.least else "at most"
    verdict = "met" if short <= 1 else f"**missed** by {short - 1:.0%}"
    return short <= 1, (aim.what, f"{sense} {aim.limit:g} {unit.name}", f"{unit.text(found)} {unit.name}", verdict)


def _explained(missed: Sequence[Aim], groups: Mapping[str, Group]) -> Iterator[str]:
    """Where the time of what misses its aim goes, a line each."""
    if missed:
        yield "Where the time of what is missed goes (medians):"
        yield "\n".join(_goes(aim, groups) for aim in missed)


def _goes(aim: Aim, groups: Mapping[str, Group]) -> str:
    title, name = aim.of
    unit, rest = groups[title].unit, groups[title].median(aim.over if aim.least and aim.over else name)
    whole, parts = f"{unit.text(rest)} {unit.name}", []
    for share in aim.shares:
        group = groups[share.of[0]]
        taken = group.median(share.of[1]) - (group.median(share.beyond) if share.beyond else 0)
        rest -= taken
        parts.append(f"{share.what} {unit.text(taken)}")
    parts.append(f"{aim.rest} {unit.text(rest)}" if parts else aim.rest)
    return f"- {aim.what}, {'vmnet ' if aim.least else ''}{whole}: {'; '.join(parts)}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """A table, its columns as wide as their widest cell; figures at the right."""
    widths = [max(3, *(len(row[n]) for row in (head, *rows))) for n in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        sized = zip(cells, widths, strict=True)
        sides = [cell.ljust(w) if n in left else cell.rjust(w) for n, (cell, w) in enumerate(sized)]
        return f"| {' | '.join(sides)} |"

    rule = ["-" * w if n in left else "-" * (w - 1) + ":" for n, w in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)])
