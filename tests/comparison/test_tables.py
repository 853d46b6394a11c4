"""Lines, means, deviations and marks, on scores written by hand."""

import pandas as pd
import pytest

from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.naming import method_names
from nnunet_femur.comparison.predictions import folds_in_words
from nnunet_femur.comparison.scoring import COLUMNS
from nnunet_femur.comparison.tables import tabulate

KEYS = (
    [("volume", "all", metric) for metric in ("dice", "iou", "vs")]
    + [("slices", plane, metric) for plane in ("axial", "coronal", "sagittal") for metric in ("dice", "iou", "vs")]
    + [("slices", "axial", "slices")]
    + [
        (*place, kind)
        for place in (("volume", "all"), ("slices", "axial"))
        for kind in ("both_empty", "truth_empty", "prediction_empty")
    ]
)


def _scores(*cases: tuple[str, str, str, str, float]) -> pd.DataFrame:
    """Every score of a case (method, set, fold, case, value) has the same value."""
    rows = [
        (*case[:4], case[3], protocol, plane, "whole", metric, case[4], "1")
        for case in cases
        for protocol, plane, metric in KEYS
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _table(*cases, seconds=None):
    return _tables(*cases, seconds=seconds)[0]


def _tables(*cases, seconds=None):
    (group,) = group_scores(_scores(*cases))
    return tabulate(group, seconds or {})


class TestCells:
    def test_mean_and_sample_deviation_over_cases(self):
        (row,) = _table(("A__P__c", "test", "0", "a", 0.8), ("A__P__c", "test", "0", "b", 0.9)).rows
        assert row.cases == 2
        assert {str(cell) for cell in row.cells} == {"0.850 ± 0.071"}

    def test_one_case_has_no_deviation(self):
        (row,) = _table(("A__P__c", "test", "0", "a", 0.8)).rows
        assert str(row.cells[0]) == "0.800 ± –"

    def test_the_best_is_marked(self):
        table = _table(("A__P__c", "test", "0", "a", 0.8), ("B__P__c", "test", "0", "a", 0.9))
        assert [[cell.best for cell in row.cells] for row in table.rows] == [[False] * 6, [True] * 6]

    def test_the_best_volume_similarity_is_nearest_to_one(self):
        table = _table(("A__P__c", "test", "0", "a", 1.2), ("B__P__c", "test", "0", "a", 0.9))
        assert [row.cells[2].best for row in table.rows] == [False, True]

    def test_what_prints_alike_is_equal(self):
        table = _table(("A__P__c", "test", "0", "a", 0.9001), ("B__P__c", "test", "0", "a", 0.9004))
        assert all(cell.best for row in table.rows for cell in row.cells)

    def test_nothing_is_best_alone_or_on_other_cases(self):
        assert not _table(("A__P__c", "test", "0", "a", 0.8)).rows[0].cells[0].best
        table = _table(("A__P__c", "test", "0", "a", 0.8), ("B__P__c", "test", "0", "b", 0.9))
        assert not any(cell.best for row in table.rows for cell in row.cells)
        assert "different cases" in table.note

    def test_minutes_are_the_mean_over_folds(self):
        cases = (("A__P__c", "cv", "0", "a", 0.8), ("A__P__c", "cv", "1", "b", 0.8), ("B__P__c", "cv", "0", "a", 0.8))
        table = _table(*cases, seconds={("A__P__c", "0"): 60, ("A__P__c", "1"): 180})
        assert [row.minutes for row in table.rows] == [2, None]
        assert table.timed
        assert not _table(*cases).timed

    def test_slices_have_every_metric_in_every_plane(self):
        table = _tables(("A__P__c", "test", "0", "a", 0.8), ("A__P__c", "test", "0", "b", 0.9))[1]
        assert table.title == "Test set, slices"
        assert table.headings == [("axial slices", 3), ("coronal slices", 3), ("sagittal slices", 3)]
        assert [column.heading for column in table.columns] == ["Dice", "IoU", "VS"] * 3
        assert {str(cell) for cell in table.rows[0].cells} == {"0.850 ± 0.071"}
        assert not table.timed

    def test_substitutions_are_counted(self):
        table = _table(("A__P__c", "test", "0", "a", 1), ("A__P__c", "test", "0", "b", 1))
        assert "6 of 2 volumes, 6 of 2 slices" in table.note


class TestLines:
    def test_folds_of_cross_validation_are_one_line(self):
        (row,) = _table(*(("A__P__c", "cv", str(fold), f"case{fold}", 0.8) for fold in range(5))).rows
        assert (row.cases, row.detail) == (5, "folds 0–4")

    def test_a_case_validated_twice_counts_once(self):
        (row,) = _table(("A__P__c", "cv", "0", "a", 0.6), ("A__P__c", "cv", "1", "a", 0.8)).rows
        assert row.cases == 1
        assert row.cells[0].mean == pytest.approx(0.7)

    def test_models_that_were_tested_are_lines_of_their_own(self):
        table = _table(*(("A__P__c", "test", fold, "a", 0.8) for fold in ("0", "1", "ensemble")))
        assert [row.label for row in table.rows] == ["A · P · c, fold 0", "A · P · c, fold 1", "A · P · c, ensemble"]

    def test_a_single_model_needs_no_detail(self):
        assert _table(("A__P__c", "test", "0", "a", 0.8)).rows[0].label == "A · P · c"

    def test_sets_are_groups_in_a_fixed_order(self):
        scores = _scores(*(("A__P__c", kind, "0", "a", 0.8) for kind in ("cv", "fixed", "test")))
        assert [group.title for group in group_scores(scores)] == ["Test set", "Cross-validation", "Fixed split"]

    def test_datasets_are_groups(self):
        scores = _scores(("Dataset001_A/A__P__c", "test", "0", "a", 1), ("Dataset002_B/A__P__c", "test", "0", "a", 1))
        groups = group_scores(scores)
        assert [group.title for group in groups] == ["Dataset001_A · Test set", "Dataset002_B · Test set"]
        assert [group.lines[0].label for group in groups] == ["A · P · c"] * 2


class TestNames:
    def test_short(self):
        assert method_names(
            [
                "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres",
                "nnUNetTrainer__MyPlans__2d",
                "Dataset001_Femur/TotalSegmentator__total__1.5mm",
            ]
        ) == {
            "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres": "FemurUnetResNet34 · 3d_fullres",
            "nnUNetTrainer__MyPlans__2d": "nnUNet · MyPlans · 2d",
            "Dataset001_Femur/TotalSegmentator__total__1.5mm": "TotalSegmentator · total · 1.5mm",
        }

    def test_methods_that_would_share_a_name_keep_their_own(self):
        methods = ["ATrainer__nnUNetPlans__2d", "A__nnUNetPlans__2d"]
        assert list(method_names(methods).values()) == methods

    @pytest.mark.parametrize(
        ("numbers", "words"), [([0], "fold 0"), ([0, 1, 2], "folds 0–2"), ([0, 2], "folds 0, 2"), ([1, 2], "folds 1–2")]
    )
    def test_folds(self, numbers, words):
        assert folds_in_words(numbers) == words
