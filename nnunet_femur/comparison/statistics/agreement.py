"""Bland-Altman agreement of predicted and reference volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.comparison.statistics.bootstrap import LEVEL, Interval, draw_patients, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMIT_SDS = 1.96
"""Standard deviations between the bias and either limit of agreement."""


@dataclass(frozen=True)
class BlandAltman:
    """Agreement of predicted and reference volumes of one method (Bland & Altman, The Lancet 327, 1986).

    Values that one case or one patient does not determine are None.

    Attributes:
        entry: Label of the method's entry.
        cases: Names of the n cases.
        means_ml: Mean of predicted and reference volume of each case.
        differences_ml: Predicted minus reference volume of each case.
        bias_ml: Mean difference.
        sd_ml: Sample standard deviation of the differences.
        low_ml: Lower limit of agreement, bias - 1.96 SD.
        high_ml: Upper limit of agreement, bias + 1.96 SD.
        bias_interval_ml: 95 % interval of the bias, bias ± t * SD / sqrt(n) with Student's t of n - 1 degrees of
            freedom. If patients have several cases, this and the other intervals are percentile intervals of a
            bootstrap that resamples patients.
        low_interval_ml: 95 % interval of the lower limit, low ± t * sqrt(3 SD² / n).
        high_interval_ml: 95 % interval of the upper limit, high ± t * sqrt(3 SD² / n).
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
    """Return the agreement of n volumes of one method.

    Patients count as independent, several cases of one patient do not.

    Args:
        entry: Label of the method's entry.
        cases: Names of the n cases.
        reference_ml: Reference volumes, shape (n,).
        prediction_ml: Predicted volumes, shape (n,).
        patients: Patient of each case, shape (n,); None if all cases are of different patients.

    Example:
        Differences of +1, +2 and +3 ml have the mean 2 ml and the standard deviation 1 ml.

        >>> import numpy as np
        >>> found = bland_altman("A", ("x", "y", "z"), np.array([99.0, 199, 299]), np.array([100.0, 201, 302]))
        >>> found.bias_ml, found.sd_ml
        (2.0, 1.0)
        >>> round(found.low_ml, 2), round(found.high_ml, 2)
        (0.04, 3.96)
    """
    from scipy.stats import t

    differences = prediction_ml - reference_ml
    n, bias = len(cases), float(differences.mean())
    sd = low = high = None
    intervals: list[Interval | None] = [None, None, None]
    clusters = np.arange(n) if patients is None else np.unique(patients, return_inverse=True)[1]
    if n > 1:
        sd = float(differences.std(ddof=1))
        low, high = bias - LIMIT_SDS * sd, bias + LIMIT_SDS * sd
        if len(np.unique(clusters)) < n:
            intervals = _cluster_bootstrap(differences, clusters)
        else:
            quantile = float(t.ppf((1 + LEVEL) / 2, n - 1))
            errors = sd / n**0.5, sd * (3 / n) ** 0.5, sd * (3 / n) ** 0.5
            intervals = [
                Interval(centre - quantile * error, centre + quantile * error)
                for centre, error in zip((bias, low, high), errors, strict=True)
            ]
    means = (prediction_ml + reference_ml) / 2
    return BlandAltman(
        entry, cases, tuple(means.tolist()), tuple(differences.tolist()), bias, sd, low, high, *intervals
    )


def _cluster_bootstrap(differences: NDArray[np.float64], patients: NDArray[np.int64]) -> list[Interval | None]:
    """Return the intervals of bias, lower and upper limit from resampled patients; None for a single patient.

    Args:
        differences: Differences of n cases, shape (n,).
        patients: Patient of each case as an integer from 0, shape (n,).
    """
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
    return [percentile_interval(one) for one in (bias, bias - LIMIT_SDS * sd, bias + LIMIT_SDS * sd)]
