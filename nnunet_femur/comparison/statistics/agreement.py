"""Bland-Altman agreement of predicted and reference values: volumes, angles, lengths."""

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
    """Agreement of predicted and reference values of one method (Bland & Altman, The Lancet 327, 1986).

    Values that one case or one patient does not determine are None.

    Attributes:
        entry: Label of the method's entry.
        cases: Names of the n cases.
        means: Mean of predicted and reference value of each case.
        differences: Predicted minus reference value of each case.
        bias: Mean difference.
        sd: Sample standard deviation of the differences.
        low: Lower limit of agreement, bias - 1.96 SD.
        high: Upper limit of agreement, bias + 1.96 SD.
        bias_interval: 95 % interval of the bias, bias ± t * SD / sqrt(n) with Student's t of n - 1 degrees of
            freedom. If patients have several cases, this and the other intervals are percentile intervals of a
            bootstrap that resamples patients.
        low_interval: 95 % interval of the lower limit, low ± t * sqrt(3 SD² / n).
        high_interval: 95 % interval of the upper limit, high ± t * sqrt(3 SD² / n).
        unit: Unit of all values.
    """

    entry: str
    cases: tuple[str, ...]
    means: tuple[float, ...]
    differences: tuple[float, ...]
    bias: float
    sd: float | None
    low: float | None
    high: float | None
    bias_interval: Interval | None
    low_interval: Interval | None
    high_interval: Interval | None
    unit: str = "ml"


def bland_altman(
    entry: str,
    cases: tuple[str, ...],
    reference: NDArray[np.float64],
    prediction: NDArray[np.float64],
    *,
    patients: NDArray[Any] | None = None,
    unit: str = "ml",
) -> BlandAltman:
    """Return the agreement of n values of one method.

    Patients count as independent, several cases of one patient do not.

    Args:
        entry: Label of the method's entry.
        cases: Names of the n cases.
        reference: Reference values, shape (n,).
        prediction: Predicted values, shape (n,).
        patients: Patient of each case, shape (n,); None if all cases are of different patients.
        unit: Unit of the values.

    Example:
        Differences of +1, +2 and +3 ml have the mean 2 ml and the standard deviation 1 ml.

        >>> import numpy as np
        >>> found = bland_altman("A", ("x", "y", "z"), np.array([99.0, 199, 299]), np.array([100.0, 201, 302]))
        >>> found.bias, found.sd
        (2.0, 1.0)
        >>> round(found.low, 2), round(found.high, 2)
        (0.04, 3.96)
    """
    from scipy.stats import t

    differences = prediction - reference
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
    of_bias, of_low, of_high = intervals
    return BlandAltman(
        entry=entry,
        cases=cases,
        means=tuple(((prediction + reference) / 2).tolist()),
        differences=tuple(differences.tolist()),
        bias=bias,
        sd=sd,
        low=low,
        high=high,
        bias_interval=of_bias,
        low_interval=of_low,
        high_interval=of_high,
        unit=unit,
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
