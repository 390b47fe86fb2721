"""Tables: fitted to a terminal, plain columns anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vmnet.render.text import safe


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns.

    Args:
        head: The columns' names.
        rows: Cells; an empty one shows as ``-``, so that every row has as many words for a program.

    Returns:
        Text that fits a terminal's width, by wrapping, if stdout is one; else as wide as it is.
    """
    cells = [[safe(cell) or "-" for cell in row] for row in rows]
    return _fitted(head, cells) if sys.stdout.isatty() else _plain([list(head), *cells])


def _plain(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _fitted(head: Sequence[str], cells: list[list[str]]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for name in head:
        grid.add_column(name, overflow="fold")  # an address cut short is of no use
    for row in cells:
        grid.add_row(*map(Text, row))
    console = Console()
    with console.capture() as captured:
        console.print(grid)
    return captured.get().rstrip("\n")
