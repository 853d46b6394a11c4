"""Bootstrap by patient: two femurs of one patient are drawn together, since they are not independent."""

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
    """An interval of :data:`LEVEL`."""

    low: float
    high: float


def percentile_interval(samples: NDArray[np.float64]) -> Interval:
    """The percentile interval of bootstrap samples, shape (resamples,); samples of NaN do not count."""
    low, high = np.nanquantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


@lru_cache(maxsize=4)
def draw_patients(patients: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """How often each patient is drawn in each bootstrap sample, shape (resamples, patients); the same at every run."""
    rng = np.random.default_rng([_SEED, patients])
    draws = rng.multinomial(patients, np.full(patients, 1 / patients), size=resamples).astype(float)
    draws.flags.writeable = False
    return draws


def mean_interval(values: NDArray[np.float64], patients: NDArray[np.int64]) -> Interval | None:
    """Interval of the mean over cases, clustered by patient (Field & Welsh 2007, the cluster bootstrap).

    Args:
        values: Scores of n cases, shape (n,), none of them NaN.
        patients: Patient of each case as an integer from 0, shape (n,).

    Returns:
        The interval, or None if there are fewer than two patients.
    """
    count = int(patients.max()) + 1 if patients.size else 0
    if count < 2:
        return None
    draws = draw_patients(count)
    sums = draws @ np.bincount(patients, weights=values, minlength=count)
    return percentile_interval(sums / (draws @ np.bincount(patients, minlength=count)))
