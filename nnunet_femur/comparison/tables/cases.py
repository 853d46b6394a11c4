"""Every case of every method on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison import sections
from nnunet_femur.comparison.tables.model import Cell, Column, Row, Table, number
from nnunet_femur.comparison.tables.scores import score, slug
from nnunet_femur.evaluation import METRICS, PLANES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.findings import Findings

LIMIT = 400
"""Most rows that a report holds; scores.csv holds all."""


def case_tables(findings: Findings) -> Iterator[Table]:
    """A table for every set, the worst case by 3D Dice first."""
    wanted = [
        score("volume", "all", "whole", metric, above="3D")
        for metric in ("dice", "iou", "vs", "hd95", "hd", "assd", "nsd1", "nsd2", "nsd3")
        if metric in METRICS
    ]
    volumes = [
        Column(words, "Volume (ml)", ("volume", "all", "whole", name), "ml")
        for name, words in (("truth_volume", "truth"), ("prediction_volume", "prediction"))
    ]
    slices = [score("slices", plane, "whole", "dice", above="Dice of slices", heading=plane) for plane in PLANES]
    for group in findings.groups:
        values = [line.defined for line in group.models]
        columns = [
            column for column in (*wanted, *volumes, *slices) if all(column.key in frame.columns for frame in values)
        ]
        found = [
            Row(
                line.label,
                (
                    Cell(str(case)),
                    *(number(float(one), column.unit) for one, column in zip(rest, columns, strict=True)),
                ),
            )
            for line, frame in zip(group.models, values, strict=True)
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
