"""Bland-Altman agreement, against the published example."""

import numpy as np
import pytest

from nnunet_femur.comparison.statistics.agreement import bland_altman

# Bland & Altman (1986): peak expiratory flow of 17 subjects, Wright meter and mini meter, l/min.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


class TestAgreement:
    def test_a_published_example(self):
        found = bland_altman("mini", tuple("abcdefghijklmnopq"), np.array(MINI, float), np.array(WRIGHT, float))
        # Bland & Altman: -2.1 l/min, SD 38.8, limits -79.7 and 75.5; intervals -22.0 to 17.8, -114.3 to -45.1.
        assert (found.bias, found.sd) == pytest.approx((-2.1, 38.8), abs=0.05)
        # They took 2 SD; 1.96 SD are nearer by 1.6.
        assert (found.low, found.high) == pytest.approx((-79.7 + 1.55, 75.5 - 1.55), abs=0.1)
        assert found.bias_interval == pytest.approx((-22.0, 17.8), abs=0.1)
        assert found.low_interval == pytest.approx((-114.3 + 1.55, -45.1 + 1.55), abs=0.9)

    def test_two_cases_of_a_patient_are_not_two_patients(self):
        rng = np.random.default_rng(4)
        of_patient = rng.normal(5, 10, 20)
        reference = np.full(80, 400.0)
        cases = tuple(map(str, range(80)))
        found = bland_altman(
            "a", cases, reference, reference + np.repeat(of_patient, 4), patients=np.repeat(np.arange(20), 4)
        )
        as_one = bland_altman("a", cases[:20], reference[:20], reference[:20] + of_patient)
        naive = bland_altman("a", cases, reference, reference + np.repeat(of_patient, 4))
        assert found.bias == pytest.approx(as_one.bias)
        # Four equal cases tell no more than one, and 80 cases that were independent would give half the width.
        assert np.ptp(found.bias_interval) == pytest.approx(np.ptp(as_one.bias_interval), rel=0.15)
        assert np.ptp(found.bias_interval) > 1.6 * np.ptp(naive.bias_interval)
        assert found.low_interval.low < found.low < found.low_interval.high
        unknown = bland_altman("a", cases[:2], reference[:2], reference[:2] + 1, patients=np.array(["p", "p"]))
        assert unknown.bias_interval is None

    def test_a_single_case_has_no_limits(self):
        found = bland_altman("a", ("x",), np.array([10.0]), np.array([11.0]))
        assert (found.bias, found.sd, found.low, found.bias_interval) == (1, None, None, None)
