"""Claims of better, not worse and equivalent, against scipy, statsmodels and sums worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from nnunet_femur.comparison.statistics.claims import (
    MOST_PATIENTS,
    claim_better,
    compare_with_margin,
    patient_gains,
    patients_needed,
)


def _series(values, name="A") -> pd.Series:
    return pd.Series(values, index=[f"p{place}" for place in range(len(values))], dtype=float, name=name)


def _pair(seed: int, n: int = 12, gain: float = 0.005) -> tuple[pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    base = 0.9 + 0.02 * rng.standard_normal(n)
    return _series(base + gain + 0.006 * rng.standard_normal(n)), _series(base, "B")


class TestClaim:
    @pytest.mark.parametrize("seed", range(4))
    def test_formula_of_claims_reloaded(self, seed):
        # P(mu_A <= mu_B) = t_{n-1}(sqrt(n) (m_B - m_A) / sqrt(s_A^2 + s_B^2 - 2 s_A s_B r_AB)).
        a, b = _pair(seed)
        spread = a.var() + b.var() - 2 * a.std() * b.std() * a.corr(b)
        expected = stats.t.cdf(np.sqrt(len(a)) * (b.mean() - a.mean()) / np.sqrt(spread), len(a) - 1)
        assert claim_better(a, b, ideal=1).false == pytest.approx(expected, rel=1e-6)

    def test_interval_is_that_of_a_paired_t_test(self):
        a, b = _pair(1)
        claim = claim_better(a, b, ideal=1)
        low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert claim.interval == pytest.approx((low, high), rel=1e-6)
        assert claim.n == 12

    def test_distances_gain_where_they_are_smaller(self):
        claim = claim_better(_series([2.0, 3.0, 4.0]), _series([3.0, 5.0, 7.0], "B"), ideal=0)
        assert claim.gain == pytest.approx(2)
        assert claim.false == pytest.approx(stats.t.sf(2 / (1 / np.sqrt(3)), 2))

    def test_the_opposite_claim_has_the_rest_of_the_probability(self):
        a, b = _pair(2)
        assert claim_better(a, b, ideal=1).false + claim_better(b, a, ideal=1).false == pytest.approx(1)

    @pytest.mark.parametrize(
        ("first", "second", "false"),
        [([0.9, 0.9], [0.8, 0.8], 0.0), ([0.8, 0.8], [0.9, 0.9], 1.0), ([0.9, 0.8], [0.9, 0.8], 0.5)],
    )
    def test_equal_gains(self, first, second, false):
        claim = claim_better(_series(first), _series(second, "B"), ideal=1)
        assert claim.false == false
        assert claim.needed is None

    def test_one_patient_shows_nothing(self):
        claim = claim_better(_series([0.9]), _series([0.8], "B"), ideal=1)
        assert (claim.n, claim.false, claim.interval, claim.needed, claim.holds) == (1, None, None, None, False)

    @pytest.mark.parametrize(("n", "holds"), [(4, False), (5, True)])
    def test_few_patients_support_no_claim(self, n, holds):
        gains = np.array([0.01, 0.02, 0.03, 0.02, 0.02])[:n]
        claim = claim_better(_series(0.9 + gains), _series(0.9 + 0 * gains, "B"), ideal=1)
        assert claim.false < 0.01
        assert claim.holds == holds

    def test_patients_without_a_score_are_left_out(self):
        gains = patient_gains(_series([0.9, np.nan, 0.7]), _series([0.8, 0.8, 0.8], "B"), ideal=1)
        assert gains.tolist() == pytest.approx([0.1, -0.1])


class TestMargin:
    @pytest.mark.parametrize("seed", range(4))
    def test_two_one_sided_tests(self, seed):
        a, b = _pair(seed, gain=0.001)
        found = compare_with_margin(a, b, ideal=1, margin=0.01)
        p, lower, _ = ttost_paired(a.to_numpy(), b.to_numpy(), -0.01, 0.01)
        assert found.p_equivalent == pytest.approx(p, rel=1e-5)
        assert found.p_not_worse == pytest.approx(lower[1], rel=1e-5)

    @pytest.mark.parametrize(
        ("gains", "verdict"),
        [
            ([0.010, 0.012, 0.011], "better"),
            ([-0.001, 0.001, 0.0], "equivalent"),
            ([-0.001, 0.010, 0.005], "not worse"),
            ([-0.020, -0.021, -0.022], "worse"),
            ([-0.004, -0.006, -0.0055], "worse"),
            ([-0.05, 0.05, 0.0], "undecided"),
        ],
    )
    def test_verdicts(self, gains, verdict):
        base = np.array([0.9, 0.92, 0.94])
        found = compare_with_margin(_series(base + gains), _series(base, "B"), ideal=1, margin=0.0065)
        assert found.verdict == verdict

    def test_verdict_agrees_with_the_p_values(self):
        for seed in range(40):
            a, b = _pair(seed, n=6, gain=-0.004 + 0.0004 * seed)
            found = compare_with_margin(a, b, ideal=1, margin=0.005)
            assert (found.verdict in ("better", "equivalent", "not worse")) == (found.p_not_worse < 0.05)
            assert (found.needed is None) or found.p_not_worse > 0.05

    def test_one_patient_is_undecided(self):
        found = compare_with_margin(_series([0.9]), _series([0.8], "B"), ideal=1, margin=0.01)
        assert (found.verdict, found.interval, found.p_not_worse, found.p_equivalent) == ("undecided", None, None, None)


class TestPatientsNeeded:
    @pytest.mark.parametrize("effect", [0.1, 0.25, 0.5, 0.8, 2.0])
    def test_agrees_with_statsmodels(self, effect):
        gains = np.array([effect - np.sqrt(0.5), effect + np.sqrt(0.5)])
        theirs = TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8, alternative="larger")
        assert patients_needed(gains) == max(2, int(np.ceil(theirs)))

    def test_a_margin_makes_it_easier(self):
        gains = np.array([-0.01, 0.01, 0.002, 0.0])
        assert patients_needed(gains, margin=0.01) < patients_needed(gains)

    @pytest.mark.parametrize("gains", [[], [0.1], [0.1, 0.1], [-0.1, 0.05], [-1.0, 1.0 + 1e-9]])
    def test_what_no_number_settles(self, gains):
        assert patients_needed(np.array(gains)) is None

    def test_the_largest_number(self):
        # Power 0.8 at 5 % needs about (1.645 + 0.842)^2 / effect^2 patients.
        effect = 2.487 / np.sqrt(MOST_PATIENTS)
        gains = np.array([-np.sqrt(0.5), np.sqrt(0.5)])
        assert patients_needed(gains + 1.05 * effect) > 0.8 * MOST_PATIENTS
        assert patients_needed(gains + 0.95 * effect) is None


class TestPublished:
    """Student's sleep data (Biometrika 6, 1908), as R prints them for ``t.test(..., paired = TRUE)``.

    R 4: t = -4.0621, df = 9, p-value = 0.002833, 95 % interval -2.4598858 to -0.7001142, mean difference -1.58.
    """

    SOPORIFIC = (
        (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
        (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
    )

    @pytest.fixture
    def drugs(self):
        """The hours of sleep gained; more is better, so the ideal is beyond all of them."""
        return tuple(_series(values, name) for values, name in zip(self.SOPORIFIC, "12", strict=True))

    def test_claim(self, drugs):
        claim = claim_better(drugs[1], drugs[0], ideal=24)
        assert claim.gain == pytest.approx(1.58)
        assert claim.interval == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
        assert claim.false == pytest.approx(0.002833 / 2, abs=1e-6)
        assert claim.holds

    def test_margin_of_half_an_hour(self, drugs):
        # The standard error is 1.58 / 4.0621 = 0.38896, so that t of the lower bound is -1.08 / 0.38896 = -2.777.
        found = compare_with_margin(drugs[0], drugs[1], ideal=24, margin=0.5)
        assert found.p_not_worse == pytest.approx(stats.t.sf(-2.777, 9), abs=1e-4)
        assert found.p_equivalent == found.p_not_worse
        assert found.verdict == "worse"
        assert found.interval == pytest.approx((-1.58 - 1.8331 * 0.38896, -1.58 + 1.8331 * 0.38896), abs=1e-3)

    def test_patients_of_cohen(self):
        # The function power.t.test of R for one sample and one side prints 155.9, 26.1 and 11.1, each rounded up here.
        for effect, patients in ((0.2, 156), (0.5, 27), (0.8, 12)):
            assert patients_needed(effect + np.array([-1, 1]) * 0.5**0.5) == patients
