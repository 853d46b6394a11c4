"""The summaries in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.tables import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunet_femur.comparison.tables import Table

_FILE_COLUMNS = 160
"""Width where nobody watches: in a file or a pipe."""


def print_tables(tables: Sequence[Table], *, warnings: Sequence[str], notes: Sequence[str]) -> None:
    """Print what is missing, and those tables that are summaries, to standard output."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Grid

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_FILE_COLUMNS)
    for table in (table for table in tables if table.columns == SUMMARY):
        grid = Grid(title=escape(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        grid.add_column("method", overflow="fold")
        grid.add_column("n", justify="right")
        for column in table.columns:
            grid.add_column(f"{column.above}\n{column.heading}", justify="right")
        if table.timed:
            grid.add_column("training\nminutes", justify="right")
        for row in table.rows:
            cells = [f"[bold]{cell}[/bold]" if cell.best else str(cell) for cell in row.cells]
            minutes = [f"{row.minutes:.1f}" if row.minutes is not None else "–"] if table.timed else []
            grid.add_row(escape(row.label), str(row.cases), *cells, *minutes)
        console.print(grid)
        console.print(f"± is the standard deviation over cases. {table.note}\n", style="dim", markup=False)
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    for note in notes:
        console.print(f"note: {note}", markup=False)
