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
"""Names of the paired tests."""

_EXACT_WITHOUT_TIES = 50
_EXACT_WITH_TIES = 13
"""Largest numbers of patients for which scipy computes the exact distribution of Wilcoxon's statistic."""

_FLIPS = 9999
"""Largest number of sign changes that a permutation test evaluates; up to 13 patients have fewer, so it is exact."""

_DECIMALS = 12
"""Differences that are equal to so many decimals are ties: they differ by rounding errors only."""


@dataclass(frozen=True)
class PairTest:
    """The comparison of two methods on the patients for whom both have scores.

    The first method wins for a patient if its score is nearer to the metric's ideal.

    Attributes:
        first: Label of one method's entry.
        second: Label of the other method's entry.
        n: Number of patients compared; a patient with several cases counts once, by the mean of their scores.
        wins: Number of patients for whom the first method is nearer to the ideal.
        ties: Number of patients for whom both are equally near.
        losses: Number of patients for whom the second method is nearer.
        median_difference: Median over patients of the first score minus the second, in the metric's unit.
        effect: Matched-pairs rank-biserial correlation (Kerby 2014), (W+ - W-) / (W+ + W-), in [-1, 1]: 1 if the
            first method wins for all patients, -1 if the second does. W+ and W- are Wilcoxon's sums of ranks.
        p: Two-sided p-value; NaN if no patient has scores of both methods.
        p_holm: The p-value after Holm's correction for all pairs of the group.
        how: Name of the test, and how its p-value was computed, such as "Wilcoxon's signed-rank test, exact".
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
    """Test every pair of methods, and correct the p-values for their number.

    Both tests work on the gains |second - ideal| - |first - ideal| of the patients.

    Args:
        scores: Mean score of each patient, by label of the method; NaN is left out.
        ideal: The score of a perfect prediction.
        test: "wilcoxon" for the signed-rank test (Wilcoxon 1945, without zeros), or "permutation" for a test of the
            mean gain by flipping signs (Fisher 1935).

    Example:
        Method A has the higher Dice for all five patients. Of the 2^5 = 32 combinations of signs two are as extreme,
        so p = 2/32.

        >>> import pandas as pd
        >>> a = pd.Series([0.95, 0.94, 0.96, 0.93, 0.97], index=list("vwxyz"))
        >>> b = pd.Series([0.94, 0.92, 0.93, 0.89, 0.92], index=list("vwxyz"))
        >>> (pair,) = compare_pairs({"A": a, "B": b}, ideal=1)
        >>> pair.wins, pair.losses, pair.effect, pair.p
        (5, 0, 1.0, 0.0625)
        >>> round(pair.median_difference, 3)
        0.03
        >>> pair.how
        "Wilcoxon's signed-rank test, exact"
    """
    tested = [_compare(pair, [scores[label] for label in pair], ideal, test) for pair in combinations(scores, 2)]
    return _corrected(tested)


def smallest_p(patients: int) -> float:
    """Return the smallest two-sided p-value that an exact paired test of so many patients can give: 2 / 2^n.

    Example:
        >>> smallest_p(5), smallest_p(6)
        (0.0625, 0.03125)
    """
    return min(1.0, 2.0 ** (1 - patients))


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values corrected by Holm's step-down method (Scandinavian Journal of Statistics 6, 1979).

    The k-th smallest of m p-values, k from 0, is multiplied by m - k; a corrected value is at least as large as that of
    any smaller p-value, and at most 1.

    Args:
        p: P-values, shape (m,). NaN stays NaN and does not count.

    Example:
        >>> import numpy as np
        >>> [float(each) for each in holm(np.array([0.01, 0.04, 0.03]))]  # 3 * 0.01, 2 * 0.03, max(1 * 0.04, 0.06)
        [0.03, 0.06, 0.06]
    """
    # statsmodels.multipletests runs Python's garbage collection in every call, which takes longer than all these tests.
    corrected = p.copy()
    order = np.argsort(p)[: np.count_nonzero(np.isfinite(p))]
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return corrected


def _compare(labels: tuple[str, str], scores: Sequence[pd.Series], ideal: float, test: TestName) -> PairTest:
    first, second = (one.dropna() for one in scores)
    shared = first.index.intersection(second.index)
    of_first, of_second = first.loc[shared].to_numpy(float), second.loc[shared].to_numpy(float)
    gains = np.round(np.abs(of_second - ideal) - np.abs(of_first - ideal), _DECIMALS)
    p, how = _p_value(gains, test)
    return PairTest(
        first=labels[0],
        second=labels[1],
        n=len(shared),
        wins=int(np.count_nonzero(gains > 0)),
        ties=int(np.count_nonzero(gains == 0)),
        losses=int(np.count_nonzero(gains < 0)),
        median_difference=float(np.median(of_first - of_second)) if len(shared) else float("nan"),
        effect=_rank_biserial(gains),
        p=p,
        p_holm=p,
        how=how,
    )


def _p_value(gains: NDArray[np.float64], test: TestName) -> tuple[float, str]:
    """Return the two-sided p-value of the gains of n patients, shape (n,), and the name of the test."""
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
        # With ties the exact distribution is that of the ranks under all sign changes; scipy.stats.wilcoxon with a
        # PermutationMethod gives the same p-value, but takes 60 ms.
        p = _flipped_signs(np.sign(untied) * stats.rankdata(np.abs(untied)))
    else:
        p = float(stats.wilcoxon(untied, method="exact" if exact else "asymptotic", correction=not exact).pvalue)
    return min(1.0, p), f"{name}, {'exact' if exact else 'normal approximation'}"


def _flipped_signs(values: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of a mean under all sign changes, or under a random selection of 9999."""
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
    """Return the matched-pairs rank-biserial correlation of gains, shape (n,); 0 if all are ties."""
    from scipy.stats import rankdata

    untied = gains[gains != 0]
    if not untied.size:
        return 0.0
    ranks = rankdata(np.abs(untied))
    return float((ranks[untied > 0].sum() - ranks[untied < 0].sum()) / ranks.sum())


def _corrected(tested: Sequence[PairTest]) -> tuple[PairTest, ...]:
    corrected = holm(np.array([one.p for one in tested]))
    return tuple(replace(one, p_holm=float(p)) for one, p in zip(tested, corrected, strict=True))
