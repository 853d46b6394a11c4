"""Descriptive statistics of one measure of one method: mean, spread, quartiles, and the means of folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.statistics.bootstrap import Interval, mean_interval

if TYPE_CHECKING:
    from nnunet_femur.comparison.grouping import Entry, Measure


@dataclass(frozen=True)
class Summary:
    """Summary of one measure of one method over its cases, in the metric's unit.

    Attributes:
        entry: Label of the method's entry.
        n: Number of cases with a score.
        patients: Number of patients of these cases.
        undefined: Number of cases without a score, because the policy for empty masks leaves it undefined.
        mean: Mean over cases; NaN without a case.
        sd: Sample standard deviation over cases; None with fewer than two cases.
        median: Median over cases; NaN without a case.
        q1: First quartile over cases; NaN without a case.
        q3: Third quartile over cases; NaN without a case.
        interval: 95 % interval of the mean, from a bootstrap that resamples patients; None with fewer than two
            patients.
        folds: Number of folds whose predictions were scored.
        fold_mean: Mean over folds of the mean over their cases; None with fewer than two folds.
        fold_sd: Sample standard deviation of these means. It does not measure the spread between patients.
    """

    entry: str
    n: int
    patients: int
    undefined: int
    mean: float
    sd: float | None
    median: float
    q1: float
    q3: float
    interval: Interval | None
    folds: int
    fold_mean: float | None
    fold_sd: float | None


def summarise(entry: Entry, measure: Measure) -> Summary:
    """Return the summary of one measure of one method.

    A case that several folds predict counts once, by the mean of its scores.
    """
    import pandas as pd

    scores = entry.column(measure)
    known = scores.dropna()
    values = known.to_numpy(float)
    patients, names = pd.factorize(entry.patients.loc[known.index], sort=True)
    folds = entry.fold_means(measure)
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75]) if values.size else [float("nan")] * 3
    return Summary(
        entry=entry.label,
        n=values.size,
        patients=len(names),
        undefined=len(scores) - values.size,
        mean=float(values.mean()) if values.size else float("nan"),
        sd=float(values.std(ddof=1)) if values.size > 1 else None,
        median=float(median),
        q1=float(q1),
        q3=float(q3),
        interval=mean_interval(values, patients),
        folds=len(folds),
        fold_mean=float(folds.mean()) if len(folds) > 1 else None,
        fold_sd=float(folds.std(ddof=1)) if len(folds) > 1 else None,
    )
