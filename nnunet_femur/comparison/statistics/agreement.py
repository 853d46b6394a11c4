"""Bland-Altman agreement of predicted and true volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.comparison.statistics.ranking import LEVEL, Interval, draw_patients, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LIMITS = 1.96
"""Standard deviations between the bias and either limit of agreement."""


@dataclass(frozen=True)
class BlandAltman:
    """Agreement of predicted and true volume (Bland & Altman 1986), over the cases of one entry.

    Attributes:
        entry: Label of the entry.
        cases: Names of the cases.
        means_ml: Mean of predicted and true volume of each case.
        differences_ml: Predicted minus true volume of each case.
        bias_ml: Mean difference.
        sd_ml: Sample standard deviation of the differences; None for a single case, as are all that rest on it.
        low_ml: Lower limit of agreement, bias − 1.96 SD.
        high_ml: Upper limit of agreement, bias + 1.96 SD.
        bias_interval_ml: 95 % interval of the bias, by Student's t; where patients have several cases, by a bootstrap
            that draws patients, as are those of the limits. None for a single patient.
        low_interval_ml: 95 % interval of the lower limit, with standard error sqrt(3 SD² / n).
        high_interval_ml: The same of the upper limit.
    """

    entry: str
    cases: tuple[str, ...]
    means_ml: tuple[float, ...]
    differences_ml: tuple[float, ...]
    bias_ml: float
    sd_ml: float | None
    low_ml: float | None
    high_ml: float | None
    bias_interval_ml: Interval | None
    low_interval_ml: Interval | None
    high_interval_ml: Interval | None


def bland_altman(
    entry: str,
    cases: tuple[str, ...],
    reference_ml: NDArray[np.float64],
    prediction_ml: NDArray[np.float64],
    *,
    patients: NDArray[Any] | None = None,
) -> BlandAltman:
    """Agreement of n volumes of one entry; the intervals take patients for independent, and not their cases.

    Args:
        entry: Label of the entry.
        cases: Names of the n cases.
        reference_ml: True volumes, shape (n,).
        prediction_ml: Predicted volumes, shape (n,).
        patients: Patient of each case, shape (n,); None if every case is of another patient.
    """
    from scipy.stats import t

    differences = prediction_ml - reference_ml
    n, bias = len(cases), float(differences.mean())
    sd = low = high = None
    intervals: list[Interval | None] = [None, None, None]
    drawn = np.arange(n) if patients is None else np.unique(patients, return_inverse=True)[1]
    if n > 1:
        sd = float(differences.std(ddof=1))
        low, high = bias - _LIMITS * sd, bias + _LIMITS * sd
        quantile = float(t.ppf((1 + LEVEL) / 2, n - 1))
    if sd is not None and low is not None and high is not None and len(np.unique(drawn)) < n:
        intervals = _clustered(differences, drawn)
    elif sd is not None and low is not None and high is not None:
        intervals = [
            Interval(centre - quantile * error, centre + quantile * error)
            for centre, error in (
                (bias, sd / n**0.5),
                (low, sd * (3 / n) ** 0.5),
                (high, sd * (3 / n) ** 0.5),
            )
        ]
    means = (prediction_ml + reference_ml) / 2
    return BlandAltman(
        entry, cases, tuple(means.tolist()), tuple(differences.tolist()), bias, sd, low, high, *intervals
    )


def _clustered(differences: NDArray[np.float64], patients: NDArray[np.int64]) -> list[Interval | None]:
    """Intervals of bias and limits from bootstrap samples of whole patients; None for a single patient."""
    count = int(patients.max()) + 1
    if count < 2:
        return [None, None, None]
    draws = draw_patients(count)
    number, total, squares = (
        draws @ np.bincount(patients, weights=weights, minlength=count)
        for weights in (np.ones_like(differences), differences, differences**2)
    )
    bias = total / number
    sd = np.sqrt(np.maximum(squares - number * bias**2, 0) / np.maximum(number - 1, 1))
    return [percentile_interval(one) for one in (bias, bias - _LIMITS * sd, bias + _LIMITS * sd)]
