"""Statistics of clinical endpoints, by hand-worked errors."""

import pytest

from nnunet_femur.comparison.clinical.endpoints import ENDPOINTS, MAIN
from nnunet_femur.comparison.clinical.measurement_errors import error_table, with_errors
from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.comparison.statistics.endpoint_statistics import analyse_endpoints
from tests.comparison.made import femur, measured_data, scores_of

NSA = "neck_shaft_angle_deg"


def _angles(errors: dict[str, list[float | None]], name=NSA):
    """Statistics of an angle that is 120 in all references; None for a prediction that cannot be measured."""
    measured = [
        (method, f"L{case}", femur(**{name: 120.0}), femur() if error is None else femur(**{name: 120.0 + error}))
        for method, of_method in errors.items()
        for case, error in enumerate(of_method)
    ]
    (found,) = measured_data(*measured).endpoints
    return found


class TestErrors:
    def test_bias_limits_and_absolute_errors(self):
        one = _angles({"A": [1.0, -2.0, 4.0]}).endpoints[NSA]
        (agreement,), (summary,) = one.agreement, one.statistics.summaries
        # Mean 1, squares of deviations 0 + 9 + 9, so SD 3; absolute errors 1, 2, 4.
        assert (agreement.bias, agreement.sd, agreement.unit) == (pytest.approx(1), pytest.approx(3), "deg")
        assert (agreement.low, agreement.high) == pytest.approx((1 - 1.96 * 3, 1 + 1.96 * 3))
        assert agreement.cases == ("L0", "L1", "L2")
        assert (summary.mean, summary.median, summary.n) == (pytest.approx(7 / 3), pytest.approx(2), 3)

    def test_a_distance_has_no_bias(self):
        found = measured_data(("A", "L0", femur(head_center_mm_lps=(0.0, 0, 0)), femur(head_center_mm_lps=(0.0, 3, 4))))
        one = found.endpoints[0].endpoints["head_center_mm"]
        assert one.agreement == ()
        assert one.statistics.summaries[0].mean == 5

    def test_tests_compare_absolute_errors(self):
        # Signed errors of A cancel out, its absolute errors are larger for every patient.
        one = _angles({"A": [3, -3, 4, -4, 5, -5], "B": [1, 1, 2, 2, 1, 2]}).endpoints[NSA]
        (pair,) = one.statistics.pairs
        assert (pair.wins, pair.losses, pair.effect) == (0, 6, -1)
        assert pair.p == pytest.approx(2 / 2**6)
        assert [rank.mean_rank for rank in one.statistics.ranking.ranks] == [2, 1]

    def test_main_endpoints_come_first_and_are_tested(self):
        values = {"offset_mm": 40.0, "volume_ml": 500.0}
        (found,) = measured_data(
            *((method, case, femur(**values), femur(**values)) for method in "AB" for case in ("L0", "L1"))
        ).endpoints
        assert [*found.endpoints] == [*(name for name in MAIN if name in ENDPOINTS), "offset_mm"]
        assert [*found.main] == [*MAIN]
        pairs = {name: bool(one.statistics.pairs) for name, one in found.endpoints.items()}
        assert (pairs["volume_ml"], pairs["offset_mm"]) == (True, False)

    def test_a_main_endpoint_that_no_method_reaches_is_reported(self):
        one = _angles({"A": [None, None], "B": [None, None]}).endpoints[NSA]
        assert [(each.femurs, each.measured, each.failed) for each in one.counts] == [(2, 0, 2)] * 2
        assert (one.agreement, one.complete) == ((), ())


