"""Write everything a comparison leaves behind."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from math import isnan
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import write_text, written_beside
from nnunet_femur.comparison.report.figure_cache import INDEX, index_of
from nnunet_femur.comparison.report.report import Report, render
from nnunet_femur.comparison.report.tables.formats import FORMATS, latex_document
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    import pandas as pd

_ROWS = 100_000
"""Rows of scores.csv that are turned into text at once."""

_LIST = "tables/index.json"
"""All that a report consists of, so that the next one knows what to take away."""


def write_all(folder: Path, report: Report, scores: pd.DataFrame | None) -> Path:
    """Write scores.csv, report.md, report.html, tables/ and figures/, each file whole or not at all.

    Everything is rendered before the first file is written. Tables and figures of an earlier report that this one
    does not have are taken away.

    Args:
        folder: The report's folder.
        report: What it says.
        scores: The tidy table; None if scores.csv is written already.

    Returns:
        The HTML report.

    Raises:
        InputError: The folder cannot be written.
    """
    texts = {f"report.{ending}": render(report, ending) for ending in ("md", "html")}
    texts |= {
        f"tables/{table.name}.{ending}": make(table) for table in report.tables for ending, make in FORMATS.items()
    }
    texts["tables/all.tex"] = latex_document(report.tables)
    texts[f"figures/{INDEX}"] = index_of(report.drawings)
    files = {
        f"figures/{drawing.name}.{ending}": content
        for drawing in report.drawings
        for ending, content in (("png", drawing.png), ("svg", drawing.svg))
    }
    texts[_LIST] = json.dumps(sorted([*files, *texts]), indent=1) + "\n"
    try:
        _take_away(folder, files.keys() | texts.keys())
        for name in ("figures", "tables"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            with written_beside(path, durable=False) as partial:
                partial.write_bytes(content)
        for name, text in texts.items():
            write_text(folder / name, text, durable=False)
        if scores is not None:
            _write_scores(folder / "scores.csv", scores)
    except OSError as error:
        msg = f"{folder}: cannot be written ({error.strerror}). Choose another folder with --output."
        raise InputError(msg) from error
    return folder / "report.html"


def _write_scores(path: Path, scores: pd.DataFrame) -> None:
    """Write the table as CSV, as pandas would, but in a fifth of the time, and a part at a time."""
    with written_beside(path, durable=False) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(scores.columns)
        for start in range(0, len(scores), _ROWS):
            part = scores.iloc[start : start + _ROWS]
            # Floats as Python writes them: the shortest text that reads as the same number; NaN is an empty field.
            columns = [
                ["" if isnan(value) else value for value in column.tolist()]
                if column.dtype.kind == "f"
                else column.tolist()
                for _, column in part.items()
            ]
            writer.writerows(zip(*columns, strict=True))


def _take_away(folder: Path, kept: AbstractSet[str]) -> None:
    """Delete what the last report wrote and this one does not; what it did not write is nobody's business."""
    with suppress(OSError, ValueError, TypeError):
        for name in json.loads((folder / _LIST).read_text(encoding="utf-8")):
            parts = name.split("/")
            if name not in kept and len(parts) == 2 and parts[0] in {"figures", "tables"} and ".." not in parts:
                (folder / name).unlink(missing_ok=True)
