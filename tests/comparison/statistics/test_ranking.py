"""Ranks of methods, against sums worked out by hand and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_femur.comparison.statistics.ranking import _kendall_tau_b, rank_methods


class TestRanks:
    def test_by_hand(self):
        scores = pd.DataFrame({"a": [0.9, 0.9, 0.7], "b": [0.8, 0.9, 0.8], "c": [0.7, 0.6, 0.9]})
        ranking = rank_methods(scores, ideal=1)
        # Ranks by patient: a 1, 1.5, 3; b 2, 1.5, 2; c 3, 3, 1.
        assert [rank.mean_rank for rank in ranking.ranks] == pytest.approx([5.5 / 3, 5.5 / 3, 7 / 3])
        assert [rank.place for rank in ranking.ranks] == [1.5, 1.5, 3]
        assert ranking.patients == 3

    def test_a_clear_order_holds_in_every_sample(self):
        rng = np.random.default_rng(0)
        scores = pd.DataFrame(
            {name: rng.random(12) / 100 + mean for name, mean in (("a", 0.9), ("b", 0.8), ("c", 0.7))}
        )
        ranking = rank_methods(scores, ideal=1)
        assert ranking.tau == 1
        assert [rank.place_interval for rank in ranking.ranks] == [(1, 1), (2, 2), (3, 3)]

    def test_taus_agree_with_scipy(self):
        rng = np.random.default_rng(2)
        reference, samples = rng.integers(0, 4, 7).astype(float), rng.integers(0, 4, (30, 7)).astype(float)
        theirs = [stats.kendalltau(sample, reference).statistic for sample in samples]
        assert _kendall_tau_b(samples, reference) == pytest.approx(theirs)

    def test_nothing_to_rank(self):
        assert rank_methods(pd.DataFrame({"a": [0.5]}), ideal=1) is None
        assert rank_methods(pd.DataFrame({"a": [0.5, np.nan], "b": [np.nan, 0.5]}), ideal=1) is None
        alone = rank_methods(pd.DataFrame({"a": [0.5], "b": [0.6]}), ideal=1)
        assert (alone.tau, [rank.place for rank in alone.ranks]) == (None, [2, 1])
