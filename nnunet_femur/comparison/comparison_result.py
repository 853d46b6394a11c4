"""Result of a comparison: scores, tables, statistics and the report, for programs and notebooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nnunet_femur.comparison.grouping import Measure
from nnunet_femur.comparison.report.output import print_tables
from nnunet_femur.evaluation import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from nnunet_femur.comparison.predictions import Unscored
    from nnunet_femur.comparison.report.tables import Table
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics
    from nnunet_femur.comparison.statistics.endpoint_statistics import GroupEndpoints

_SHOWN = ("dice", "iou", "hd95", "assd", "nsd2")
"""Scores of the whole volume in the summary of a comparison."""


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """Result of a comparison.

    Attributes:
        scores: The tidy table, as in scores.csv: method, set, fold, case, patient, protocol, plane, region, metric,
            value, unit.
        tables: Tables of the report.
        report: The HTML report; its folder contains Markdown, scores.csv, tables and figures, too.
        complete: True if every validation and test set that was started is complete and could be scored.
        warnings: Missing predictions, problems, and what was left out, a sentence each.
        notes: Trainings and predictions that have not been run yet, a sentence each.
        statistics: Summaries, tests and ranks of each group of methods.
        rescored: Number of predictions that were scored now; the scores of the others come from the last run.
        unscored: Predictions that could not be scored, with the reason.
        measurements: Clinical measurements of every predicted femur and of its reference, as in measurements.csv; None
            if nothing was measured.
        endpoints: Statistics of the errors of measurements of each group of methods.
        headlines: What the statistics show about the best methods, a sentence each.
        supplement: Folder of the supplement for a publication; None if none was written.
        reader_scores: Scores of all methods against the masks of each second reader in place of the reference, by the
            reader's name; 3D Dice and HD95 of the whole femur, with the columns of scores.csv.

    Example:
        >>> from nnunet_femur import compare
        >>> comparison = compare("results", output="report")
        >>> comparison
        Comparison(2 methods, 2 cases, complete: report/report.html)
        >>> comparison.summary().loc["Test set", ["n", "Dice"]].round(2)
                                          n  Dice
        method
        FemurScratch · 3d_fullres         2  0.98
        TotalSegmentator · total · 1.5mm  2  1.00
    """

    scores: pd.DataFrame
    tables: list[Table]
    report: Path
    complete: bool
    warnings: list[str]
    notes: list[str]
    statistics: list[GroupStatistics]
    rescored: int = 0
    unscored: tuple[Unscored, ...] = ()
    measurements: pd.DataFrame | None = None
    endpoints: tuple[GroupEndpoints, ...] = ()
    headlines: tuple[str, ...] = ()
    supplement: Path | None = None
    reader_scores: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def summary(self) -> pd.DataFrame:
        """Return the mean scores of the whole volume: a row for each set and method, a column for each score.

        ``n`` is the number of cases. Scores of a case in several folds are averaged first.
        """
        import pandas as pd

        rows = {}
        for statistics in self.statistics:
            for entry in statistics.group.entries:
                means = {
                    METRICS[name].label: entry.column(Measure("volume", "all", "whole", name)).mean() for name in _SHOWN
                }
                rows[statistics.group.title, entry.label] = {"n": len(entry.wide), **means}
        index = pd.MultiIndex.from_tuples(rows, names=["set", "method"])
        return pd.DataFrame(list(rows.values()), index=index)

    def print(self) -> None:
        """Print the tables and everything that is missing to standard output."""
        print_tables(
            self.tables, warnings=self.warnings, notes=self.notes, unscored=self.unscored, headlines=self.headlines
        )

    def __repr__(self) -> str:
        """Return the numbers of methods, without second readers, and of cases, and the report."""
        methods = set(self.scores["method"].unique()) - self.reader_scores.keys()
        numbers = ((len(methods), "method"), (self.scores["case"].nunique(), "case"))
        counted = ", ".join(f"{number} {name}{'' if number == 1 else 's'}" for number, name in numbers)
        state = "complete" if self.complete else "incomplete"
        return f"{type(self).__name__}({counted}, {state}: {self.report})"

    def _repr_html_(self) -> str:
        """Return the summary as a table for a notebook, with warnings and the path of the report."""
        from html import escape

        warnings = "".join(f"<li>{escape(warning)}</li>" for warning in self.warnings)
        table = self.summary().to_html(float_format="{:.3f}".format)
        return f"{table}\n<ul>{warnings}</ul>\n<p>Report: <code>{escape(str(self.report))}</code></p>"
