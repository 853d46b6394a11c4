"""Statistics of groups of methods: summaries, cautions, and the unit that tests and ranks count."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from nnunet_femur.comparison import grouping
from nnunet_femur.comparison.grouping import Measure, group_scores
from nnunet_femur.comparison.scoring import COLUMNS
from nnunet_femur.comparison.statistics.analysis import MEASURES, analyse, analyse_groups

DICE = Measure("volume", "all", "whole", "dice")


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


def _codes(found) -> set[str]:
    return {caution.code for caution in found.cautions}


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
        assert "undefined-scores" in _codes(found)


class TestCautions:
    def _cautions(self, patients: int, methods: int) -> dict[str, str]:
        rng = np.random.default_rng(0)
        lines = ({"method": f"M{n}__P__c", "values": _cases(rng.random(patients))} for n in range(methods))
        return dict(analyse(_group(*lines), DICE).cautions)

    def test_few_patients_show_no_difference(self):
        few = self._cautions(4, 2)
        assert few.keys() == {"few-patients"}
        assert "0.125" in few["few-patients"]
        assert self._cautions(5, 2).keys() == {"few-patients"}
        assert self._cautions(6, 2) == {}

    def test_many_pairs_on_few_patients_show_none_either(self):
        many = self._cautions(8, 8)
        assert many.keys() == {"many-pairs"}
        assert "28 pairs" in many["many-pairs"]

    def test_several_cases_of_a_patient(self):
        line = {"values": _cases(np.linspace(0.5, 0.9, 12)), "patients": {f"c{n}": f"p{n // 2}" for n in range(12)}}
        found = analyse(_group({"method": "A__P__c"} | line, {"method": "B__P__c"} | line), DICE)
        assert found.pairs[0].n == found.ranking.patients == 6
        assert "several-cases" in _codes(found)

    def test_different_cases(self):
        group = _group({"method": "A__P__c", "values": {"a": 1.0}}, {"method": "B__P__c", "values": {"b": 1.0}})
        assert "different-cases" in _codes(analyse(group, DICE))


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
        assert "different-folds" in _codes(found)

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
        assert "different-folds" not in _codes(found)

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


def test_scores_of_thousands_of_cases_are_pivoted_once_for_each_method(monkeypatch):
    calls = []
    pivot = grouping.pivot_scores
    monkeypatch.setattr(grouping, "pivot_scores", lambda rows, keys: calls.append(len(rows)) or pivot(rows, keys))
    rng = np.random.default_rng(0)
    lines = [{"method": f"M{n}__P__c", "values": _cases(rng.random(1000))} for n in range(10)]
    scores = _scores(*lines, measures=MEASURES)
    (found,) = analyse_groups(group_scores(scores))
    assert calls == [1000 * len(MEASURES)] * 10
    assert len(found.measures) == len(MEASURES)
    assert len(found.measures[DICE].pairs) == 45
