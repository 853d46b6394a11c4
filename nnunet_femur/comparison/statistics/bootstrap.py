"""Bootstrap intervals that resample patients, so that several cases of one patient do not count as independent."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 2000
"""Bootstrap samples of every interval."""

LEVEL = 0.95
"""Coverage of every interval."""

_SEED = 20240


class Interval(NamedTuple):
    """An interval with coverage :data:`LEVEL`.

    Attributes:
        low: Lower bound.
        high: Upper bound.
    """

    low: float
    high: float


def mean_interval(values: NDArray[np.float64], patients: NDArray[np.int64]) -> Interval | None:
    """Return the percentile interval of a mean over cases, by the cluster bootstrap (Field & Welsh 2007).

    Each bootstrap sample draws as many patients as there are, with replacement, and takes all cases of each.

    Args:
        values: Scores of n cases, shape (n,), without NaN.
        patients: Patient of each case as an integer from 0, shape (n,).

    Returns:
        The interval in the unit of `values`, or None with fewer than two patients.

    Example:
        >>> import numpy as np
        >>> dice = np.array([0.91, 0.93, 0.95, 0.97])
        >>> low, high = mean_interval(dice, np.array([0, 0, 1, 1]))  # two patients, with means 0.92 and 0.96
        >>> round(low, 2), round(high, 2)
        (0.92, 0.96)
        >>> mean_interval(dice, np.array([0, 0, 0, 0])) is None
        True
    """
    count = int(patients.max()) + 1 if patients.size else 0
    if count < 2:
        return None
    draws = draw_patients(count)
    sums = draws @ np.bincount(patients, weights=values, minlength=count)
    return percentile_interval(sums / (draws @ np.bincount(patients, minlength=count)))


@lru_cache(maxsize=4)
def draw_patients(patients: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Return how often each patient is drawn in each bootstrap sample, shape (resamples, patients).

    The seed is fixed, so equal arguments give equal samples in every run. The array is read-only.

    Example:
        >>> draws = draw_patients(5)
        >>> draws.shape
        (2000, 5)
        >>> bool((draws.sum(axis=1) == 5).all())  # every sample contains five patients
        True
    """
    rng = np.random.default_rng([_SEED, patients])
    draws = rng.multinomial(patients, np.full(patients, 1 / patients), size=resamples).astype(float)
    draws.flags.writeable = False
    return draws


def percentile_interval(samples: NDArray[np.float64]) -> Interval:
    """Return the percentile interval of bootstrap samples (Efron & Tibshirani 1993, chapter 13).

    Args:
        samples: The statistic in each bootstrap sample, shape (resamples,); NaN is ignored.

    Example:
        >>> import numpy as np
        >>> low, high = percentile_interval(np.arange(201.0))
        >>> round(low), round(high)
        (5, 195)
    """
    low, high = np.nanquantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
