"""Paired tests, against published examples, scipy, statsmodels and sums worked out by hand."""

from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from nnunet_femur.comparison.statistics.paired_tests import compare_pairs, holm, smallest_p

# Hollander & Wolfe (1973), p. 29: Hamilton depression scale factor of nine patients, as in R's ?wilcox.test.
DEPRESSION = {
    "before": [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30],
    "after": [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29],
}


def _series(values) -> pd.Series:
    return pd.Series(values, index=[f"p{place}" for place in range(len(values))], dtype=float)


class TestPairs:
    def test_a_published_wilcoxon_test(self):
        # Hollander & Wolfe: V = 40 of 45, one-sided p = 0.01953, so two-sided 0.0390625; r = (40 - 5) / 45.
        (pair,) = compare_pairs({name: _series(of) for name, of in DEPRESSION.items()}, ideal=10)
        assert pair.p == pytest.approx(0.0390625)
        assert pair.effect == pytest.approx(35 / 45)
        assert (pair.n, pair.wins, pair.ties, pair.losses) == (9, 7, 0, 2)
        assert pair.how == "Wilcoxon's signed-rank test, exact"
        assert pair.median_difference == pytest.approx(np.median(np.subtract(*DEPRESSION.values())))

    def test_ties_and_zeros_are_exact_too(self):
        # Differences in tenths: 1, 1, 2, -1, 3, 0: of 32 signs of the ranks (2, 2, 4, 2, 5) count what is as far out.
        first, second = _series([0.9, 0.8, 0.7, 0.5, 0.8, 0.6]), _series([0.8, 0.7, 0.5, 0.6, 0.5, 0.6])
        (pair,) = compare_pairs({"a": first, "b": second}, ideal=1)
        ranks = np.array([2, 2, 4, 2, 5])
        signs = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1).T
        sums = signs @ ranks
        assert pair.p == pytest.approx(np.mean(np.abs(sums) >= 11))
        assert (pair.wins, pair.ties, pair.losses) == (4, 1, 1)
        assert pair.effect == pytest.approx(11 / 15)

    @pytest.mark.parametrize("seed", range(5))
    def test_ties_agree_with_scipy(self, seed):
        rng = np.random.default_rng(seed)
        first, second = rng.integers(0, 6, (2, 9)) / 10
        (pair,) = compare_pairs({"a": _series(first), "b": _series(second)}, ideal=1)
        gains = np.round(first - second, 12)
        theirs = stats.wilcoxon(gains[gains != 0], method=stats.PermutationMethod())
        assert pair.p == pytest.approx(theirs.pvalue)

    def test_many_patients_take_the_normal_approximation(self):
        rng = np.random.default_rng(0)
        first, second = rng.random((2, 80))
        (pair,) = compare_pairs({"a": _series(first), "b": _series(second)}, ideal=1)
        assert pair.p == pytest.approx(stats.wilcoxon(first, second, correction=True, method="asymptotic").pvalue)
        assert "normal approximation" in pair.how

    def test_permutation_test_by_hand(self):
        (pair,) = compare_pairs(
            {"a": _series([0.9, 0.9, 0.9]), "b": _series([0.8, 0.7, 0.6])}, ideal=1, test="permutation"
        )
        assert pair.p == pytest.approx(2 / 8)
        assert "exact" in pair.how

    def test_nearer_to_the_ideal_wins(self):
        (pair,) = compare_pairs({"a": _series([1.1, 0.9]), "b": _series([1.3, 0.8])}, ideal=1)
        assert (pair.wins, pair.losses, pair.effect) == (2, 0, 1)
        assert pair.median_difference == pytest.approx((-0.2 + 0.1) / 2)

    def test_equal_scores(self):
        (pair,) = compare_pairs({"a": _series([0.5, 0.6]), "b": _series([0.5, 0.6])}, ideal=1)
        assert (pair.p, pair.effect, pair.ties) == (1, 0, 2)

    def test_nobody_in_common(self):
        (pair,) = compare_pairs({"a": pd.Series([1.0], ["p"]), "b": pd.Series([1.0], ["q"])}, ideal=1)
        assert np.isnan(pair.p)
        assert pair.n == 0

    def test_holm_by_hand(self):
        # p of 1/16 three times and 1, as eight values of Holm's own rule: times 3, 2, 1 and never falling.
        rng = np.random.default_rng(3)
        scores = {name: _series(rng.random(7) + shift) for name, shift in (("a", 0), ("b", 0.4), ("c", 0.9))}
        pairs = compare_pairs(scores, ideal=5)
        order = np.argsort([pair.p for pair in pairs])
        expected, largest = {}, 0.0
        for place, number in enumerate(order):
            largest = max(largest, min(1.0, pairs[number].p * (len(pairs) - place)))
            expected[number] = largest
        assert [pair.p_holm for pair in pairs] == pytest.approx([expected[number] for number in range(len(pairs))])

    @given(st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=12))
    def test_holm_agrees_with_statsmodels(self, values):
        p = np.array(values)
        known = np.isfinite(p)
        expected = p.copy()
        if known.any():
            with patch("gc.collect"):  # statsmodels calls it each time, which takes longer than all the rest
                expected[known] = multipletests(p[known], method="holm")[1]
        np.testing.assert_allclose(holm(p), expected, atol=1e-12)

    def test_smallest_p(self):
        assert smallest_p(5) == 0.0625
        (pair,) = compare_pairs({"a": _series([5.0] * 5), "b": _series([1, 2, 3, 4, 4.5])}, ideal=5)
        assert pair.p == smallest_p(5)
