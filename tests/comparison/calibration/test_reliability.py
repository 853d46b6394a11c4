"""Calibration error, Brier score and curve, against scikit-learn and sums by hand."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from nnunet_femur.comparison.calibration.reliability import BINS, Reliability


def _random(seed: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.4, 0.6, n)
    return probabilities, rng.random(n) < probabilities**1.5


class TestAgainstScikitLearn:
    @pytest.mark.parametrize("seed", range(3))
    def test_curve_and_brier(self, seed):
        probabilities, femur = _random(seed)
        found = Reliability.of(probabilities, femur)
        share, mean = calibration_curve(femur, probabilities, n_bins=BINS)
        assert found.curve[0] == pytest.approx(mean)
        assert found.curve[1] == pytest.approx(share)
        assert found.brier == pytest.approx(brier_score_loss(femur, probabilities))

    @pytest.mark.parametrize("seed", range(3))
    def test_ece_is_the_weighted_distance_of_the_curve(self, seed):
        probabilities, femur = _random(seed)
        share, mean = calibration_curve(femur, probabilities, n_bins=BINS)
        number = np.histogram(probabilities, BINS, (0, 1))[0]
        expected = np.average(np.abs(share - mean), weights=number[number > 0])
        assert Reliability.of(probabilities, femur).ece == pytest.approx(expected)


class TestByHand:
    def test_a_perfect_and_a_reversed_network(self):
        femur = np.array([True, False, False, False])
        perfect = Reliability.of(femur.astype(np.float32), femur)
        assert (perfect.ece, perfect.brier, perfect.bias) == (0, 0, 0)
        reversed_ = Reliability.of(1.0 - femur, femur)
        assert (reversed_.ece, reversed_.brier, reversed_.bias) == (1, 1, 0.5)

    def test_a_network_that_is_too_sure(self):
        # Ten voxels of 0.95, of which eight are femur: |0.95 - 0.8|; (8 * 0.05² + 2 * 0.95²) / 10.
        found = Reliability.of(np.full(10, 0.95), np.arange(10) < 8)
        assert found.ece == pytest.approx(0.15)
        assert found.bias == pytest.approx(0.15)
        assert found.brier == pytest.approx(0.1825)

    def test_background_makes_it_small(self):
        near = Reliability.of(np.full(10, 0.95), np.arange(10) < 8)
        far = Reliability.of(np.zeros(990), np.zeros(990, bool))
        assert (near + far).ece == pytest.approx(0.15 / 100)

    def test_sums_of_parts(self):
        probabilities, femur = _random(3)
        whole, parts = Reliability.of(probabilities, femur), Reliability.nothing()
        for start in range(0, 500, 70):
            parts += Reliability.of(probabilities[start : start + 70], femur[start : start + 70])
        assert parts.voxels.tolist() == whole.voxels.tolist()
        assert (parts.ece, parts.brier) == pytest.approx((whole.ece, whole.brier))

    def test_nothing(self):
        nothing = Reliability.nothing()
        assert nothing.total == 0
        assert all(np.isnan([nothing.ece, nothing.brier, nothing.bias]))

    @pytest.mark.parametrize("value", [-1e-7, 1 + 1e-7])
    def test_rounding_errors_beyond_0_and_1(self, value):
        assert Reliability.of(np.array([value]), np.array([value > 0.5])).ece == pytest.approx(0, abs=1e-6)
