"""The summary: rows, means, deviations and marks, on scores written by hand."""

import math
from types import SimpleNamespace

import pytest

from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.predictions import folds_text, method_names
from nnunet_femur.comparison.report.report_data import ReportData
from nnunet_femur.comparison.report.tables import tabulate
from nnunet_femur.comparison.report.tables.summary import summaries
from nnunet_femur.comparison.scoring import Scored
from tests.comparison.made import data_of, scores_of
from tests.refusing import names


def _summary(*cases, seconds=None, ends_only=()):
    data = data_of(*cases, ends_only=ends_only)
    if seconds:
        predictions = [SimpleNamespace(method=m, fold=f, seconds=s) for (m, f), s in seconds.items()]
        data = ReportData(data.scored, predictions)
    (table,) = summaries(data)
    return table


def _column(table, title):
    return next(place for place, column in enumerate(table.columns) if column.title == title)


class TestSummary:
    def test_mean_and_sample_deviation_over_cases(self):
        (row,) = _summary(("A__P__c", "test", "0", "a", 0.8), ("A__P__c", "test", "0", "b", 0.9)).rows
        assert row.cells[0].text == "2"
        assert {cell.text for cell in row.cells[1:]} == {"0.850 ± 0.071"}

    def test_one_case_has_no_deviation(self):
        (row,) = _summary(("A__P__c", "test", "0", "a", 0.8)).rows
        assert row.cells[1].text == "0.800 ± –"
        assert row.cells[1].deviation is None

    def test_the_best_is_marked(self):
        table = _summary(("A__P__c", "test", "0", "a", 0.8), ("B__P__c", "test", "0", "a", 0.9))
        assert [[cell.best for cell in row.cells[1:]] for row in table.rows] == [[False] * 6, [True] * 6]

    def test_the_best_volume_similarity_is_nearest_to_one(self):
        table = _summary(("A__P__c", "test", "0", "a", 1.2), ("B__P__c", "test", "0", "a", 0.9))
        assert [row.cells[_column(table, "3D: VS")].best for row in table.rows] == [False, True]

    def test_what_prints_alike_is_equal(self):
        table = _summary(("A__P__c", "test", "0", "a", 0.9001), ("B__P__c", "test", "0", "a", 0.9004))
        assert all(cell.best for row in table.rows for cell in row.cells[1:])

    def test_nothing_is_best_alone_or_on_other_cases(self):
        assert not _summary(("A__P__c", "test", "0", "a", 0.8)).rows[0].cells[1].best
        table = _summary(("A__P__c", "test", "0", "a", 0.8), ("B__P__c", "test", "0", "b", 0.9))
        assert not any(cell.best for row in table.rows for cell in row.cells)
        assert "different cases" in table.note

    def test_minutes_are_the_mean_over_folds(self):
        cases = (("A__P__c", "cv", "0", "a", 0.8), ("A__P__c", "cv", "1", "b", 0.8), ("B__P__c", "cv", "0", "a", 0.8))
        table = _summary(*cases, seconds={("A__P__c", "0"): 60, ("A__P__c", "1"): 180})
        assert table.columns[-1].title == "Training (min)"
        assert [row.cells[-1].text for row in table.rows] == ["2.0", "–"]
        assert _summary(*cases).columns[-1].title != "Training (min)"

    def test_substitutions_are_counted(self):
        table = _summary(("A__P__c", "test", "0", "a", 1), ("A__P__c", "test", "0", "b", 1))
        assert names(table.note, "6 of 2 volumes", "18 of 6 slices")

    def test_a_score_that_is_undefined_for_every_case_has_no_column(self):
        scores = scores_of(("A__P__c", "test", "0", "a", 0.8))
        scores.loc[scores["metric"] == "iou", "value"] = math.nan
        (table,) = summaries(ReportData(Scored(scores)))
        assert "3D: IoU" not in [column.title for column in table.columns]

    def test_methods_for_femur_ends_are_left_out_and_counted(self):
        cases = (("A__P__c", "test", "0", "a", 0.4), ("B__P__c", "test", "0", "a", 0.9))
        table = _summary(*cases, ends_only=("A__P__c",))
        assert [row.label for row in table.rows] == ["B · P · c"]
        assert names(table.note, "1 method")


