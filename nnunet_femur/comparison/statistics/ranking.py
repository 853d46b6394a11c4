"""Ranks of methods, with bootstrap intervals that show how stable they are across patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.statistics.bootstrap import Interval, draw_patients, percentile_interval

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_SCORE_DECIMALS = 12
"""Scores that are equal to so many decimals share a rank: they differ by rounding errors only."""

_RANK_DECIMALS = 9
"""Mean ranks that are equal to so many decimals share a place."""


@dataclass(frozen=True)
class Rank:
    """The rank of one method.

    Attributes:
        entry: Label of the method's entry.
        mean_rank: Mean over patients of its rank among the methods, 1 for the best; equal scores share a rank.
        mean_interval: 95 % bootstrap interval of the mean rank; None with fewer than two patients.
        place: Rank of the mean rank, 1 for the best; equal mean ranks share a place.
        place_interval: 95 % bootstrap interval of the place; None with fewer than two patients.
    """

    entry: str
    mean_rank: float
    mean_interval: Interval | None
    place: float
    place_interval: Interval | None


@dataclass(frozen=True)
class Ranking:
    """The ranks of all methods of a group.

    Attributes:
        ranks: One per method, in the order of the group's entries.
        patients: Number of patients that the ranks are computed from: those with a score of every method.
        tau: Stability of the ranking: mean over bootstrap samples of Kendall's tau-b between the ranking of the sample
            and this ranking (Wiesenfarth et al. 2021), in [-1, 1]; 1 if all samples rank the methods alike. None with
            fewer than two patients or methods.
        tau_interval: 95 % interval of that tau over the bootstrap samples.
    """

    ranks: tuple[Rank, ...]
    patients: int
    tau: float | None
    tau_interval: Interval | None


def rank_methods(scores: pd.DataFrame, *, ideal: float) -> Ranking | None:
    """Rank methods for each patient, and average the ranks ("rank then aggregate", Wiesenfarth et al. 2021).

    Args:
        scores: Mean score of each patient (rows) and method (columns); patients with NaN are left out.
        ideal: The score of a perfect prediction; the score nearest to it has rank 1.

    Returns:
        The ranks, or None with fewer than two methods or no patient with a score of all methods.

    Example:
        >>> import pandas as pd
        >>> dice = pd.DataFrame({"A": [0.95, 0.93, 0.90], "B": [0.92, 0.93, 0.85]})
        >>> ranking = rank_methods(dice, ideal=1)
        >>> [(rank.entry, round(rank.mean_rank, 2), rank.place) for rank in ranking.ranks]  # A: 1, 1.5 and 1
        [('A', 1.17, 1.0), ('B', 1.83, 2.0)]
        >>> ranking.patients
        3
    """
    from scipy.stats import rankdata

    shared = scores.dropna()
    if scores.shape[1] < 2 or shared.empty:
        return None
    ranks = rankdata(np.round(np.abs(shared.to_numpy(float) - ideal), _SCORE_DECIMALS), axis=1)
    means = ranks.mean(axis=0)
    places = rankdata(np.round(means, _RANK_DECIMALS))
    if len(shared) < 2:
        ranked = (
            Rank(str(name), float(m), None, float(p), None) for name, m, p in zip(scores, means, places, strict=True)
        )
        return Ranking(tuple(ranked), len(shared), None, None)
    sampled = np.round(draw_patients(len(shared)) @ ranks / len(shared), _RANK_DECIMALS)
    sampled_places = rankdata(sampled, axis=1)
    taus = _kendall_tau_b(sampled, np.round(means, _RANK_DECIMALS))
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
    """Return Kendall's tau-b (Kendall 1945) of each row of `samples`, shape (resamples, methods), with `whole`.

    tau-b = (concordant - discordant pairs) / sqrt(pairs untied in the row * pairs untied in `whole`); NaN where all
    pairs of one of them are tied. scipy.stats.kendalltau takes one call per row: a second instead of milliseconds.
    """
    first, second = np.triu_indices(whole.size, k=1)
    order = np.sign(whole[first] - whole[second])
    orders = np.sign(samples[:, first] - samples[:, second])
    scale = np.sqrt((orders != 0).sum(axis=1) * np.count_nonzero(order))
    return np.divide(orders @ order, scale, out=np.full(len(samples), np.nan), where=scale > 0)
