"""Statistics against published examples, other implementations and sums worked out by hand."""

import time
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from nnunet_femur.comparison.grouping import Measure, group_scores
from nnunet_femur.comparison.scoring import COLUMNS
from nnunet_femur.comparison.statistics.agreement import bland_altman
from nnunet_femur.comparison.statistics.analysis import MEASURES, analyse, analyse_groups
from nnunet_femur.comparison.statistics.paired_tests import compare_pairs, holm, smallest_p
from nnunet_femur.comparison.statistics.ranking import mean_interval, rank_lines

DICE = Measure("volume", "all", "whole", "dice")

# Hollander & Wolfe (1973), p. 29: Hamilton depression scale factor of nine patients, as in R's ?wilcox.test.
DEPRESSION = {
    "before": [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30],
    "after": [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29],
}

# Bland & Altman (1986): peak expiratory flow of 17 subjects, Wright meter and mini meter, l/min.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def _series(values) -> pd.Series:
    return pd.Series(values, index=[f"p{place}" for place in range(len(values))], dtype=float)


def _scores(*lines: dict, measures=(DICE,)) -> pd.DataFrame:
    """A table of scores: each line has a method, and values by case; patients and folds where they matter."""
    rows = []
    for line in lines:
        for case, value in line["values"].items():
            patient = line.get("patients", {}).get(case, case)
            fold = line.get("folds", {}).get(case, "0")
            place = (line["method"], line.get("set", "test"), fold, case, patient)
            rows += [(*place, m.protocol, m.plane, m.region, m.metric, value, "1") for m in measures]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _group(*lines: dict, measures=(DICE,)):
    (group,) = group_scores(_scores(*lines, measures=measures))
    return group


def _cases(values) -> dict[str, float]:
    return {f"c{place}": value for place, value in enumerate(values)}


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


class TestIntervals:
    def test_agrees_with_scipys_bootstrap(self):
        values = np.random.default_rng(0).normal(0.9, 0.05, 40)
        theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20000, rng=1).confidence_interval
        ours = mean_interval(values, np.arange(40))
        assert ours == pytest.approx((theirs.low, theirs.high), abs=0.0015)

    def test_patients_are_drawn_with_all_their_cases(self):
        rng = np.random.default_rng(1)
        of_patient = rng.normal(0.8, 0.1, 15)
        values, patients = np.repeat(of_patient, 4), np.repeat(np.arange(15), 4)
        # Four equal cases of a patient tell no more than one of them.
        assert mean_interval(values, patients) == pytest.approx(mean_interval(of_patient, np.arange(15)))
        naive = mean_interval(values, np.arange(60))
        clustered = mean_interval(values, patients)
        assert clustered.high - clustered.low > 1.5 * (naive.high - naive.low)

    def test_none_of_a_single_patient(self):
        assert mean_interval(np.array([0.5, 0.6]), np.zeros(2, dtype=int)) is None


class TestSummaries:
    def test_over_cases_and_over_folds(self):
        line = {
            "method": "A__P__c",
            "set": "cv",
            "values": {"a": 0.8, "b": 0.9, "c": 0.4},
            "folds": {"a": "0", "b": "0", "c": "1"},
        }
        (summary,) = analyse(_group(line), DICE).summaries
        assert (summary.n, summary.patients, summary.folds, summary.undefined) == (3, 3, 2, 0)
        assert summary.mean == pytest.approx(0.7)
        assert summary.sd == pytest.approx(np.std([0.8, 0.9, 0.4], ddof=1))
        assert summary.fold_mean == pytest.approx((0.85 + 0.4) / 2)
        assert summary.fold_sd == pytest.approx(np.std([0.85, 0.4], ddof=1))
        assert (summary.q1, summary.median, summary.q3) == pytest.approx((0.6, 0.8, 0.85))
        assert summary.interval.low < 0.7 < summary.interval.high

    def test_one_case(self):
        (summary,) = analyse(_group({"method": "A__P__c", "values": {"a": 0.8}}), DICE).summaries
        assert (summary.sd, summary.interval, summary.fold_sd) == (None, None, None)

    def test_undefined_scores_are_counted_and_left_out(self):
        found = analyse(_group({"method": "A__P__c", "values": {"a": 0.8, "b": np.nan}}), DICE)
        assert (found.summaries[0].n, found.summaries[0].undefined, found.summaries[0].mean) == (1, 1, 0.8)
        assert any("1 scores are undefined" in caution for caution in found.cautions)


