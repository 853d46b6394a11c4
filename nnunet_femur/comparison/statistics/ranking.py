"""Ranks of methods, and the bootstrap by patient that shows how far they would hold for other patients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rank:
    """The rank of one entry.

    Attributes:
        entry: Its label.
        mean_rank: Mean over patients of its rank among the entries, 1 for the best; equal scores share a rank.
        mean_interval: Bootstrap interval of the mean rank; None with fewer than two patients.
        place: Rank of the mean rank: 1 for the best; equal mean ranks share a place.
        place_interval: Bootstrap interval of the place; None with fewer than two patients.
    """

    entry: str
    mean_rank: float
    mean_interval: Interval | None
    place: float
    place_interval: Interval | None


@dataclass(frozen=True)
class Ranking:
    """The ranks of all entries of a group.

    Attributes:
        ranks: In the order of the group's entries.
        patients: Patients that every entry has scores of; they are what the ranks rest on.
        tau: Mean over bootstrap samples of Kendall's tau-b between their ranking and this one, as in Wiesenfarth et
            al. (2021): 1 if every sample of patients would rank alike; None with fewer than two patients or entries.
        tau_interval: Its bootstrap interval.
    """

    ranks: tuple[Rank, ...]
    patients: int
    tau: float | None
    tau_interval: Interval | None


def rank_lines(scores: pd.DataFrame, *, ideal: float) -> Ranking | None:
    """Rank entries patient by patient, and average.

    Args:
        scores: Mean score of each patient (rows) and entry (columns); patients with NaN do not count.
        ideal: The score of a perfect prediction; nearer is better.

    Returns:
        The ranks, or None with fewer than two entries or no patient in common.
    """
    from scipy.stats import rankdata

    shared = scores.dropna()
    if scores.shape[1] < 2 or shared.empty:
        return None
    # What agrees to twelve decimals is equal, and only a rounding error apart.
    ranks = rankdata(np.round(np.abs(shared.to_numpy(float) - ideal), 12), axis=1)
    means = ranks.mean(axis=0)
    places = rankdata(np.round(means, 9))
    if len(shared) < 2:
        ranked = (
            Rank(str(name), float(m), None, float(p), None) for name, m, p in zip(scores, means, places, strict=True)
        )
        return Ranking(tuple(ranked), len(shared), None, None)
    sampled = np.round(draw_patients(len(shared)) @ ranks / len(shared), 9)
    sampled_places = rankdata(sampled, axis=1)
    taus = _kendall_tau_b(sampled, np.round(means, 9))
    return Ranking(
        ranks=tuple(
            Rank(
                entry=str(name),
                mean_rank=float(means[column]),
                mean_interval=percentile_interval(sampled[:, column]),
                place=float(places[column]),
                place_interval=percentile_interval(sampled_places[:, column]),
            )
            for column, name in enumerate(scores)
        ),
        patients=len(shared),
        tau=float(np.nanmean(taus)) if np.isfinite(taus).any() else None,
        tau_interval=percentile_interval(taus) if np.isfinite(taus).any() else None,
    )


def _kendall_tau_b(samples: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kendall's tau-b of each row of `samples` with `whole`; NaN where one of them is tied throughout.

    scipy's kendalltau, one call per row, takes a second for what this does in milliseconds.
    """
    first, second = np.triu_indices(whole.size, k=1)
    order = np.sign(whole[first] - whole[second])
    orders = np.sign(samples[:, first] - samples[:, second])
    scale = np.sqrt((orders != 0).sum(axis=1) * np.count_nonzero(order))
    return np.divide(orders @ order, scale, out=np.full(len(samples), np.nan), where=scale > 0)


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