class TestFailures:
    def test_a_method_that_fails_does_not_win(self):
        errors = {"A": [0.1, 0.1, 0.1, 0.1, 0.1, None], "B": [0.5, 0.5, 0.5, 0.5, 0.5, 9.0]}
        found = _angles(errors)
        one = found.endpoints[NSA]
        failing, complete = one.counts
        assert (failing.femurs, failing.measured, failing.failed) == (6, 5, 1)
        assert dict(failing.without_prediction) == {"head-missing": 1}
        assert (complete.measured, complete.failed) == (6, 0)
        assert one.complete == ("B",)
        assert found.failed == {"A": 1, "B": 0}
        # Its femur without measurement counts as 18 degrees, twice the largest error, so B wins this patient.
        (pair,) = one.statistics.pairs
        assert (pair.n, pair.wins, pair.losses) == (6, 5, 1)
        assert [rank.mean_rank for rank in one.statistics.ranking.ranks] == pytest.approx([7 / 6, 11 / 6])
        assert "not-measurable" in {caution.code for caution in one.statistics.cautions}

    def test_failing_everywhere_is_worst_everywhere(self):
        one = _angles({"A": [None, None], "B": [40.0, 50.0]}).endpoints[NSA]
        assert [rank.mean_rank for rank in one.statistics.ranking.ranks] == [2, 1]
        assert [each.entry for each in one.agreement] == ["B"]

    def test_references_that_cannot_be_measured_count_for_nobody(self):
        lacking = femur(reason="distal-end-missing")
        (found,) = measured_data(
            *(
                (method, case, reference, femur(**{NSA: 121.0}))
                for method in "AB"
                for case, reference in (("L0", femur(**{NSA: 120.0})), ("L1", lacking))
            )
        ).endpoints
        one = found.endpoints[NSA]
        for counted in one.counts:
            assert (counted.femurs, counted.measured, counted.failed) == (2, 1, 0)
            assert dict(counted.without_reference) == {"distal-end-missing": 1}
        assert one.statistics.pairs[0].n == 1
        assert "not-measurable" not in {caution.code for caution in one.statistics.cautions}


class TestCases:
    def _analyse(self, *measured):
        """Analyse rows of method, set, fold, case, patient, femurs of the reference, and femurs of the prediction."""
        labels = [row[:5] for row in measured]
        table = error_table((row[:5], row[5], row[6]) for row in measured)
        scores = scores_of(*((*label[:4], 0.9) for label in labels))
        scores["patient"] = scores["case"].map({label[3]: label[4] for label in labels})
        groups = [one.group for one in analyse_groups(group_scores(with_errors(scores, table)))]
        (found,) = analyse_endpoints(groups, table)
        return found.endpoints[NSA]

    def test_both_legs_of_a_patient_are_one_patient(self):
        def legs(left, right):
            sides = (("left", 90.0, left), ("right", -90.0, right))
            return tuple(femur(side, (x, 0, 0), **{NSA: 120.0 + error}) for side, x, error in sides)

        one = self._analyse(
            *(("A", "test", "none", f"B{n}", f"p{n}", legs(0, 0), legs(2, -4)) for n in range(3)),
            *(("B", "test", "none", f"B{n}", f"p{n}", legs(0, 0), legs(1, -1)) for n in range(3)),
        )
        assert [(each.femurs, each.measured) for each in one.counts] == [(6, 6), (6, 6)]
        assert one.agreement[0].cases[:2] == ("B0, left", "B0, right")
        assert one.statistics.summaries[0].patients == 3
        # Errors of +2 and -4 do not cancel out: 3 degrees a patient against 1.
        (pair,) = one.statistics.pairs
        assert (pair.n, pair.losses, pair.median_difference) == (3, 3, pytest.approx(2))

    def test_folds_that_predict_a_case_count_once(self):
        reference = (femur(**{NSA: 120.0}),)
        one = self._analyse(
            ("A", "test", "0", "L0", "p0", reference, (femur(**{NSA: 121.0}),)),
            ("A", "test", "1", "L0", "p0", reference, (femur(**{NSA: 117.0}),)),
            ("A", "test", "0", "L1", "p1", reference, (femur(**{NSA: 122.0}),)),
            ("A", "test", "1", "L1", "p1", reference, (femur(reason="head-missing"),)),
        )
        # Absolute errors 1 and 3 of L0; L1 was not measured in both folds.
        assert (one.counts[0].femurs, one.counts[0].measured) == (2, 1)
        assert dict(one.counts[0].without_prediction) == {"head-missing": 1}
        assert (one.statistics.summaries[0].n, one.statistics.summaries[0].mean) == (1, 2)
        assert one.agreement[0].differences == (-1,)
