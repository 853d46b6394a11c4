"""Every overlap score of every plane, slice by slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison import sections
from nnunet_femur.comparison.findings import whole
from nnunet_femur.comparison.tables.model import Table
from nnunet_femur.comparison.tables.scores import score, score_rows, slug
from nnunet_femur.evaluation import METRICS, PLANES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.findings import Findings


def slice_tables(findings: Findings) -> Iterator[Table]:
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
            note="Every slice that holds truth or prediction is scored; the score of a case is the mean over its "
            "slices of a plane; mean ± standard deviation over the n cases.",
            place="folded",
        )
