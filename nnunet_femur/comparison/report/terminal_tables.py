"""The main tables of a comparison, printed to the terminal."""

from __future__ import annotations

import os
from itertools import groupby
from typing import TYPE_CHECKING

from nnunet_femur.dataset.environment import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table as RichTable

    from nnunet_femur.comparison.predictions import Unscored
    from nnunet_femur.comparison.report.tables import Cell, Column, Table

_FILE_COLUMNS = 200
"""Width of the output in characters if it goes to a file or a pipe."""


def print_tables(
    tables: Sequence[Table], *, warnings: Sequence[str], notes: Sequence[str], unscored: Sequence[Unscored] = ()
) -> None:
    """Print the main tables, and missing and unscored predictions, to standard output.

    If the terminal is too narrow for standard deviations, the means are printed alone.

    Args:
        tables: The tables of the report; those with the place "main" are printed.
        warnings: Missing, wrong and omitted predictions, a sentence each.
        notes: Folds that have not been trained yet, a sentence each.
        unscored: Predictions that could not be scored; equal reasons are printed once.
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
        narrow = "" if deviations else " The terminal is too narrow for standard deviations; the report shows them."
        console.print(f"{table.note}{narrow}\n", style="dim", markup=False)
    for reason, of_reason in groupby(sorted(unscored, key=lambda one: one.reason), key=lambda one: one.reason):
        methods = ", ".join(dict.fromkeys(one.method for one in of_reason))
        console.print(f"not scored: {reason} ({methods})", style="red", markup=False, soft_wrap=True)
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def _grid(table: Table, *, deviations: bool) -> RichTable:
    from rich import box
    from rich.markup import escape
    from rich.table import Table as RichTable

    grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
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
    """Return the smallest width of a table with standard deviations, in characters."""
    label = max((len(row.label) for row in table.rows), default=0)
    widths = [
        max(*(len(part) for part in _heading(column).split("\n")), *(len(row.cells[number].text) for row in table.rows))
        for number, column in enumerate(table.columns)
    ]
    return min(label, 30) + sum(width + 2 for width in widths)
