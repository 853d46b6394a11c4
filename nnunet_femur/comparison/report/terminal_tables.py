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

    If the terminal is too narrow for standard deviations, the means are printed alone; if it is too narrow for all
    columns, the last ones are left out.

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
        columns, deviations = _fitting(table, console.width)
        console.print(f"[bold]{escape(table.title)}[/bold]")
        console.print(_grid(table, columns, deviations=deviations))
        missing = [
            *([] if deviations else ["standard deviations"]),
            *(column.title for number, column in enumerate(table.columns) if number not in columns),
        ]
        narrow = f" Too wide for this terminal, see the report: {', '.join(missing)}." if missing else ""
        console.print(f"{table.note}{narrow}\n", style="dim", markup=False)
    for reason, of_reason in groupby(sorted(unscored, key=lambda one: one.reason), key=lambda one: one.reason):
        methods = ", ".join(dict.fromkeys(one.method for one in of_reason))
        console.print(f"not scored: {reason} ({methods})", style="red", markup=False, soft_wrap=True)
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    for note in notes:
        console.print(f"note: {note}", markup=False)


_LABEL_WIDTH = 30
"""Width in characters above which the names of methods are wrapped."""

_GAP = 3
"""Characters between two columns."""


def _fitting(table: Table, width: int) -> tuple[list[int], bool]:
    """Return the numbers of the columns that fit into a width in characters, and True if standard deviations do."""
    everything = list(range(len(table.columns)))
    if _width(table, everything, deviations=True) <= width:
        return everything, True
    columns = everything
    while len(columns) > 1 and _width(table, columns, deviations=False) > width:
        columns = columns[:-1]
    return columns, False


def _width(table: Table, columns: Sequence[int], *, deviations: bool) -> int:
    """Return the width of a table with some of its columns, in characters."""
    widths = [min(_LABEL_WIDTH, max((len(row.label) for row in table.rows), default=0))]
    for number in columns:
        heading = _heading(table.columns[number]).split("\n")
        texts = [_text(row.cells[number], deviations=deviations) for row in table.rows]
        widths.append(max(map(len, (*heading, *texts))))
    # A space at either edge, and the gaps.
    return 2 + sum(widths) + _GAP * len(columns)


def _grid(table: Table, columns: Sequence[int], *, deviations: bool) -> RichTable:
    from rich import box
    from rich.markup import escape
    from rich.table import Table as RichTable

    grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    grid.add_column(escape(table.stub.lower()), overflow="fold")
    for number in columns:
        grid.add_column(escape(_heading(table.columns[number])), justify="right", no_wrap=True)
    for row in table.rows:
        texts = [
            (row.cells[number].best, escape(_text(row.cells[number], deviations=deviations))) for number in columns
        ]
        grid.add_row(escape(row.label), *(f"[bold]{text}[/bold]" if best else text for best, text in texts))
    return grid


def _heading(column: Column) -> str:
    return f"{column.above}\n{column.heading}".replace("Dice of slices", "slice Dice").replace("Training (", "train (")


def _text(cell: Cell, *, deviations: bool) -> str:
    return cell.text if deviations else cell.text.partition(" ± ")[0]
