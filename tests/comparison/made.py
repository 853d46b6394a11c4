"""The data of a report, from scores that are written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.scoring import COLUMNS, Scored

if TYPE_CHECKING:
    from nnunet_femur.comparison.report.published import PublishedFigures

EMPTIES = ("both_empty", "truth_empty", "prediction_empty")
PLANES = ("axial", "coronal", "sagittal")

KEYS = (
    *(("volume", "all", "whole", metric) for metric in ("dice", "iou", "vs", *EMPTIES)),
    *(("slices", plane, "whole", metric) for plane in PLANES for metric in ("dice", "iou", "vs", "slices", *EMPTIES)),
)

Case = tuple[str, str, str, str, float]
"""Method, set, fold, case and the value of all its scores."""


def scores_of(*cases: Case, keys=KEYS) -> pd.DataFrame:
    """A score table in which every score of a case has the same value."""
    rows = [(*case[:4], case[3], *key, case[4], "1") for case in cases for key in keys]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def data_of(*cases: Case, keys=KEYS, published: PublishedFigures | None = None, ends_only: tuple[str, ...] = ()):
    """Return the data of a report on these cases."""
    scored = Scored(scores_of(*cases, keys=keys), ends_only=frozenset(ends_only))
    return ReportData(scored, published=published)