class TestRanks:
    def test_by_hand(self):
        scores = pd.DataFrame({"a": [0.9, 0.9, 0.7], "b": [0.8, 0.9, 0.8], "c": [0.7, 0.6, 0.9]})
        ranking = rank_lines(scores, ideal=1)
        # Ranks by patient: a 1, 1.5, 3; b 2, 1.5, 2; c 3, 3, 1.
        assert [rank.mean_rank for rank in ranking.ranks] == pytest.approx([5.5 / 3, 5.5 / 3, 7 / 3])
        assert [rank.place for rank in ranking.ranks] == [1.5, 1.5, 3]
        assert ranking.patients == 3

    def test_a_clear_order_holds_in_every_sample(self):
        rng = np.random.default_rng(0)
        scores = pd.DataFrame(
            {name: rng.random(12) / 100 + mean for name, mean in (("a", 0.9), ("b", 0.8), ("c", 0.7))}
        )
        ranking = rank_lines(scores, ideal=1)
        assert ranking.tau == 1
        assert [rank.place_interval for rank in ranking.ranks] == [(1, 1), (2, 2), (3, 3)]

    def test_taus_agree_with_scipy(self):
        from nnunet_femur.comparison.statistics.ranking import _kendall_tau_b

        rng = np.random.default_rng(2)
        reference, samples = rng.integers(0, 4, 7).astype(float), rng.integers(0, 4, (30, 7)).astype(float)
        theirs = [stats.kendalltau(sample, reference).statistic for sample in samples]
        assert _kendall_tau_b(samples, reference) == pytest.approx(theirs)

    def test_nothing_to_rank(self):
        assert rank_lines(pd.DataFrame({"a": [0.5]}), ideal=1) is None
        assert rank_lines(pd.DataFrame({"a": [0.5, np.nan], "b": [np.nan, 0.5]}), ideal=1) is None
        alone = rank_lines(pd.DataFrame({"a": [0.5], "b": [0.6]}), ideal=1)
        assert (alone.tau, [rank.place for rank in alone.ranks]) == (None, [2, 1])


class TestAgreement:
    def test_a_published_example(self):
        found = bland_altman("mini", tuple("abcdefghijklmnopq"), np.array(MINI, float), np.array(WRIGHT, float))
        # Bland & Altman: -2.1 l/min, SD 38.8, limits -79.7 and 75.5; intervals -22.0 to 17.8, -114.3 to -45.1.
        assert (found.bias_ml, found.sd_ml) == pytest.approx((-2.1, 38.8), abs=0.05)
        # They took 2 SD; 1.96 SD are nearer by 1.6.
        assert (found.low_ml, found.high_ml) == pytest.approx((-79.7 + 1.55, 75.5 - 1.55), abs=0.1)
        assert found.bias_interval_ml == pytest.approx((-22.0, 17.8), abs=0.1)
        assert found.low_interval_ml == pytest.approx((-114.3 + 1.55, -45.1 + 1.55), abs=0.9)

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
        assert found.bias_ml == pytest.approx(as_one.bias_ml)
        # Four equal cases tell no more than one, and 80 cases that were independent would give half the width.
        assert np.ptp(found.bias_interval_ml) == pytest.approx(np.ptp(as_one.bias_interval_ml), rel=0.15)
        assert np.ptp(found.bias_interval_ml) > 1.6 * np.ptp(naive.bias_interval_ml)
        assert found.low_interval_ml.low < found.low_ml < found.low_interval_ml.high
        unknown = bland_altman("a", cases[:2], reference[:2], reference[:2] + 1, patients=np.array(["p", "p"]))
        assert unknown.bias_interval_ml is None

    def test_a_single_case_has_no_limits(self):
        found = bland_altman("a", ("x",), np.array([10.0]), np.array([11.0]))
        assert (found.bias_ml, found.sd_ml, found.low_ml, found.bias_interval_ml) == (1, None, None, None)


