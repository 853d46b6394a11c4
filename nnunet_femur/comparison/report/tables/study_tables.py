"""Tables 1 to 4 of the study (Pivi & Fusconi 2024) in its own form: 2D and 3D scores of whole femurs and of heads.

The study reports mean and standard deviation of 2D scores over all slices of all test cases (slices of three planes for
whole femurs, axial slices for heads), and of 3D scores over volumes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.tables.score_tables import (
    TRAINING,
    MeanAndSd,
    over_cases,
    score_column,
    score_table,
)
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries
from nnunet_femur.evaluation import PLANES
from nnunet_femur.evaluation.regions import END_SLICES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from nnunet_femur.comparison.grouping import Entry
    from nnunet_femur.comparison.report.published import PublishedFigures
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.report.tables.model import Column, Table

SLICE_PROTOCOLS = {"paper": "2D, the study’s protocol", "slices": "2D, every slice counts"}
VOLUME_PROTOCOLS = {"paper": "3D, the study’s protocol", "volume": "3D, whole volume"}
POOLED = "pooled"
"""Plane of a column that pools the slices of all planes."""


@dataclass(frozen=True)
class StudyTable:
    """One of the study's tables.

    Attributes:
        number: Its number in the study.
        title: Its subject.
        published: Its name in :attr:`~nnunet_femur.comparison.report.published.PublishedFigures.tables`.
        region: Region of the bone, "whole" or "ends".
        plane: Plane of the slices; empty for 3D scores.
    """

    number: int
    title: str
    published: str
    region: str
    plane: str


STUDY_TABLES = (
    StudyTable(1, "2D scores, whole femur", "2d_whole", "whole", POOLED),
    StudyTable(2, "3D scores, whole femur", "3d_whole", "whole", ""),
    StudyTable(3, "2D scores, femur heads", "2d_heads", "ends", "axial"),
    StudyTable(4, "3D scores, femur heads", "3d_heads", "ends", ""),
)


def study_tables(data: ReportData) -> Iterator[Table]:
    """Yield Tables 1 to 4 of every group, as far as their scores exist."""
    for group in data.groups:
        for kind in STUDY_TABLES:
            entries = whole_femur_entries(group) if kind.region == "whole" else group.entries
            table = score_table(
                data, group, entries, _columns(kind),
                kind=f"table{kind.number}", section=sections.STUDY,
                title=f"Table {kind.number}: {kind.title} · {group.title}", note=_note(kind), summarise=_summarise,
            )  # fmt: skip
            if table.has_scores:
                yield _with_published(data.published, kind, entries, table) if data.published else table


def _columns(kind: StudyTable) -> list[Column]:
    if not kind.plane:
        return [
            score_column(protocol, "all", kind.region, metric, above=above)
            for protocol, above in VOLUME_PROTOCOLS.items()
            for metric in ("dice", "iou", "vs")
        ]
    return [
        score_column(protocol, kind.plane, kind.region, metric, above=above)
        for protocol, above in SLICE_PROTOCOLS.items()
        for metric in ("dice", "iou")
    ]


def _summarise(entry: Entry, column: Column) -> MeanAndSd:
    if column.key is None or column.key[1] == "all":
        return over_cases(entry.defined, column)
    return over_slices(entry.of_predictions, column.key)


def over_slices(values: pd.DataFrame, key: tuple[str, str, str, str]) -> MeanAndSd:
    """Return mean and standard deviation over all slices of all cases.

    They follow from the mean m_i, the standard deviation s_i and the number n_i of slices of each case i:
    mean = sum(n_i m_i) / sum(n_i), variance = sum(n_i (m_i² + s_i²)) / sum(n_i) - mean².

    Args:
        values: A row per case and fold and a column per measure, see
            :attr:`~nnunet_femur.comparison.grouping.Entry.of_predictions`.
        key: Protocol, plane or :data:`POOLED`, region, metric.
    """
    import numpy as np

    protocol, wanted, region, metric = key
    # The study's protocol records the pooled slices as a plane of their own; those of other protocols are pooled here.
    planes = PLANES if wanted == POOLED and (protocol, POOLED, region, "slices") not in values else (wanted,)
    number, total, squares = 0.0, 0.0, 0.0
    for plane in planes:
        place = (protocol, plane, region)
        if (*place, "slices") not in values or (*place, metric) not in values:
            continue
        counts = values[(*place, "slices")].fillna(0).to_numpy()
        means = np.where(counts > 0, values[(*place, metric)].to_numpy(), 0.0)
        spread = values[(*place, f"{metric}_sd")].to_numpy() if (*place, f"{metric}_sd") in values else np.nan
        number += counts.sum()
        total += (counts * means).sum()
        squares += np.sum(counts * (means**2 + np.where(counts > 0, spread, 0.0) ** 2))
    if not number:
        return math.nan, None
    mean = total / number
    variance = squares / number - mean**2
    return float(mean), None if math.isnan(variance) else math.sqrt(max(0.0, variance))


def _with_published(published: PublishedFigures, kind: StudyTable, entries: Sequence[Entry], table: Table) -> Table:
    """Add the published figures to the cells that they are comparable with."""
    rows = tuple(
        replace(
            row,
            cells=tuple(
                replace(cell, published=_figure(published, kind, entry, column))
                for column, cell in zip(table.columns, row.cells, strict=True)
            ),
        )
        for entry, row in zip(entries, table.rows, strict=True)
    )
    completed = replace(table, rows=rows)
    if not completed.has_published:
        return completed
    return replace(completed, note=f"{table.note} Second number of a cell: the published figure.")


def _figure(published: PublishedFigures, kind: StudyTable, entry: Entry, column: Column) -> str:
    # The published scores follow the study's protocol, and those of heads are from networks trained on heads.
    comparable = column.key is None or column.key[0] == "paper"
    if not comparable or entry.ends_only != (kind.region == "ends"):
        return ""
    wanted = "minutes" if column == TRAINING else column.key[3] if column.key else ""
    return published.figure(kind.published, entry.method, wanted)


def _note(kind: StudyTable) -> str:
    if kind.plane:
        planes = "of three planes" if kind.plane == POOLED else "axial"
        note = (
            f"Mean ± standard deviation over all slices ({planes}) of the n cases. The study’s protocol excludes "
            "slices without reference and, for 3D methods, slices with an IoU of 0. “Every slice counts” includes all "
            "slices that contain reference or prediction."
        )
    else:
        note = (
            "Mean ± standard deviation over the n cases. The study’s protocol stacks the slices that contain "
            "reference, and scores 2D methods plane by plane. “Whole volume” counts every voxel. VS above 1: the "
            "prediction is too large."
        )
    if kind.region == "ends":
        note += f" Heads: the first and the last {END_SLICES} axial slices with reference."
    return note
