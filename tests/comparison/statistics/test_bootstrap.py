"""Bootstrap intervals, against scipy, and for several cases of a patient."""

import numpy as np
import pytest
from scipy import stats

from nnunet_femur.comparison.statistics.bootstrap import mean_interval


class TestMeanInterval:
    def test_agrees_with_scipys_bootstrap(self):
        values = np.random.default_rng(0).normal(0.9, 0.05, 40)
        theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20000, rng=1).confidence_interval
        ours = mean_interval(values, np.arange(40))
        assert ours == pytest.approx((theirs.low, theirs.high), abs=0.0015)

    def test_patients_are_drawn_with_all_their_cases(self):
        rng = np.random.default_rng(1)
        of_patient = rng.normal(0.8, 0.1, 15)
        values, patients = np.repeat(of_patient, 4), np.repeat(np.arange(15), 4)
        # Four equal cases of a patient contain no more information than one of them.
        assert mean_interval(values, patients) == pytest.approx(mean_interval(of_patient, np.arange(15)))
        naive = mean_interval(values, np.arange(60))
        clustered = mean_interval(values, patients)
        assert clustered.high - clustered.low > 1.5 * (naive.high - naive.low)

    def test_none_of_a_single_patient(self):
        assert mean_interval(np.array([0.5, 0.6]), np.zeros(2, dtype=int)) is None
