"""Output of a comparison: the files of the report, and the main tables in the terminal."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import write_text, written_beside
from nnunet_femur.comparison.report.figure_cache import INDEX, figure_files, index_of
from nnunet_femur.comparison.report.report import Report, render
from nnunet_femur.comparison.report.tables.formats import FORMATS, latex_document
from nnunet_femur.dataset.environment import COLUMNS
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path
    from typing import Any

    import pandas as pd
    from rich.table import Table as RichTable

    from nnunet_femur.comparison.line_cache import LineCache
    from nnunet_femur.comparison.predictions import Unscored
    from nnunet_femur.comparison.report.tables import Cell, Column, Table
    from nnunet_femur.comparison.score_cache import ScoreCache


_LIST = "tables/index.json"
"""Names of the tables and figures of a report. The next report deletes those that it does not write itself."""

MEASUREMENTS = "measurements.csv"
"""Table of the clinical measurements in the folder of a report."""

_FILE_COLUMNS = 200
"""Width of the output in characters if it goes to a file or a pipe."""

_LABEL_WIDTH = 30
"""Width in characters above which the names of methods are wrapped."""

_GAP = 3
"""Characters between two columns."""


def write_all(
    folder: Path, report: Report, scores: pd.DataFrame | None, measurements: pd.DataFrame | None = None
) -> Path:
    """Write scores.csv, measurements.csv, report.md, report.html, tables/ and figures/.

    All text is rendered before the first file is written, and each file is written completely or not at all. Tables and
    figures of an earlier report that this one does not contain are deleted.

    Args:
        folder: Folder of the report.
        report: The report.
        scores: The table of all scores; None to keep scores.csv as it is.
        measurements: The table of measurements; None to write no measurements.csv.

    Returns:
        Path of the HTML report.

    Raises:
        InputError: The folder cannot be written (code "cannot-write").
    """
    texts = {f"report.{ending}": render(report, ending) for ending in ("md", "html")}
    texts |= {
        f"tables/{table.name}.{ending}": make(table) for table in report.tables for ending, make in FORMATS.items()
    }
    texts["tables/all.tex"] = latex_document(report.tables)
    texts[INDEX] = index_of(report.drawings, report.provenance)
    files = figure_files(report.drawings)
    frames = {} if scores is None else {"scores.csv": scores}
    if measurements is not None:
        frames[MEASUREMENTS] = measurements
    listed = [*files, *texts, *(name for name in frames if name == MEASUREMENTS)]
    texts[_LIST] = json.dumps(sorted(listed), indent=1) + "\n"
    try:
        _delete_outdated(folder, files.keys() | texts.keys() | frames.keys())
        for name in ("figures", "tables"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            with written_beside(path, durable=False) as partial:
                partial.write_bytes(content)
        for name, text in texts.items():
            write_text(folder / name, text, durable=False)
        for name, frame in frames.items():
            with written_beside(folder / name, durable=False) as partial:
                frame.to_csv(partial, index=False, lineterminator="\n")
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder / "report.html"


def require_writable(folder: Path) -> None:
    """Check that the report can be written; scoring before it takes minutes.

    Raises:
        InputError: It cannot (code "cannot-write").
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise _unwritable(folder, NotADirectoryError(20, f"{existing} is a file"))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise _unwritable(folder, PermissionError(13, "Permission denied"))


def write_caches(folder: Path, *caches: ScoreCache | LineCache[Any] | None) -> None:
    """Write what the next report in the same folder reuses.

    Raises:
        InputError: The folder cannot be written (code "cannot-write").
    """
    try:
        for cache in caches:
            if cache is not None:
                cache.write(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> InputError:
    msg = f"{folder}: cannot be written ({error.strerror}). Choose another folder with --output."
    return InputError(msg, code="cannot-write")


def print_tables(
    tables: Sequence[Table],
    *,
    warnings: Sequence[str],
    notes: Sequence[str],
    unscored: Sequence[Unscored] = (),
    headlines: Sequence[str] = (),
) -> None:
    """Print the main tables, and missing and unscored predictions, to standard output.

    If the terminal is too narrow for standard deviations, the means are printed alone; if it is too narrow for all
    columns, the last ones are left out.

    Args:
        tables: The tables of the report; those with the place "main" are printed.
        warnings: Missing, wrong and omitted predictions, a sentence each.
        notes: Folds that have not been trained yet, a sentence each.
        unscored: Predictions that could not be scored; equal reasons are printed once.
        headlines: What the statistics show about the best methods, a sentence each.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=int(os.environ.get(COLUMNS, _FILE_COLUMNS)))
    for table in (table for table in tables if table.place == "main"):
        columns, deviations = _fitting_columns(table, console.width)
        console.print(f"[bold]{escape(table.title)}[/bold]")
        console.print(_grid(table, columns, deviations=deviations))
        missing = [
            *([] if deviations else ["standard deviations"]),
            *(column.title for number, column in enumerate(table.columns) if number not in columns),
        ]
        narrow = f" Too wide for this terminal, see the report: {', '.join(missing)}." if missing else ""
        console.print(f"{table.note}{narrow}\n", style="dim", markup=False)
    for headline in headlines:
        console.print(headline, markup=False)
    for reason, of_reason in groupby(sorted(unscored, key=lambda one: one.reason), key=lambda one: one.reason):
        methods = ", ".join(dict.fromkeys(one.method for one in of_reason))
        console.print(f"not scored: {reason} ({methods})", style="red", markup=False, soft_wrap=True)
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def _delete_outdated(folder: Path, kept: AbstractSet[str]) -> None:
    """Delete tables and figures that the last report wrote and this one does not contain. Other files are kept."""
    with suppress(OSError, ValueError, TypeError):
        for name in json.loads((folder / _LIST).read_text(encoding="utf-8")):
            parts = name.split("/")
            of_report = len(parts) == 2 and parts[0] in {"figures", "tables"} and ".." not in parts
            if name not in kept and (of_report or name == MEASUREMENTS):
                (folder / name).unlink(missing_ok=True)


def _fitting_columns(table: Table, width: int) -> tuple[list[int], bool]:
    """Return the indices of columns that fit into a width in characters, and True if standard deviations fit too."""
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
        texts = [_cell_text(row.cells[number], deviations=deviations) for row in table.rows]
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
    for row in (*table.compared, *table.apart):
        if row.apart and row is table.apart[0]:
            grid.add_section()
        texts = [
            (row.cells[number].best, escape(_cell_text(row.cells[number], deviations=deviations))) for number in columns
        ]
        grid.add_row(escape(row.label), *(f"[bold]{text}[/bold]" if best else text for best, text in texts))
    return grid


def _heading(column: Column) -> str:
    return f"{column.above}\n{column.heading}".replace("Dice of slices", "slice Dice").replace("Training (", "train (")


def _cell_text(cell: Cell, *, deviations: bool) -> str:
    return cell.text if deviations else cell.text.partition(" ± ")[0]
