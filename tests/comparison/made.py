"""The data of a report, from scores that are written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nnunet_femur.comparison.clinical.endpoints import ENDPOINTS
from nnunet_femur.comparison.clinical.measured_masks import MeasuredFemur
from nnunet_femur.comparison.clinical.measurement_errors import error_table, with_errors
from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.scoring import COLUMNS, Scored
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.comparison.statistics.endpoint_statistics import analyse_endpoints
from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.quantities import SHAPE_QUANTITIES

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


def femur(side="left", center_mm=(0.0, 0.0, 0.0), reason="head-missing", **values) -> MeasuredFemur:
    """A femur with some measured quantities; all others are missing for one reason."""
    missing = {one.quantity: reason for one in ENDPOINTS.values() if one.quantity not in values}
    return MeasuredFemur(side, center_mm, dict(values), missing)


def by_box(mask_zyx, geometry, *, case="femur", side="unknown") -> FemurMeasurements:
    """Measure a mask in place of the engine: the head's centre is the mask's, nothing is known of the knee."""
    if not mask_zyx.any():
        missing = {one.key: Missing("empty-mask", "is empty") for one in SHAPE_QUANTITIES}
        return FemurMeasurements(case, side, "", {}, missing)
    index_zyx = np.argwhere(mask_zyx).mean(axis=0)
    center = geometry.steps_mm @ index_zyx[::-1] + geometry.origin_mm_xyz
    values = {"head_center_mm_lps": tuple(center), "volume_ml": np.count_nonzero(mask_zyx) * geometry.voxel_volume_ml}
    missing = {
        one.key: Missing("distal-end-missing", "has no knee") for one in SHAPE_QUANTITIES if one.key not in values
    }
    return FemurMeasurements(case, side, "", values, missing)


Measured = tuple[str, str, MeasuredFemur, MeasuredFemur]
"""Method, case, femur of the reference and femur of the prediction."""


def measured_data(*measured: Measured) -> ReportData:
    """Return the data of a report on a test set whose scores are all 0.9, with these measurements."""
    scores = scores_of(*((method, "test", "none", case, 0.9) for method, case, *_ in measured))
    table = error_table(
        ((method, "test", "none", case, case), (reference,), (prediction,))
        for method, case, reference, prediction in measured
    )
    scored = Scored(with_errors(scores, table))
    statistics = analyse_groups(group_scores(scored.scores))
    endpoints = analyse_endpoints([one.group for one in statistics], table)
    return ReportData(scored, statistics=statistics, endpoints=endpoints, measurements=table)
