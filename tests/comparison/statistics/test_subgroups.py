"""Subgroups: counts and means by hand, the test against scipy, and what must not be tested."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_femur.comparison.grouping import Measure, group_scores
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.report.tables.subgroup_tables import subgroup_tables
from nnunet_femur.comparison.scoring import Scored
from nnunet_femur.comparison.statistics.subgroups import NOT_STATED, analyse_subgroups
from tests.comparison.made import scores_of

DICE = Measure("volume", "all", "whole", "dice")


def _of(values: list[float], *, patients: list[str] | None = None, **columns: list[str]):
    cases = [f"c{place:03}" for place in range(len(values))]
    scores = scores_of(*(("A__P__c", "test", "0", *one) for one in zip(cases, values, strict=True)), keys=(DICE,))
    if patients:
        scores["patient"] = scores["case"].map(dict(zip(cases, patients, strict=True)))
    return analyse_subgroups(group_scores(scores), pd.DataFrame(columns, index=cases), [DICE])


def _one(values, **settings):
    (of_group,) = _of(values, **settings)
    (found,) = of_group.subgroups
    return found


class TestGroups:
    def test_counts_and_means(self):
        found = _one([0.9, 0.8, 0.7, 0.6], sex=["f", "m", "f", ""])
        assert [(one.value, one.cases, one.patients) for one in found.groups] == [
            ("f", 2, 2),
            ("m", 1, 1),
            (NOT_STATED, 1, 1),
        ]
        assert found.groups[0].mean == pytest.approx(0.8)
        assert found.groups[0].sd == pytest.approx(np.std([0.9, 0.7], ddof=1))
        assert found.groups[1].sd is None

    def test_the_words_for_no_value_may_be_in_the_table(self):
        found = _one([0.9, 0.8, 0.7, 0.6], sex=["f", "m", NOT_STATED, ""])
        assert [(one.value, one.cases) for one in found.groups] == [("f", 1), ("m", 1), (NOT_STATED, 2)]

    def test_few_numbers_are_values_in_their_order(self):
        found = _one([0.9, 0.8, 0.7], stage=["10", "2", "1,5"])
        assert [one.value for one in found.groups] == ["1,5", "2", "10"]

    def test_many_numbers_are_divided_at_the_median(self):
        found = _one([0.9] * 4 + [0.8] * 4, age=["20", "30", "40", "50", "60", "70", "80", "90"])
        assert [(one.value, one.cases) for one in found.groups] == [("up to 55", 4), ("above 55", 4)]
        assert [one.mean for one in found.groups] == pytest.approx([0.9, 0.8])


class TestTest:
    def test_two_groups_by_hand(self):
        # All four scores of one group above the other's: 2 of 8! / (4! 4!) = 70 arrangements are as extreme.
        found = _one([0.9, 0.91, 0.92, 0.93, 0.8, 0.81, 0.82, 0.83], side=["l"] * 4 + ["r"] * 4)
        assert found.p == pytest.approx(2 / 70)
        assert found.untested == ""

    @pytest.mark.parametrize("seed", range(3))
    def test_mann_whitney_is_the_same_with_two_groups(self, seed):
        values = np.random.default_rng(seed).random(11)
        found = _one(list(values), side=["l"] * 5 + ["r"] * 6)
        assert found.p == pytest.approx(stats.mannwhitneyu(values[:5], values[5:], method="exact").pvalue)

    def test_many_patients_take_the_chi_squared_distribution(self):
        values = np.random.default_rng(0).random(90)
        found = _one(list(values), site=["a", "b", "c"] * 30)
        assert found.p == pytest.approx(stats.kruskal(values[::3], values[1::3], values[2::3]).pvalue)

    def test_cases_of_a_patient_count_once(self):
        values = [0.9, 0.9, 0.91, 0.91, 0.92, 0.92, 0.93, 0.93, 0.8, 0.8, 0.81, 0.81, 0.82, 0.82, 0.83, 0.83]
        found = _one(values, patients=[f"p{n // 2}" for n in range(16)], sex=["f"] * 8 + ["m"] * 8)
        assert found.p == pytest.approx(2 / 70)
        assert [one.patients for one in found.groups] == [4, 4]

    def test_values_that_are_not_stated_are_left_out(self):
        values = [0.9, 0.91, 0.92, 0.93, 0.8, 0.81, 0.82, 0.83, 0.1]
        assert _one(values, side=["l"] * 4 + ["r"] * 4 + [""]).p == pytest.approx(2 / 70)

    def test_equal_scores(self):
        assert _one([0.9] * 8, side=["l", "r"] * 4).p == 1

    @pytest.mark.parametrize(
        ("sizes", "tested"), [((3, 3), False), ((4, 4), True), ((1, 40), False), ((2, 2, 2), False), ((3, 3, 2), True)]
    )
    def test_too_few_patients_are_not_tested(self, sizes, tested):
        # The smallest p-values are 2/20, 2/70, 1/41 of a single patient, 6/90, and 2/560.
        labels = [letter for letter, size in zip("abc", sizes, strict=False) for _ in range(size)]
        found = _one(list(np.linspace(0.1, 0.9, sum(sizes))), group=labels)
        assert (found.p is not None) == (found.untested == "") == tested

    def test_patients_in_several_subgroups_are_not_tested(self):
        found = _one([0.9, 0.8] * 8, patients=[f"p{n // 2}" for n in range(16)], side=["l", "r"] * 8)
        assert (found.p, found.p_holm) == (None, None)
        assert found.untested
        assert [one.patients for one in found.groups] == [8, 8]

    def test_published_example(self):
        """Clearance of the lungs of 14 people (Hollander & Wolfe 1973), the example of R's kruskal.test.

        R prints chi-squared = 0.77143, df = 2, p-value = 0.68. Our p-value permutes the people, since they are few, so
        it is near that of all 14! / (5! 4! 5!) = 252252 arrangements, which is larger.
        """
        normal, obstructed, asbestosis = [2.9, 3.0, 2.5, 2.6, 3.2], [3.8, 2.7, 4.0, 2.4], [2.8, 3.4, 3.7, 2.2, 2.0]
        statistic, p = stats.kruskal(normal, obstructed, asbestosis)
        assert (statistic, p) == pytest.approx((0.77143, 0.68), abs=5e-3)
        found = _one([*normal, *obstructed, *asbestosis], group=["n"] * 5 + ["o"] * 4 + ["a"] * 5)
        assert found.p == pytest.approx(0.71, abs=0.02)

    def test_correction_for_several_covariates(self):
        values = [0.9, 0.91, 0.92, 0.93, 0.8, 0.81, 0.82, 0.83]
        (of_group,) = _of(values, side=["l"] * 4 + ["r"] * 4, sex=["f", "m"] * 4, site=["a"] * 7 + ["b"])
        by_name = {one.covariate: one for one in of_group.subgroups}
        assert by_name["side"].p_holm == pytest.approx(2 * 2 / 70)
        assert by_name["site"].p_holm is None


def test_table():
    of_groups = _of([0.9, 0.8, 0.7, 0.6], sex=["f", "m", "f", "m"])
    (table,) = subgroup_tables(ReportData(Scored(scores_of()), subgroups=of_groups))
    assert [(str(row.cells[0]), row.cells[1].value) for row in table.rows] == [("f", 2), ("m", 2)]
    assert [str(cell) for cell in table.rows[0].cells[5:]] == ["–", "–"]
    assert table.rows[0].cells[3].value == pytest.approx(0.8)
