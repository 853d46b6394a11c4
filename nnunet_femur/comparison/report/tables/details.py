"""Tables of details: cases, folds, slices by plane, and predictions that could not be scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.report_data import whole
from nnunet_femur.comparison.report.tables.model import Cell, Column, Row, Table, number
from nnunet_femur.comparison.report.tables.scores import score, score_rows, slug
from nnunet_femur.comparison.report.tables.summary import SUMMARY
from nnunet_femur.evaluation import METRICS, PLANES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.predictions import Unscored
    from nnunet_femur.comparison.report.report_data import ReportData


LIMIT = 400
"""Most rows that a report holds; scores.csv holds all."""


def case_tables(findings: ReportData) -> Iterator[Table]:
    """A table for every set, the worst case by 3D Dice first."""
    wanted = [
        score("volume", "all", "whole", metric, above="3D")
        for metric in ("dice", "iou", "vs", "hd95", "hd", "assd", "nsd1", "nsd2", "nsd3")
        if metric in METRICS
    ]
    volumes = [
        Column(words, "Volume (ml)", ("volume", "all", "whole", name), "ml")
        for name, words in (("truth_volume", "reference"), ("prediction_volume", "prediction"))
    ]
    slices = [score("slices", plane, "whole", "dice", above="Dice of slices", heading=plane) for plane in PLANES]
    for group in findings.groups:
        values = [entry.defined for entry in group.models]
        columns = [
            column for column in (*wanted, *volumes, *slices) if all(column.key in frame.columns for frame in values)
        ]
        found = [
            Row(
                entry.label,
                (
                    Cell(str(case)),
                    *(number(float(one), column.unit) for one, column in zip(rest, columns, strict=True)),
                ),
            )
            for entry, frame in zip(group.models, values, strict=True)
            for case, *rest in frame[[column.key for column in columns]].itertuples(name=None)
        ]
        found.sort(key=lambda row: row.cells[1].mean)
        total = len(found)
        yield Table(
            name=slug("cases", group.dataset, group.key),
            section=sections.CASES,
            title=f"{group.title}, every case",
            columns=(Column("Case", unit=""), *columns),
            rows=tuple(found[:LIMIT]),
            note=f"The lowest 3D Dice first. {_extent(total)}",
            place="folded",
        )


def _extent(total: int) -> str:
    if total > LIMIT:
        return f"Shown are the {LIMIT} lowest of {total}; all of them stand in scores.csv."
    return "Every score of every case stands in scores.csv."


def fold_tables(findings: ReportData) -> Iterator[Table]:
    """Yield a table for every set in which a method has several models."""
    for group in findings.groups:
        if len(group.models) == len(group.entries):
            continue
        models = [model for model in group.models if not model.ends_only] or list(group.models)
        columns, rows = score_rows(findings, models, SUMMARY)
        yield Table(
            name=slug("folds", group.dataset, group.key),
            section=sections.FOLDS,
            title=f"{group.title}, every fold",
            columns=columns,
            rows=rows,
            note="Mean ± standard deviation over the n cases of each fold. Tests and ranks compare methods, not folds.",
            place="folded",
        )


def slice_tables(findings: ReportData) -> Iterator[Table]:
    """A table for every set."""
    columns = [
        score("slices", plane, "whole", metric, above=f"{plane} slices") for plane in PLANES for metric in METRICS
    ]
    for group in findings.groups:
        kept, rows = score_rows(findings, whole(group), columns, timed=False)
        yield Table(
            name=slug("slices", group.dataset, group.key),
            section=sections.BY_PLANE,
            title=f"{group.title}, slices",
            columns=kept,
            rows=rows,
            note="Every slice that holds reference or prediction is scored; the score of a case is the mean over its "
            "slices of a plane; mean ± standard deviation over the n cases.",
            place="folded",
        )


def unscored_tables(unscored: Sequence[Unscored]) -> Iterator[Table]:
    """Yield a table with a row for every prediction that could not be scored; nothing if all were scored."""
    if not unscored:
        return
    yield Table(
        name="unscored",
        section=sections.UNSCORED,
        title="Predictions that could not be scored",
        columns=(
            Column("Set", unit=""),
            Column("Fold", unit=""),
            Column("Case", unit=""),
            Column("Reason", unit=""),
        ),
        rows=tuple(Row(one.method, tuple(map(Cell, one[1:]))) for one in unscored),
        note="The other predictions were scored; methods that lack a case are tested on the cases in common.",
    )
