"""The main tables in the terminal."""

from __future__ import annotations

import os
from itertools import groupby
from typing import TYPE_CHECKING

from nnunet_femur.dataset.environment import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table as Grid

    from nnunet_femur.comparison.predictions import Unscored
    from nnunet_femur.comparison.report.tables import Cell, Column, Table

_FILE_COLUMNS = 200
"""Width where nobody watches: in a file or a pipe."""


def print_tables(
    tables: Sequence[Table], *, warnings: Sequence[str], notes: Sequence[str], unscored: Sequence[Unscored] = ()
) -> None:
    """Print the main tables, and what is missing, to standard output.

    Where the window is too narrow for means with their deviations, the means are printed alone.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=int(os.environ.get(COLUMNS, _FILE_COLUMNS)))
    for table in (table for table in tables if table.place == "main"):
        deviations = _width(table) <= console.width
        grid = _grid(table, deviations=deviations)
        console.print(f"[bold]{escape(table.title)}[/bold]")
        console.print(grid)
        alone = "" if deviations else " The window is too narrow for the deviations; they stand in the report."
        console.print(f"{table.note}{alone}\n", style="dim", markup=False)
    for reason, of_reason in groupby(sorted(unscored, key=lambda one: one.reason), key=lambda one: one.reason):
        methods = ", ".join(dict.fromkeys(one.method for one in of_reason))
        console.print(f"not scored: {reason} ({methods})", style="red", markup=False, soft_wrap=True)
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def _grid(table: Table, *, deviations: bool) -> Grid:
    from rich import box
    from rich.markup import escape
    from rich.table import Table as Grid

    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    grid.add_column(escape(table.stub.lower()), overflow="fold")
    for column in table.columns:
        grid.add_column(escape(_heading(column)), justify="right", no_wrap=True)
    for row in table.rows:
        grid.add_row(
            escape(row.label),
            *(
                f"[bold]{escape(_text(cell, deviations))}[/bold]" if cell.best else escape(_text(cell, deviations))
                for cell in row.cells
            ),
        )
    return grid


def _heading(column: Column) -> str:
    return f"{column.above}\n{column.heading}".replace("Dice of slices", "slice Dice").replace("Training (", "train (")


def _text(cell: Cell, deviations: bool) -> str:  # noqa: FBT001
    return cell.text if deviations else cell.text.partition(" ± ")[0]


def _width(table: Table) -> int:
    """Columns of the window that the table takes at least."""
    label = max((len(row.label) for row in table.rows), default=0)
    widths = [
        max(*(len(part) for part in _heading(column).split("\n")), *(len(row.cells[place].text) for row in table.rows))
        for place, column in enumerate(table.columns)
    ]
    return min(label, 30) + sum(width + 2 for width in widths)
