"""Methods beside a second reader: sums by hand, and scipy's paired interval."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_femur.comparison.statistics.human_ceiling import beside_rater, on_shared_cases


def _series(values, name) -> pd.Series:
    return pd.Series(values, index=[f"c{place}" for place in range(len(values))], dtype=float, name=name)


PATIENTS = pd.Series(["p", "p", "q", "r"], index=["c0", "c1", "c2", "c3"])


def test_patients_count_once_over_shared_cases():
    method, reader = _series([0.9, 0.8, 0.7, 0.6], "A"), _series([0.95, 0.85, np.nan, 0.7], "B")
    of_method, of_reader, cases = on_shared_cases(method, reader, PATIENTS)
    assert of_method.to_dict() == pytest.approx({"p": 0.85, "r": 0.6})
    assert of_reader.to_dict() == pytest.approx({"p": 0.9, "r": 0.7})
    assert cases == 3
    found = beside_rater(method, reader, PATIENTS, ideal=1)
    assert (found.cases, found.patients) == (3, 2)
    assert (found.of_method, found.of_rater, found.gain) == pytest.approx((0.725, 0.8, -0.075))


def test_distances_gain_where_they_are_smaller():
    found = beside_rater(_series([1.0, 1, 2, 3], "A"), _series([2.0, 2, 3, 4], "B"), PATIENTS, ideal=0)
    assert found.gain == pytest.approx(1)


def test_interval_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    method, reader = (_series(0.9 + 0.02 * rng.standard_normal(12), name) for name in "AB")
    patients = pd.Series([f"p{n}" for n in range(12)], index=method.index)
    low, high = stats.ttest_rel(method, reader).confidence_interval(0.95)
    assert beside_rater(method, reader, patients, ideal=1).interval == pytest.approx((low, high), rel=1e-6)


def test_nothing_shared():
    found = beside_rater(_series([0.9], "A"), _series([np.nan], "B"), PATIENTS, ideal=1)
    assert (found.cases, found.patients, found.interval) == (0, 0, None)
    assert np.isnan([found.gain, found.of_method, found.of_rater]).all()
