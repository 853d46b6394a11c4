"""Femurs of predictions and references, and the table of their errors."""

import math

import pandas as pd
import pytest

from nnunet_femur.comparison.clinical.measurement_errors import COLUMNS, error_table, pair_femurs, with_errors
from nnunet_femur.comparison.scoring import COLUMNS as SCORES
from tests.comparison.made import femur, scores_of

LABEL = ("A", "test", "none", "L1", "p1")


def _row(table: pd.DataFrame, name: str, side: str = "whole") -> pd.Series:
    return table[(table["measurement"] == name) & (table["side"] == side)].iloc[0]


class TestPairs:
    LEFT, RIGHT = femur("left", (90.0, 0, 0)), femur("right", (-90.0, 0, 0))

    def test_a_single_femur_is_compared_whatever_its_side(self):
        (pair,) = pair_femurs((self.LEFT,), (femur("right", (85.0, 0, 0)),))
        assert (pair.side, pair.prediction.side) == ("whole", "right")

    def test_both_femurs_in_any_order(self):
        pairs = pair_femurs((self.LEFT, self.RIGHT), (self.RIGHT, self.LEFT))
        assert [(pair.side, pair.prediction) for pair in pairs] == [("left", self.LEFT), ("right", self.RIGHT)]

    def test_sides_from_positions_where_shapes_do_not_tell(self):
        pairs = pair_femurs((femur("unknown", (-90.0, 0, 0)), femur("unknown", (90.0, 0, 0))), (self.LEFT,))
        assert [(pair.side, pair.prediction) for pair in pairs] == [("right", None), ("left", self.LEFT)]

    def test_a_second_predicted_bone_does_not_replace_the_femur(self):
        near, far = femur("left", (88.0, 0, 0)), femur("unknown", (60.0, 0, 0))
        (pair,) = pair_femurs((self.LEFT,), (far, near))
        assert pair.prediction is near

    def test_an_empty_prediction_belongs_to_every_femur(self):
        empty = femur("unknown", None, "empty-mask")
        pairs = pair_femurs((self.LEFT, self.RIGHT), (empty,))
        assert [pair.prediction for pair in pairs] == [empty, empty]


class TestTable:
    def test_values_errors_and_reasons(self):
        reference = femur(neck_shaft_angle_deg=120.0, mldfa_deg=86.0, head_center_mm_lps=(0.0, 0.0, 0.0))
        prediction = femur(reason="distal-end-missing", neck_shaft_angle_deg=122.5, head_center_mm_lps=(0.0, 3.0, 4.0))
        table = error_table([(LABEL, (reference,), (prediction,))])
        assert tuple(table.columns) == COLUMNS
        angle = _row(table, "neck_shaft_angle_deg")
        assert tuple(angle[["method", "set", "fold", "case", "patient", "unit"]]) == (*LABEL, "deg")
        assert (angle["reference"], angle["prediction"], angle["error"]) == (120.0, 122.5, 2.5)
        assert (angle["reference_missing"], angle["prediction_missing"]) == ("", "")
        head = _row(table, "head_center_mm")
        assert head["error"] == 5.0
        assert math.isnan(head["reference"])
        lacking = _row(table, "mldfa_deg")
        assert (lacking["reference"], lacking["reference_missing"]) == (86.0, "")
        assert lacking["prediction_missing"] == "distal-end-missing"
        assert math.isnan(lacking["error"])
        assert _row(table, "volume_ml")["reference_missing"] == "head-missing"

    def test_a_femur_that_is_not_predicted(self):
        both = (femur("left", (90.0, 0, 0), volume_ml=500.0), femur("right", (-90.0, 0, 0), volume_ml=510.0))
        table = error_table([(LABEL, both, (femur("left", (91.0, 0, 0), volume_ml=495.0),))])
        assert _row(table, "volume_ml", "left")["error"] == -5.0
        assert _row(table, "volume_ml", "right")["prediction_missing"] == "femur-missing"

    @pytest.mark.parametrize(
        ("reasons", "is_there"),
        [(("no-ct",), False), (("no-ct", "measuring-failed"), False), (("no-ct", "ct-grid-differs"), True)],
    )
    def test_the_ct_value_is_left_out_only_if_no_case_has_a_ct(self, reasons, is_there):
        table = error_table((LABEL, (femur(reason=reason),), (femur(reason=reason),)) for reason in reasons)
        assert ("hu_mean" in set(table["measurement"])) == is_there

    def test_scores_get_a_row_for_each_error(self):
        scores = scores_of(("A", "test", "none", "L1", 0.9))
        table = error_table([(LABEL, (femur(volume_ml=500.0),), (femur(volume_ml=510.0),))])
        together = with_errors(scores, table)
        assert tuple(together.columns) == SCORES
        assert len(together) == len(scores) + len(table)
        pd.testing.assert_frame_equal(together.iloc[: len(scores)], scores, check_dtype=False)
        row = together[together["metric"] == "volume_ml"].iloc[0]
        assert row.to_dict() == {
            **dict(zip(("method", "set", "fold", "case", "patient"), LABEL, strict=True)),
            "protocol": "measurements",
            "plane": "all",
            "region": "whole",
            "metric": "volume_ml",
            "value": 10.0,
            "unit": "ml",
        }
