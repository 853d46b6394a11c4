"""The study's Tables 1-4 in its own form: 2D and 3D scores of whole femurs and of heads.

The study takes the mean and the standard deviation of its 2D scores over all slices of all test cases, of three planes
for whole femurs and of the axial one for heads, and those of its 3D scores over volumes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.report_data import whole
from nnunet_femur.comparison.report.tables.model import Cell, Column, Row, Table
from nnunet_femur.comparison.report.tables.scores import TRAINING, Summary, over_cases, score, score_rows, slug
from nnunet_femur.evaluation import PLANES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from nnunet_femur.comparison.grouping import Entry
    from nnunet_femur.comparison.report.report_data import ReportData

SLICE_PROTOCOLS = {"paper": "2D, the study’s protocol", "slices": "2D, every slice counts"}
VOLUME_PROTOCOLS = {"paper": "3D, the study’s protocol", "volume": "3D, whole volume"}
POOLED = "pooled"
"""Plane of a column that takes slices of all planes together."""


@dataclass(frozen=True)
class _Kind:
    number: int
    title: str
    published: str
    region: str
    plane: str
    """Plane of the slices; empty for 3D scores."""


KINDS = (
    _Kind(1, "2D scores, whole femur", "2d_whole", "whole", POOLED),
    _Kind(2, "3D scores, whole femur", "3d_whole", "whole", ""),
    _Kind(3, "2D scores, femur heads", "2d_heads", "ends", "axial"),
    _Kind(4, "3D scores, femur heads", "3d_heads", "ends", ""),
)


def study_tables(findings: ReportData) -> Iterator[Table]:
    """Tables 1-4 of every set, as far as there are such scores."""
    for group in findings.groups:
        for kind in KINDS:
            entries = whole(group) if kind.region == "whole" else list(group.entries)
            columns, rows = score_rows(findings, entries, _columns(kind), summarise=_summarise)
            if not any(column.key for column in columns):
                continue
            if findings.published:
                rows = tuple(
                    _with_published(findings, kind, columns, entry, row)
                    for entry, row in zip(entries, rows, strict=True)
                )
            yield Table(
                name=slug(f"table{kind.number}", group.dataset, group.key),
                section=sections.STUDY,
                title=f"Table {kind.number}: {kind.title} · {group.title}",
                columns=columns,
                rows=rows,
                note=_note(kind, published=any(cell.published for row in rows for cell in row.cells)),
            )


def _columns(kind: _Kind) -> list[Column]:
    if not kind.plane:
        return [
            score(protocol, "all", kind.region, metric, above=above)
            for protocol, above in VOLUME_PROTOCOLS.items()
            for metric in ("dice", "iou", "vs")
        ]
    return [
        score(protocol, kind.plane, kind.region, metric, above=above)
        for protocol, above in SLICE_PROTOCOLS.items()
        for metric in ("dice", "iou")
    ]


def _summarise(entry: Entry, column: Column) -> Summary:
    if column.key is None or column.key[1] == "all":
        return over_cases(entry.defined, column)
    return over_slices(entry.of_predictions, column.key)


def over_slices(values: pd.DataFrame, key: tuple[str, str, str, str]) -> Summary:
    """Mean and standard deviation over all slices of all cases, from each case's mean, deviation and count.

    Args:
        values: Scores of an entry, see :attr:`~nnunet_femur.comparison.grouping.Entry.of_predictions`.
        key: Protocol, plane or :data:`POOLED`, region, metric.
    """
    import numpy as np

    protocol, wanted, region, metric = key
    # The study's protocol has its own pot of three planes; that of the others is filled here.
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


def _with_published(findings: ReportData, kind: _Kind, columns: tuple[Column, ...], entry: Entry, row: Row) -> Row:
    assert findings.published is not None  # noqa: S101 - the caller has asked
    cells: list[Cell] = []
    for column, cell in zip(columns, row.cells, strict=True):
        wanted = "minutes" if column == TRAINING else column.key[3] if column.key else ""
        # What was published was scored by the study's protocol, that of heads with networks trained on heads.
        comparable = column.key is None or column.key[0] == "paper"
        comparable &= entry.ends_only == (kind.region == "ends")
        published = findings.published.figure(kind.published, entry.method, wanted) if comparable else ""
        cells.append(replace(cell, published=published))
    return replace(row, cells=tuple(cells))


def _note(kind: _Kind, *, published: bool) -> str:
    if kind.plane:
        planes = "of three planes" if kind.plane == POOLED else "axial"
        note = (
            f"Mean ± standard deviation over all slices ({planes}) of the n cases. The study’s protocol leaves out "
            "slices without reference, and for 3D methods slices with an IoU of 0; “every slice counts” leaves out none "
            "that holds reference or prediction."
        )
    else:
        note = (
            "Mean ± standard deviation over the n cases. The study stacks the slices that hold reference and scores 2D "
            "methods plane by plane; “whole volume” takes every voxel. VS above 1: the prediction is too large."
        )
    if kind.region == "ends":
        note += " Heads: the first and the last 20 axial slices that hold reference."
    if published:
        note += " The second figure of a cell is the published one."
    return note
