"""Tables to look things up: scores by case, by fold and by plane, and predictions that could not be scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.report.tables.model import Cell, Column, Row, Table, number
from nnunet_femur.comparison.report.tables.score_tables import score_column, score_table
from nnunet_femur.comparison.report.tables.summary import SUMMARY
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries
from nnunet_femur.evaluation import METRICS, PLANES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.report.report_data import ReportData

LIMIT = 400
"""Largest number of cases that a table of the report lists; scores.csv contains all."""

_CASE_COLUMNS = (
    *(
        score_column("volume", "all", "whole", metric, above="3D")
        for metric in ("dice", "iou", "vs", "hd95", "hd", "assd", "nsd1", "nsd2", "nsd3")
        if metric in METRICS
    ),
    Column("reference", "Volume (ml)", ("volume", "all", "whole", "truth_volume"), "ml"),
    Column("prediction", "Volume (ml)", ("volume", "all", "whole", "prediction_volume"), "ml"),
    *(score_column("slices", plane, "whole", "dice", above="Dice of slices", heading=plane) for plane in PLANES),
)

_PLANE_COLUMNS = tuple(
    score_column("slices", plane, "whole", metric, above=f"{plane} slices") for plane in PLANES for metric in METRICS
)


def case_tables(data: ReportData) -> Iterator[Table]:
    """Yield the scores of every case of a group, the lowest 3D Dice first."""
    for group in data.groups:
        frames = [entry.defined for entry in group.models]
        columns = [column for column in _CASE_COLUMNS if all(column.key in frame.columns for frame in frames)]
        rows = [
            Row(
                entry.label,
                (
                    Cell(str(case)),
                    *(number(float(value), column.unit) for value, column in zip(values, columns, strict=True)),
                ),
            )
            for entry, frame in zip(group.models, frames, strict=True)
            for case, *values in frame[[column.key for column in columns]].itertuples(name=None)
        ]
        rows.sort(key=lambda row: row.cells[1].mean)
        shown = f"{LIMIT} of {len(rows)} rows are shown; " if len(rows) > LIMIT else ""
        yield Table(
            name=file_name("cases", group.dataset, group.key),
            section=sections.CASES,
            title=f"{group.title}: every case",
            columns=(Column("Case", unit=""), *columns),
            rows=tuple(rows[:LIMIT]),
            note=f"Sorted by 3D Dice, the lowest first. {shown}scores.csv contains all scores of all cases.",
            place="folded",
        )


def fold_tables(data: ReportData) -> Iterator[Table]:
    """Yield the scores of every fold, for the groups in which a method has several models."""
    for group in data.groups:
        if len(group.models) == len(group.entries):
            continue
        models = [model for model in group.models if not model.ends_only] or list(group.models)
        yield score_table(
            data, group, models, SUMMARY,
            kind="folds", section=sections.FOLDS, title=f"{group.title}: every fold", place="folded",
            note="Mean ± standard deviation over the n cases of each fold. Tests and ranks compare methods, not folds.",
        )  # fmt: skip


def slice_tables(data: ReportData) -> Iterator[Table]:
    """Yield the scores of slices of every group, by plane."""
    for group in data.groups:
        yield score_table(
            data, group, whole_femur_entries(group), _PLANE_COLUMNS,
            kind="slices", section=sections.BY_PLANE, title=f"{group.title}: slices by plane", place="folded",
            note="Slices that contain reference or prediction are scored. The score of a case is the mean over its "
            "slices of a plane. Mean ± standard deviation over the n cases.",
            with_training_time=False,
        )  # fmt: skip


def unscored_tables(data: ReportData) -> Iterator[Table]:
    """Yield one table with a row for every prediction that could not be scored, if there is any."""
    if not data.unscored:
        return
    yield Table(
        name="unscored",
        section=sections.UNSCORED,
        title="Predictions and reasons",
        columns=tuple(Column(heading, unit="") for heading in ("Set", "Fold", "Case", "Reason")),
        rows=tuple(Row(one.method, tuple(map(Cell, one[1:]))) for one in data.unscored),
        note="All other predictions were scored. Methods without a score of a case are tested on the remaining cases.",
    )