class TestCautions:
    def _cautions(self, patients: int, methods: int) -> str:
        rng = np.random.default_rng(0)
        lines = ({"method": f"M{n}__P__c", "values": _cases(rng.random(patients))} for n in range(methods))
        return " ".join(analyse(_group(*lines), DICE).cautions)

    def test_few_patients_show_no_difference(self):
        assert "With 4 patients no exact paired test can give a p below 0.125" in self._cautions(4, 2)
        assert "At least 6 patients" in self._cautions(5, 2)
        assert self._cautions(6, 2) == ""

    def test_many_pairs_on_few_patients_show_none_either(self):
        assert "With 8 patients and 28 pairs no pair can reach the 5 % level" in self._cautions(8, 8)

    def test_several_cases_of_a_patient(self):
        line = {"values": _cases(np.linspace(0.5, 0.9, 12)), "patients": {f"c{n}": f"p{n // 2}" for n in range(12)}}
        found = analyse(_group({"method": "A__P__c"} | line, {"method": "B__P__c"} | line), DICE)
        assert found.pairs[0].n == found.ranking.patients == 6
        assert any("several cases" in caution for caution in found.cautions)

    def test_different_cases(self):
        group = _group({"method": "A__P__c", "values": {"a": 1.0}}, {"method": "B__P__c", "values": {"b": 1.0}})
        assert any("different cases" in caution for caution in analyse(group, DICE).cautions)


class TestMethodsAreCompared:
    """Folds are pooled: the unit of a test is a patient, and what is tested are methods."""

    METHODS, FOLDS, PATIENTS = 14, 5, 15

    @pytest.fixture
    def study(self) -> pd.DataFrame:
        """Fourteen methods, five folds, two cases of each of fifteen patients, in one validation fold each."""
        rng = np.random.default_rng(8)
        cases = {f"p{n}{side}": f"p{n}" for n in range(self.PATIENTS) for side in "LR"}
        lines = []
        for number in range(self.METHODS):
            own = {"method": f"M{number:02}__P__c", "patients": cases}
            values = dict(zip(cases, rng.random(len(cases)), strict=True))
            folds = {case: str(int(patient[1:]) % self.FOLDS) for case, patient in cases.items()}
            lines.append(own | {"set": "cv", "values": values, "folds": folds})
            for fold in range(self.FOLDS):
                tested = {f"t{n}": value for n, value in enumerate(rng.random(8))}
                lines.append(own | {"set": "test", "values": tested, "folds": dict.fromkeys(tested, str(fold))})
        return _scores(*lines)

    @pytest.mark.parametrize(("kind", "patients"), [("cv", 15), ("test", 8)])
    def test_91_pairs_for_14_methods(self, study, kind, patients):
        found = next(one for one in analyse_groups(group_scores(study)) if one.group.set == kind).measures[DICE]
        assert len(found.pairs) == 91
        assert len(found.ranking.ranks) == 14
        assert {pair.n for pair in found.pairs} == {found.ranking.patients} == {patients}
        rows = study[study["set"] == kind]
        # Each case counts as often as it was predicted, then each patient once.
        means = rows.pivot_table(index="patient", columns="method", values="value", aggfunc="mean")
        expected = [
            stats.wilcoxon(means[a], means[b], method="exact").pvalue
            for place, a in enumerate(means)
            for b in list(means)[place + 1 :]
        ]
        assert [pair.p for pair in found.pairs] == pytest.approx(expected)
        corrected = multipletests(expected, method="holm")[1]
        assert [pair.p_holm for pair in found.pairs] == pytest.approx(corrected)
        ranks = means.rank(axis=1, ascending=False).mean()
        assert [rank.mean_rank for rank in found.ranking.ranks] == pytest.approx(ranks.tolist())

    def test_by_hand(self):
        # Six patients in two folds, one with two cases; A is better by 1, 2, ... 6 hundredths.
        values = {f"c{n}": 0.80 + 0.01 * n for n in range(1, 7)}
        folds = {f"c{n}": str(n % 2) for n in range(1, 7)}
        base = {"set": "cv", "folds": folds | {"d6": "0"}, "patients": {"c6": "p", "d6": "p"}}
        # The two cases of the last patient: their mean is 0.86 again.
        better = {"method": "A__P__c", "values": values | {"c6": 0.90, "d6": 0.82}} | base
        worse = {"method": "B__P__c", "values": {**dict.fromkeys(values, 0.80), "d6": 0.80}} | base
        found = analyse(_group(better, worse), DICE)
        (pair,) = found.pairs
        assert (pair.n, pair.wins, pair.losses) == (6, 6, 0)
        assert pair.p == pytest.approx(2 / 2**6)
        assert pair.median_difference == pytest.approx(0.035)
        summary = found.summaries[0]
        assert (summary.n, summary.patients, summary.folds) == (7, 6, 2)
        # Fold 0: c2, c4, c6, d6; fold 1: c1, c3, c5.
        folds_by_hand = [(0.82 + 0.84 + 0.90 + 0.82) / 4, (0.81 + 0.83 + 0.85) / 3]
        assert (summary.fold_mean, summary.fold_sd) == pytest.approx(
            (np.mean(folds_by_hand), np.std(folds_by_hand, ddof=1))
        )
        assert [rank.mean_rank for rank in found.ranking.ranks] == [1, 2]

    def test_of_a_test_set_several_folds_count_once_by_their_mean(self):
        lines = [
            {"method": "A__P__c", "values": {"a": 0.8, "b": 0.6}, "folds": {"a": "0", "b": "0"}},
            {"method": "A__P__c", "values": {"a": 0.6, "b": 0.9}, "folds": {"a": "1", "b": "1"}},
            {"method": "B__P__c", "values": {"a": 0.65, "b": 0.80}, "folds": {"a": "0", "b": "0"}},
        ]
        found = analyse(_group(*lines), DICE)
        (pair,) = found.pairs
        # Means of A: 0.70 and 0.75; B: 0.65 and 0.80.
        assert (pair.n, pair.wins, pair.losses) == (2, 1, 1)
        assert (found.summaries[0].n, found.summaries[0].folds) == (2, 2)
        assert found.summaries[0].mean == pytest.approx(0.725)
        assert found.summaries[0].fold_mean == pytest.approx((0.7 + 0.75) / 2)
        assert any("different folds" in caution for caution in found.cautions)

    def test_of_a_test_set_the_ensemble_counts_where_there_is_one(self):
        lines = [
            {"method": "A__P__c", "values": {"a": value}, "folds": {"a": fold}}
            for fold, value in (("0", 0.2), ("1", 0.3), ("ensemble", 0.9))
        ]
        group = _group(*lines, {"method": "B__P__c", "values": {"a": 0.8}, "folds": {"a": "ensemble"}})
        found = analyse(group, DICE)
        assert [(one.n, one.mean, one.folds) for one in found.summaries] == [(1, 0.9, 1), (1, 0.8, 1)]
        assert [pair.wins for pair in found.pairs] == [1]
        assert [model.folds for model in group.models] == [("0",), ("1",), ("ensemble",), ("ensemble",)]
        assert not any("different folds" in caution for caution in found.cautions)

    def test_a_score_that_one_fold_does_not_define_leaves_the_case_out(self):
        lines = [
            {"method": "A__P__c", "values": {"a": value, "b": 0.5}, "folds": {"a": fold, "b": fold}}
            for fold, value in (("0", np.nan), ("1", 0.9))
        ]
        (summary,) = analyse(_group(*lines), DICE).summaries
        assert (summary.n, summary.undefined, summary.mean) == (1, 1, 0.5)


