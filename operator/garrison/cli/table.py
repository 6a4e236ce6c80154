"""Tables for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

WIDE = 200
"""Columns where nobody looks: a file or a pipe is not folded to a terminal's width."""


def print_table(titles: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under titles; what does not fit is folded, never cut off."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else WIDE
    Console(file=sys.stdout, width=width, markup=False, highlight=False).print(table)