class TestRows:
    def test_folds_of_cross_validation_are_one_row(self):
        (row,) = _summary(*(("A__P__c", "cv", str(fold), f"case{fold}", 0.8) for fold in range(5))).rows
        assert (row.cells[0].text, row.detail) == ("5", "folds 0–4")

    def test_a_case_validated_twice_counts_once(self):
        (row,) = _summary(("A__P__c", "cv", "0", "a", 0.6), ("A__P__c", "cv", "1", "a", 0.8)).rows
        assert row.cells[0].text == "1"
        assert row.cells[1].mean == pytest.approx(0.7)

    def test_of_a_test_set_the_ensemble_is_the_row_of_the_method(self):
        table = _summary(*(("A__P__c", "test", fold, "a", 0.8) for fold in ("0", "1", "ensemble")))
        assert [row.label for row in table.rows] == ["A · P · c, ensemble"]

    def test_without_an_ensemble_it_is_the_mean_of_the_folds(self):
        table = _summary(
            ("A__P__c", "test", "0", "a", 0.6), ("A__P__c", "test", "1", "a", 0.8), ("A__P__c", "test", "0", "b", 0.9),
            ("A__P__c", "test", "1", "b", 0.9),
        )  # fmt: skip
        (row,) = table.rows
        assert (row.label, row.cells[0].text) == ("A · P · c, mean of folds 0–1", "2")
        assert row.cells[1].text == "0.800 ± 0.141"

    def test_folds_are_in_the_tables_of_details(self):
        cases = [("A__P__c", "test", fold, "a", value) for fold, value in (("0", 0.6), ("1", 0.8), ("ensemble", 0.9))]
        tables = {table.name: table for table in tabulate(data_of(*cases, ("B__P__c", "test", "0", "a", 0.5)))}
        labels = ["A · P · c, fold 0", "A · P · c, fold 1", "A · P · c, ensemble", "B · P · c"]
        assert [row.label for row in tables["folds_test"].rows] == labels
        assert [row.cells[1].mean for row in tables["folds_test"].rows] == [0.6, 0.8, 0.9, 0.5]
        assert tables["folds_test"].place == "folded"
        assert sorted(row.label for row in tables["cases_test"].rows) == sorted(labels)
        assert all(len(table.rows) == 2 for name, table in tables.items() if name not in {"folds_test", "cases_test"})
        alone = tabulate(data_of(("B__P__c", "test", "0", "a", 0.5)))
        assert not any(table.name.startswith("folds") for table in alone)

    def test_fixed_splits_share_cases_so_each_is_a_set_of_its_own(self):
        scores = scores_of(*((m, "fixed", fold, "a", 0.8) for m in ("A__P__c", "B__P__c") for fold in ("5", "6")))
        groups = group_scores(scores)
        assert [group.title for group in groups] == ["Fixed split, fold 5", "Fixed split, fold 6"]
        assert [[entry.label for entry in group.entries] for group in groups] == [["A · P · c", "B · P · c"]] * 2
        names = [table.name for table in tabulate(ReportData(Scored(scores)))]
        assert len(set(names)) == len(names)

    def test_a_single_model_needs_no_detail(self):
        assert _summary(("A__P__c", "test", "0", "a", 0.8)).rows[0].label == "A · P · c"

    def test_sets_are_groups_in_a_fixed_order(self):
        scores = scores_of(*(("A__P__c", kind, "0", "a", 0.8) for kind in ("cv", "fixed", "test")))
        assert [group.title for group in group_scores(scores)] == ["Test set", "Cross-validation", "Fixed split"]

    def test_datasets_are_groups(self):
        scores = scores_of(("Dataset001_A/A__P__c", "test", "0", "a", 1), ("Dataset002_B/A__P__c", "test", "0", "a", 1))
        groups = group_scores(scores)
        assert [group.title for group in groups] == ["Dataset001_A · Test set", "Dataset002_B · Test set"]
        assert [group.entries[0].label for group in groups] == ["A · P · c"] * 2
        names = [table.name for table in tabulate(ReportData(Scored(scores)))]
        assert len(set(names)) == len(names)


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
        assert folds_text(numbers) == words