def test_methods_of_the_ends_are_compared_on_the_ends_only():
    ends = Measure("volume", "all", "ends", "dice")
    lines = [{"method": f"{name}__P__3d", "values": _cases(np.linspace(0.5, 0.9, 7))} for name in ("E", "A", "B")]
    scores = _scores(*lines, measures=(DICE, ends))
    (found,) = analyse_groups(group_scores(scores, ends_only=["E__P__3d"]))
    assert len(found.measures[DICE].summaries) == 2
    assert len(found.measures[ends].summaries) == 3


def test_the_same_at_every_run():
    rng = np.random.default_rng(5)
    group = _group(*({"method": f"M{n}__P__c", "values": _cases(rng.random(9))} for n in range(3)))
    assert analyse(group, DICE) == analyse(group, DICE)


def test_thousands_of_cases_take_seconds():
    rng = np.random.default_rng(0)
    lines = [{"method": f"M{n}__P__c", "values": _cases(rng.random(1000))} for n in range(10)]
    scores = _scores(*lines, measures=MEASURES)
    start = time.perf_counter()
    (found,) = analyse_groups(group_scores(scores))
    assert time.perf_counter() - start < 20
    assert len(found.measures) == len(MEASURES)
    assert len(found.measures[DICE].pairs) == 45
