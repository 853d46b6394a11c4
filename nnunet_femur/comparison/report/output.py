"""Files of a report: scores.csv, report.md, report.html, tables and figures."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import write_text, written_beside
from nnunet_femur.comparison.report.figure_cache import INDEX, figure_files, index_of
from nnunet_femur.comparison.report.report import Report, render
from nnunet_femur.comparison.report.tables.formats import FORMATS, latex_document
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    import pandas as pd

_LIST = "tables/index.json"
"""Names of the tables and figures of a report. The next report deletes those that it does not write itself."""


def write_all(folder: Path, report: Report, scores: pd.DataFrame | None) -> Path:
    """Write scores.csv, report.md, report.html, tables/ and figures/.

    All text is rendered before the first file is written, and each file is written completely or not at all. Tables and
    figures of an earlier report that this one does not contain are deleted.

    Args:
        folder: Folder of the report.
        report: The report.
        scores: The table of all scores; None to keep scores.csv as it is.

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
    texts[_LIST] = json.dumps(sorted([*files, *texts]), indent=1) + "\n"
    try:
        _delete_outdated(folder, files.keys() | texts.keys())
        for name in ("figures", "tables"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            with written_beside(path, durable=False) as partial:
                partial.write_bytes(content)
        for name, text in texts.items():
            write_text(folder / name, text, durable=False)
        if scores is not None:
            with written_beside(folder / "scores.csv", durable=False) as partial:
                scores.to_csv(partial, index=False, lineterminator="\n")
    except OSError as error:
        msg = f"{folder}: cannot be written ({error.strerror}). Choose another folder with --output."
        raise InputError(msg, code="cannot-write") from error
    return folder / "report.html"


def _delete_outdated(folder: Path, kept: AbstractSet[str]) -> None:
    """Delete tables and figures that the last report wrote and this one does not contain. Other files are kept."""
    with suppress(OSError, ValueError, TypeError):
        for name in json.loads((folder / _LIST).read_text(encoding="utf-8")):
            parts = name.split("/")
            if name not in kept and len(parts) == 2 and parts[0] in {"figures", "tables"} and ".." not in parts:
                (folder / name).unlink(missing_ok=True)
