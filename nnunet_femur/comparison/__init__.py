"""Many cases of many methods: discovery, scores, tables, figures, report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.comparison.discovery import discover
from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.report import Report
from nnunet_femur.comparison.scoring import score
from nnunet_femur.comparison.tables import Table, tabulate
from nnunet_femur.comparison.terminal import print_tables
from nnunet_femur.comparison.writing import write_all
from nnunet_femur.progress import silent

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from nnunet_femur.progress import Track

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found and wrote.

    Attributes:
        scores: The tidy table that stands in scores.csv.
        tables: Mean ± standard deviation of every method; for every set a summary and all slice scores.
        report: The HTML report; Markdown, scores.csv and figures lie beside it.
        complete: Whether every validation and test set that was begun is there as a whole.
        warnings: What is missing, wrong or left out, a sentence each.
        notes: What has not been run yet, a sentence each.
    """

    scores: pd.DataFrame
    tables: list[Table]
    report: Path
    complete: bool
    warnings: list[str]
    notes: list[str]

    def print(self) -> None:
        """Print the tables and everything that is missing to standard output."""
        print_tables(self.tables, warnings=self.warnings, notes=self.notes)


def compare(results: Path, *, raw: Path | None = None, output: Path | None = None, track: Track = silent) -> Comparison:
    """Score every method's fold validations and test predictions anew from the masks, and write a report.

    Nothing is written unless everything could be scored and drawn.

    Args:
        results: nnU-Net's results folder, a ``DatasetNNN_NAME`` folder in it, or the folder of one method.
        raw: nnU-Net's raw folder with the truth; None for ``$nnUNet_raw``, then ``nnUNet_raw`` beside the results.
        output: Folder of scores.csv, report.md, report.html and figures; None for ``results / "comparison"``.
        track: Shows the progress.

    Raises:
        InputError: A folder or mask cannot be used, or `output` cannot be written.
        SetupError: The truth is not found.
    """
    from nnunet_femur.comparison.figures import draw_all

    found = discover(results, raw=raw)
    scored = score(found.predictions, track=track)
    seconds = {
        (predictions.method, predictions.fold): predictions.seconds
        for predictions in found.predictions
        if predictions.seconds is not None
    }
    tables = [table for group in group_scores(scored.scores) for table in tabulate(group, seconds)]
    report = Report(
        datasets=sorted({predictions.dataset.folder.name for predictions in found.predictions}),
        tables=tables,
        drawings=draw_all(scored),
        complete=not any(predictions.missing for predictions in found.predictions),
        warnings=found.warnings,
        notes=found.notes,
    )
    path = write_all(output or results / "comparison", report, scored.scores)
    return Comparison(scored.scores, tables, path, report.complete, found.warnings, found.notes)
