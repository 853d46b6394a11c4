"""Paired tests of all pairs of methods, with Holm's correction and an effect size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

TestName = Literal["wilcoxon", "permutation"]
"""The paired tests that are offered."""

_EXACT_WITHOUT_TIES = 50
_EXACT_WITH_TIES = 13
"""Up to so many pairs scipy takes the exact distribution of Wilcoxon's statistic, without and with tied ranks."""

_FLIPS = 9999
"""Changes of signs that a permutation test tries at most; up to 13 pairs these are all that there are."""

_DECIMALS = 12
"""Differences that agree so far are equal; beyond it the rounding of a subtraction would break ties."""


@dataclass(frozen=True)
class PairTest:
    """Two entries of a group, compared on the patients that both have scores of.

    All is seen from the first: it wins where its score lies nearer to the metric's ideal.

    Attributes:
        first: Label of one entry.
        second: Label of the other.
        n: Patients compared; a patient with several cases counts once, with their mean.
        wins: Patients in which the first is nearer to the ideal.
        ties: Patients in which both are equally near.
        losses: Patients in which the second is nearer.
        median_difference: Median over patients of the first's score minus the second's, in the metric's unit.
        effect: Matched-pairs rank-biserial correlation (Kerby 2014), (W+ − W−) / (W+ + W−): 1 if the first is
            nearer in every patient, −1 if the second is.
        p: Two-sided p-value; NaN without a patient in common.
        p_holm: The same after Holm's correction for all pairs of the group.
        how: The test in words, with how its p-value was computed.
    """

    first: str
    second: str
    n: int
    wins: int
    ties: int
    losses: int
    median_difference: float
    effect: float
    p: float
    p_holm: float
    how: str


def compare_pairs(
    scores: Mapping[str, pd.Series], *, ideal: float, test: TestName = "wilcoxon"
) -> tuple[PairTest, ...]:
    """Test every pair of entries.

    Args:
        scores: Mean score of each patient, by label of the entry; NaN does not count.
        ideal: The score of a perfect prediction.
        test: Wilcoxon's signed-rank test, or a permutation test of the mean difference by flipping signs.
    """
    tested = [_compare(pair, [scores[label] for label in pair], ideal, test) for pair in combinations(scores, 2)]
    return _corrected(tested)


def smallest_p(patients: int) -> float:
    """The smallest two-sided p-value that an exact paired test of so many patients can give: 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - patients))


def _compare(labels: tuple[str, str], scores: Sequence[pd.Series], ideal: float, test: TestName) -> PairTest:
    first, second = (one.dropna() for one in scores)
    shared = first.index.intersection(second.index)
    mine, theirs = first.loc[shared].to_numpy(float), second.loc[shared].to_numpy(float)
    gains = np.round(np.abs(theirs - ideal) - np.abs(mine - ideal), _DECIMALS)
    p, how = _p_value(gains, test)
    return PairTest(
        first=labels[0],
        second=labels[1],
        n=len(shared),
        wins=int(np.count_nonzero(gains > 0)),
        ties=int(np.count_nonzero(gains == 0)),
        losses=int(np.count_nonzero(gains < 0)),
        median_difference=float(np.median(mine - theirs)) if len(shared) else float("nan"),
        effect=_rank_biserial(gains),
        p=p,
        p_holm=p,
        how=how,
    )


def _p_value(gains: NDArray[np.float64], test: TestName) -> tuple[float, str]:
    from scipy import stats

    name = {"wilcoxon": "Wilcoxon's signed-rank test", "permutation": "permutation test of the mean"}[test]
    if not gains.size:
        return float("nan"), f"{name}, no patient in common"
    untied = gains[gains != 0]
    if not untied.size:
        return 1.0, f"{name}, all scores equal"
    if test == "permutation":
        exact = 2**gains.size <= _FLIPS
        return _flipped_signs(gains), f"{name}, {'exact' if exact else f'{_FLIPS} random permutations'}"
    tied = len(np.unique(np.abs(untied))) < untied.size
    exact = untied.size <= (_EXACT_WITH_TIES if tied else _EXACT_WITHOUT_TIES)
    if tied and exact:
        # With ties the exact distribution is that of all signs of the ranks; scipy's own way to it takes 60 ms.
        p = _flipped_signs(np.sign(untied) * stats.rankdata(np.abs(untied)))
    else:
        p = float(stats.wilcoxon(untied, method="exact" if exact else "asymptotic", correction=not exact).pvalue)
    return min(1.0, p), f"{name}, {'exact' if exact else 'normal approximation'}"


def _flipped_signs(values: NDArray[np.float64]) -> float:
    """Two-sided p-value of a sum under all changes of signs, or a random selection of them if they are too many."""
    from scipy import stats

    result = stats.permutation_test(
        (values,),
        lambda flipped, axis: flipped.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_FLIPS,
        random_state=0,
    )
    return float(result.pvalue)


def _rank_biserial(gains: NDArray[np.float64]) -> float:
    from scipy.stats import rankdata

    untied = gains[gains != 0]
    if not untied.size:
        return 0.0
    ranks = rankdata(np.abs(untied))
    return float((ranks[untied > 0].sum() - ranks[untied < 0].sum()) / ranks.sum())


def _corrected(tested: Sequence[PairTest]) -> tuple[PairTest, ...]:
    corrected = holm(np.array([one.p for one in tested]))
    return tuple(replace(one, p_holm=float(p)) for one, p in zip(tested, corrected, strict=True))


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values corrected for their number (S. Holm, Scandinavian Journal of Statistics 6, 1979); NaN stays NaN.

    The library for it collects garbage at every call, which took longer than all the tests that it corrects.
    """
    corrected = p.copy()
    order = np.argsort(p)[: np.count_nonzero(np.isfinite(p))]
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return corrected
