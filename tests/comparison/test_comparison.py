"""Comparisons without figures: scores, completeness, the cache of scores, and refused input."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.comparison import compare
from nnunet_femur.comparison.grouping import Measure
from tests.refusing import names, refused

OTHER = "OtherTrainer__nnUNetPlans__3d_fullres"
DICE = Measure("volume", "all", "whole", "dice")
SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"
BASELINE = "TotalSegmentator__total__1.5mm"


def _dice(scores: pd.DataFrame, **where: str) -> pd.Series:
    rows = scores[(scores["protocol"] == "volume") & (scores["metric"] == "dice")]
    for column, value in ({"region": "whole"} | where).items():
        rows = rows[rows[column] == value]
    return rows.set_index("case")["value"]


pytestmark = pytest.mark.usefixtures("undrawn")


class TestScores:
    def test_scores_csv(self, tree):
        tree.test(SCRATCH, shift=1)
        outcome = compare(tree.results)
        written = pd.read_csv(outcome.report.parent / "scores.csv", dtype={"unit": str})
        assert ",".join(written.columns) == "method,set,fold,case,patient,protocol,plane,region,metric,value,unit"
        pd.testing.assert_frame_equal(written, outcome.scores, check_dtype=False)
        assert _dice(written, case="L6", patient="patient6", set="test", fold="none", region="whole").item() == 0.75
        ml = written[(written["case"] == "L6") & (written["metric"] == "truth_volume") & (written["region"] == "whole")]
        assert ml["value"].item() == pytest.approx(64 * 0.02)
        assert ml["unit"].item() == "ml"

    def test_slices_count_the_missed_and_the_false(self, tree):
        tree.test(SCRATCH, shift=1)
        scores = compare(tree.results).scores
        chosen = (scores["case"] == "L6") & (scores["protocol"] == "slices") & (scores["region"] == "whole")
        axial = scores[chosen & (scores["plane"] == "axial")].set_index("metric")["value"]
        assert axial["slices"] == 5
        assert axial["dice"] == pytest.approx(3 / 5)
        assert axial["vs"] == pytest.approx((0 + 3 * 1 + 2) / 5)

    def test_fold_5_counts_apart_from_cross_validation(self, tree):
        for fold in range(5):
            tree.validate(SCRATCH, fold)
        tree.validate(SCRATCH, 5, shift=1)
        crossed, fixed = compare(tree.results).statistics
        assert (crossed.group.title, fixed.group.title) == ("Cross-validation", "Fixed split")
        (summary,) = crossed.measures[DICE].summaries
        assert (summary.n, summary.folds, summary.mean, summary.fold_sd) == (5, 5, 1, 0)
        (summary,) = fixed.measures[DICE].summaries
        assert (summary.n, summary.mean) == (2, 0.75)

    def test_folds_and_ensemble_are_not_mixed(self, tree):
        tree.test(SCRATCH, "fold_0/test", shift=1)
        tree.test(SCRATCH)
        (found,) = compare(tree.results).statistics
        means = {summary.entry: summary.mean for summary in found.measures[DICE].summaries}
        assert means == {"FemurScratch · 3d_fullres, ensemble": 1}
        assert [model.label.rpartition(", ")[2] for model in found.group.models] == ["fold 0", "ensemble"]

    def test_a_method_in_slices_is_scored_as_such_by_the_papers_protocol(self, tree):
        for method in (SCRATCH, "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"):
            tree.test(method, shift=1)
        scores = compare(tree.results).scores
        rows = scores[(scores["protocol"] == "paper") & (scores["plane"] == "axial") & (scores["case"] == "L6")]
        dropped = rows[(rows["metric"] == "dropped") & (rows["region"] == "whole")].set_index("method")["value"]
        assert dropped.to_dict() == {SCRATCH: 1, "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres": 0}

    def test_a_prediction_stored_in_another_order_is_perfect(self, tree):
        path = tree.test(SCRATCH) / "L6.nrrd"
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "SAR"), str(path))
        assert _dice(compare(tree.results).scores, case="L6").item() == 1

    def test_the_same_at_every_run(self, tree):
        tree.test(SCRATCH, shift=1)
        tree.test(BASELINE)
        folder = compare(tree.results).report.parent
        first = {path: path.read_bytes() for path in folder.rglob("*.*")}
        compare(tree.results)
        assert {path: path.read_bytes() for path in folder.rglob("*.*")} == first


class TestCompleteness:
    def test_complete(self, tree):
        tree.test(SCRATCH)
        outcome = compare(tree.results)
        assert outcome.complete
        assert outcome.warnings == []
        assert 'class="status"' in outcome.report.read_text()

    def test_missing_predictions_are_refused_or_named_everywhere(self, tree, capsys):
        (tree.test(SCRATCH) / "R7.nrrd").unlink()
        with refused("no-predictions", SCRATCH, "1 of 2", "R7", "--intersect"):
            compare(tree.results)
        assert not (tree.results / "comparison").exists()
        outcome = compare(tree.results, intersect=True)
        outcome.print()
        assert not outcome.complete
        (warning,) = outcome.warnings
        assert names(warning, SCRATCH, "1 of 2", "R7")
        for text in (
            outcome.report.read_text(),
            outcome.report.with_suffix(".md").read_text(),
            capsys.readouterr().out,
        ):
            assert warning in text
        first_section = outcome.report.read_text().partition("<h2")[0]
        assert "Incomplete" in first_section
        assert warning in first_section

    def test_methods_on_different_cases_are_refused_with_the_list(self, tree):
        tree.validate(SCRATCH, 0)
        tree.validate(SCRATCH, 1)
        tree.validate(OTHER, 1, shift=1)
        with refused("no-predictions", OTHER, "L1"):
            compare(tree.results)
        outcome = compare(tree.results, intersect=True)
        assert _dice(outcome.scores).index.tolist() == ["L2", "L2"]
        assert any(names(warning, ": L1") for warning in outcome.warnings)

    def test_methods_without_a_case_in_common_are_refused_even_so(self, tree):
        tree.validate(SCRATCH, 0)
        tree.validate(OTHER, 1)
        with refused("no-predictions", SCRATCH, OTHER):
            compare(tree.results, intersect=True)

    def test_extra_predictions_and_notes_do_not_make_it_incomplete(self, tree):
        tree.predict(SCRATCH, "fold_0/test", ("L6", "R7", "stranger"))
        outcome = compare(tree.results)
        assert outcome.complete
        assert len(outcome.warnings) == 1
        assert outcome.notes

    def test_printed_table(self, tree, capsys):
        tree.test(SCRATCH, shift=1)
        compare(tree.results).print()
        printed = capsys.readouterr().out
        assert "FemurScratch · 3d_fullres" in printed
        assert "0.750 ± 0.000" in printed


class TestResult:
    """The text and the table of a result for a notebook, and paths as text."""

    def test_paths_as_text(self, tree):
        mine = tree.test("elsewhere")
        outcome = compare(
            None, reference=str(tree.raw / "labelsTs"), methods={"mine": str(mine)}, output=str(tree.base / "out")
        )
        assert outcome.report == tree.base / "out" / "report.html"

    def test_summary(self, tree):
        tree.test(SCRATCH, shift=1)
        tree.test(OTHER)
        summary = compare(tree.results).summary()
        assert summary.index.names == ["set", "method"]
        dice = {method: row["Dice"] for (_, method), row in summary.iterrows()}
        assert dice == {"FemurScratch · 3d_fullres": 0.75, "Other · 3d_fullres": 1.0}
        assert summary["n"].tolist() == [2, 2]

    def test_text_and_table(self, tree):
        tree.predict(SCRATCH, "fold_0/test", ("L6", "R7", "<stranger>"))
        outcome = compare(tree.results)
        assert "1 method, 2 cases" in repr(outcome)
        assert str(outcome.report) in repr(outcome)
        table = outcome._repr_html_()
        assert "<table" in table
        assert "&lt;stranger&gt;" in table


class TestNamedMethods:
    def test_a_folder_of_test_predictions(self, tree):
        tree.test(SCRATCH)
        mine = tree.test("elsewhere", shift=1)
        outcome = compare(tree.results, methods={"mine": mine})
        (found,) = outcome.statistics
        assert {one.entry: one.mean for one in found.measures[DICE].summaries} == {
            "FemurScratch · 3d_fullres": 1,
            "mine": 0.75,
        }

    def test_a_folder_of_validation_predictions_and_one_in_the_baselines_layout(self, tree):
        for fold in range(5):
            tree.validate(SCRATCH, fold)
        plain = tree.predict("elsewhere", "any", ("L1", "L2", "L3", "L4", "R5"), shift=1)
        parts = tree.predict("parts", "validation", ("L1", "L2", "L3", "L4", "R5")).parent
        tree.predict("parts", "test", ("L6", "R7"))
        scores = compare(tree.results, methods={"plain": plain, "parts": parts}).scores
        rows = scores[scores["metric"] == "slices"].drop_duplicates(["method", "set", "case"])
        counts = rows.groupby(["method", "set"]).size().to_dict()
        assert counts == {(SCRATCH, "cv"): 5, ("plain", "cv"): 5, ("parts", "cv"): 5, ("parts", "test"): 2}

    def test_without_results_and_with_another_reference(self, tree, monkeypatch):
        monkeypatch.chdir(tree.base)
        reference = tree.raw / "labelsTs"
        outcome = compare(None, reference=reference, methods={"a": tree.test("x"), "b": tree.test("y", shift=1)})
        assert (tree.base / "comparison" / "report.html").is_file()
        assert _dice(outcome.scores, method="b").tolist() == [0.75, 0.75]

    def test_reference_takes_the_place_of_the_datasets(self, tree):
        tree.test(SCRATCH)
        reference = tree.test("reference", shift=1)
        assert _dice(compare(tree.results, reference=reference).scores).tolist() == [0.75, 0.75]

    @pytest.mark.parametrize("name", ["", "a/b", SCRATCH])
    def test_bad_names(self, tree, name):
        tree.test(SCRATCH)
        with refused("invalid-option", "--method"):
            compare(tree.results, methods={name: tree.raw / "labelsTs"})

    def test_bad_folders(self, tree):
        tree.test(SCRATCH)
        (tree.base / "empty").mkdir()
        with refused("not-found", tree.base / "nowhere"):
            compare(tree.results, methods={"a": tree.base / "nowhere"})
        with refused("no-predictions", tree.base / "empty"):
            compare(tree.results, methods={"a": tree.base / "empty"})
        with refused("no-reference", tree.base / "empty"):
            compare(tree.results, reference=tree.base / "empty")
        with refused("not-found", tree.base / "nowhere"):
            compare(tree.results, reference=tree.base / "nowhere")
        with refused("no-reference", "--reference-masks"):
            compare(None, methods={"a": tree.raw / "labelsTs"}, output=tree.base / "out")


class TestScoredAgain:
    """Only what changed is scored again."""

    @pytest.fixture
    def first(self, tree):
        tree.test(SCRATCH, shift=1)
        tree.test(OTHER)
        outcome = compare(tree.results)
        assert outcome.rescored == 4
        return outcome

    def test_nothing_if_nothing_has_changed(self, tree, first):
        again = compare(tree.results)
        assert again.rescored == 0
        pd.testing.assert_frame_equal(again.scores, first.scores)

    def test_a_changed_prediction(self, tree, first):
        tree.predict(SCRATCH, "test", ("L6",), shift=2)
        again = compare(tree.results)
        assert again.rescored == 1
        assert _dice(again.scores, method=SCRATCH).tolist() == [0.5, 0.75]

    def test_a_changed_reference(self, tree, first):
        (tree.raw / "labelsTs" / "L6.nrrd").write_bytes((tree.results / first_path(tree)).read_bytes())
        assert compare(tree.results).rescored == 2

    def test_a_copy_of_the_same_content_is_not_scored_again(self, tree, first):
        path = tree.method(SCRATCH) / "test" / "L6.nrrd"
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        assert compare(tree.results).rescored == 0

    def test_other_options(self, tree, first):
        assert compare(tree.results, policy="formula").rescored == 4

    @pytest.mark.parametrize(
        "content", ["", "{", "{}\n[]\n", '{"files": {}, "labels": []}\n{"key": "a", "labels": 3}\n']
    )
    def test_a_broken_cache_is_no_cache(self, tree, first, content):
        (first.report.parent / "scores-cache.jsonl").write_text(content)
        again = compare(tree.results)
        assert again.rescored == 4
        pd.testing.assert_frame_equal(again.scores, first.scores)

    def test_slices_and_profiles_come_back_alike(self, tree, first):
        from nnunet_femur.comparison.discovery import discover
        from nnunet_femur.comparison.score_cache import ScoreCache
        from nnunet_femur.comparison.scoring import score_predictions

        predictions = discover(tree.results).predictions
        fresh, cached = (
            score_predictions(predictions, cache=one) for one in (None, ScoreCache.read(first.report.parent))
        )
        assert (fresh.rescored, cached.rescored) == (4, 0)
        assert fresh.slices.keys() == cached.slices.keys()
        for key, slices in fresh.slices.items():
            other = cached.slices[key]
            assert slices.index.tolist() == other.index.tolist()
            assert slices.reference.tolist() == other.reference.tolist()
            assert {name: of.tolist() for name, of in slices.values.items()} == {
                name: of.tolist() for name, of in other.values.items()
            }
            assert fresh.profiles[key].dice[np.isfinite(fresh.profiles[key].dice)].tolist() == (
                cached.profiles[key].dice[np.isfinite(cached.profiles[key].dice)].tolist()
            )

    def test_a_header_with_its_voxels_elsewhere_is_always_scored(self, tree):
        folder = tree.test(SCRATCH)
        for path in folder.iterdir():
            image = sitk.ReadImage(str(path))
            path.unlink()
            sitk.WriteImage(image, str(path.with_suffix(".mhd")))
        assert [compare(tree.results).rescored for _ in range(2)] == [2, 2]


def first_path(tree) -> str:
    return f"{tree.dataset}/{SCRATCH}/test/L6.nrrd"


class TestUnscored:
    """A mask that cannot be scored is named, and costs neither the other cases nor the other methods."""

    @pytest.fixture
    def both(self, tree):
        """Two methods, of which the second has a Dice of 0.75 everywhere."""
        tree.test(SCRATCH)
        tree.test(OTHER, shift=1)
        return tree.method(SCRATCH) / "test" / "L6.nrrd"

    def _named(self, tree, path, *, methods=(SCRATCH,)) -> str:
        """The reason; checks that everything else was scored, and that the report lists what was not."""
        outcome = compare(tree.results)
        assert [(one.method, one.set, one.case) for one in outcome.unscored] == [
            (method, "test", "L6") for method in methods
        ]
        kept = {method: ["R7"] if method in methods else ["L6", "R7"] for method in (SCRATCH, OTHER)}
        for method, cases in kept.items():
            assert _dice(outcome.scores, method=method).index.tolist() == cases
        assert not outcome.complete
        (reason,) = {one.reason for one in outcome.unscored}
        assert reason.startswith(str(path))
        for text in (outcome.report, outcome.report.with_suffix(".md"), outcome.report.parent / "tables/unscored.csv"):
            assert path.name in text.read_text()
        return reason

    def test_another_grid(self, tree, both):
        image = sitk.ReadImage(str(both))
        image.SetOrigin((3.0, 0.0, 0.0))
        sitk.WriteImage(image, str(both))
        assert str(tree.raw / "labelsTs" / "L6.nrrd") in self._named(tree, both)

    @pytest.mark.parametrize("value", [-2, 0.5])
    def test_other_labels(self, tree, both, value):
        sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(both)), sitk.sitkFloat32) * value, str(both))
        self._named(tree, both)

    @pytest.mark.parametrize("value", [-2, 0.5])
    def test_a_reference_with_other_labels_costs_its_case_in_all_methods(self, tree, both, value):
        path = tree.raw / "labelsTs" / "L6.nrrd"
        sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat32) * value, str(path))
        self._named(tree, path, methods=(SCRATCH, OTHER))

    def test_a_flipped_direction(self, tree, both):
        image = sitk.ReadImage(str(both))
        image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
        sitk.WriteImage(image, str(both))
        self._named(tree, both)

    def test_another_size_and_another_spacing(self, tree, both):
        image = sitk.ReadImage(str(both))
        sitk.WriteImage(image[:, :, 1:], str(both))
        self._named(tree, both)
        image.SetSpacing((2.0, 2.0, 4.0))
        sitk.WriteImage(image, str(both))
        self._named(tree, both)

    def test_several_channels_and_four_dimensions(self, tree, both):
        image = sitk.ReadImage(str(both))
        sitk.WriteImage(sitk.Compose(image, image), str(both))
        self._named(tree, both)
        sitk.WriteImage(sitk.JoinSeries(image, image), str(both))
        self._named(tree, both)

    def test_a_file_that_is_no_volume_or_empty_or_cut_off(self, tree, both):
        whole = both.read_bytes()
        for content in (b"no volume", b"", whole[:-200]):
            both.write_bytes(content)
            self._named(tree, both)

    def test_a_file_that_vanishes_or_is_a_folder(self, tree, both):
        both.unlink()
        both.mkdir()
        self._named(tree, both)
        both.rmdir()
        both.symlink_to(tree.base / "nowhere.nrrd")
        self._named(tree, both)

    @pytest.mark.parametrize("error", [ZeroDivisionError("Rossi^Mario"), MemoryError(), OSError(5, "Input error")])
    def test_whatever_is_raised(self, tree, both, error, monkeypatch):
        from nnunet_femur.evaluation import mask_input

        real = mask_input.read_femur

        def read_femur(path, **options):
            if path == both:
                raise error
            return real(path, **options)

        monkeypatch.setattr(mask_input, "read_femur", read_femur)
        assert "Rossi" not in self._named(tree, both)

    def test_an_interrupt_ends_it(self, tree, both, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("nnunet_femur.evaluation.mask_input.read_femur", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare(tree.results)

    def test_it_is_tried_and_named_again_and_then_scored(self, tree, both):
        whole = both.read_bytes()
        both.write_bytes(b"")
        self._named(tree, both)
        again = compare(tree.results)
        assert (again.rescored, len(again.unscored)) == (1, 1)
        both.write_bytes(whole)
        healed = compare(tree.results)
        assert (healed.unscored, healed.complete) == ((), True)
        assert not (healed.report.parent / "tables" / "unscored.csv").exists()

    def test_with_intersect_the_other_methods_leave_the_case_out_too(self, tree, both):
        both.write_bytes(b"")
        outcome = compare(tree.results, intersect=True)
        assert _dice(outcome.scores).index.tolist() == ["R7", "R7"]
        assert any(OTHER in warning and "L6" in warning for warning in outcome.warnings)
        (found,) = outcome.statistics
        assert found.group.same_cases

    def test_without_it_tests_take_the_cases_in_common(self, tree, both):
        both.write_bytes(b"")
        (found,) = compare(tree.results).statistics
        assert [pair.n for pair in found.measures[DICE].pairs] == [1]
        assert [summary.n for summary in found.measures[DICE].summaries] == [1, 2]

    def test_a_case_that_the_fold_was_trained_on(self, tree):
        folder = tree.predict(SCRATCH, "fold_0/validation", ("L1", "L2"))
        outcome = compare(tree.results)
        assert [(one.fold, one.case) for one in outcome.unscored] == [("0", "L2")]
        assert str(folder / "L2.nrrd") in outcome.unscored[0].reason
        assert _dice(outcome.scores).index.tolist() == ["L1"]
        assert not outcome.complete

    def test_a_training_case_in_the_test_set(self, tree):
        tree.predict(SCRATCH, "fold_1/test", ("L6", "R7", "L1"))
        outcome = compare(tree.results)
        assert [one.case for one in outcome.unscored] == ["L1"]
        assert _dice(outcome.scores).index.tolist() == ["L6", "R7"]

    def test_an_ensemble_of_folds_that_were_trained_on_what_it_predicts(self, tree):
        for method in (SCRATCH, OTHER):
            tree.validate(method, 0)
            tree.validate(method, 1)
        tree.predict(SCRATCH, "validation", ("L1", "L2", "L3", "L4", "R5"))
        outcome = compare(tree.results)
        assert {one.fold for one in outcome.unscored} == {"ensemble"}
        assert len(outcome.unscored) == 5
        assert _dice(outcome.scores).index.tolist() == ["L1", "L2"] * 2

    def test_a_folds_missing_score_is_no_reason_to_lose_the_case(self, tree):
        for fold in (0, 1):
            tree.test(SCRATCH, f"fold_{fold}/test", shift=fold)
        (tree.method(SCRATCH) / "fold_1" / "test" / "L6.nrrd").write_bytes(b"")
        (found,) = compare(tree.results).statistics
        (entry,) = found.group.entries
        assert entry.column(DICE).to_dict() == {"L6": 1, "R7": (1 + 0.75) / 2}
        assert "uneven-folds" in {caution.code for caution in found.measures[DICE].cautions}

    def test_nothing_that_can_be_scored(self, tree):
        for path in tree.test(SCRATCH).iterdir():
            path.write_bytes(b"")
        with refused("unscorable", "L6.nrrd", "R7.nrrd"):
            compare(tree.results)
        assert not (tree.results / "comparison").exists()

    @pytest.mark.parametrize("options", [(), ("--intersect",)])
    def test_the_command_ends_with_status_1_and_names_it(self, tree, both, options):
        both.write_bytes(b"")
        result = CliRunner().invoke(app, ["compare", str(tree.results), *options])
        assert result.exit_code == 1
        assert str(both) in result.output
        assert (tree.results / "comparison" / "report.html").is_file()

    def test_the_command_takes_in_slices(self, tree):
        mine = tree.test("elsewhere", shift=1)
        reference = tree.raw / "labelsTs"
        arguments = [
            "--reference-masks",
            reference,
            "--method",
            f"a={mine}",
            "--method",
            f"b={mine}",
            "-o",
            tree.base / "out",
        ]
        result = CliRunner().invoke(app, ["compare", *map(str, arguments), "--in-slices", "b"])
        assert result.exit_code == 0, result.output
        scores = pd.read_csv(tree.base / "out" / "scores.csv")
        rows = scores[(scores["protocol"] == "paper") & (scores["plane"] == "axial") & (scores["case"] == "L6")]
        dropped = rows[(rows["metric"] == "dropped") & (rows["region"] == "whole")].set_index("method")["value"]
        assert dropped.to_dict() == {"a": 1, "b": 0}


class TestMargins:
    def test_the_command_compares_with_a_named_method(self, tree):
        tree.test(SCRATCH, shift=1)
        tree.test(BASELINE)
        options = ("--against", "totalseg", "--margin", "0.01", "--margin", "hd95=1")
        result = CliRunner().invoke(app, ["compare", str(tree.results), *options])
        assert result.exit_code == 0, result.output
        table = pd.read_csv(tree.results / "comparison" / "tables" / "margins_test.csv")
        assert list(table["Score"]) == ["3D Dice", "3D HD95 (mm)"]
        assert names(result.output, "0.01", "TotalSegmentator")

    def test_a_margin_that_nothing_was_compared_with(self, tree):
        tree.test(SCRATCH, shift=1)
        tree.test(BASELINE)
        margin = {"dice": 0.01, "mldfa_deg": 1.0}
        outcome = compare(tree.results, against="TotalSegmentator", margin=margin, measurements=False)
        (warning,) = (one for one in outcome.warnings if "margin" in one)
        assert names(warning, "mldfa_deg", "--measurements")

    def test_best_method_first(self, tree):
        tree.test(SCRATCH, shift=1)
        tree.test(BASELINE)
        outcome = compare(tree.results)
        (one,) = outcome.statistics
        (claim,) = one.measures[DICE].claims
        assert (claim.first, claim.n, claim.gain) == ("TotalSegmentator · total · 1.5mm", 2, pytest.approx(0.25))
        assert names(outcome.headlines[0], claim.first)


def test_the_command_takes_covariates(tree):
    tree.test(SCRATCH, shift=1)
    table = tree.base / "more.csv"
    table.write_text("case,implant\nL6,yes\nR7,no\n")
    result = CliRunner().invoke(app, ["compare", str(tree.results), "--covariates", str(table)])
    assert result.exit_code == 0, result.output
    written = pd.read_csv(tree.results / "comparison" / "tables" / "subgroups_test_dice_implant.csv")
    assert written["implant"].tolist() == ["no", "yes"]
    assert written["cases"].tolist() == [1, 1]


class TestRefused:
    """Invalid options are refused before anything is scored or written."""

    def test_unknown_policy_and_nothing_to_compare(self, tree):
        tree.test(SCRATCH)
        with refused("invalid-option", "lenient"):
            compare(tree.results, policy="lenient")
        with refused("invalid-option", "--method"):
            compare(None)

    def test_margins(self, tree):
        tree.test(SCRATCH)
        for wrong in ({"against": SCRATCH}, {"margin": 0.01}, {"against": SCRATCH, "margin": {"dise": 0.1}}):
            with refused("invalid-option"):
                compare(tree.results, **wrong)
        with refused("invalid-option", "TotalSegmentator"):
            compare(tree.results, against="TotalSegmentator", margin=0.01)
        assert not (tree.results / "comparison").exists()

    def test_covariates_of_other_cases(self, tree):
        tree.test(SCRATCH)
        table = tree.base / "more.csv"
        table.write_text("case,implant\nX,yes\nY,no\n")
        with refused("invalid-file", table):
            compare(tree.results, covariates=table)
        assert not (tree.results / "comparison").exists()

    def test_a_report_folder_that_cannot_be_made(self, tree):
        tree.test(SCRATCH)
        occupied = tree.base / "file"
        occupied.write_text("")
        with refused("cannot-write", occupied, "--output"):
            compare(tree.results, output=occupied)


@pytest.mark.integration
def test_neither_torch_nor_nnunet_is_imported(tree):
    tree.test(SCRATCH)
    code = (
        "import sys; from pathlib import Path; from nnunet_femur.comparison import compare; "
        f"compare(Path({str(tree.results)!r})); "
        "sys.exit(any(name.partition('.')[0] in {'torch', 'nnunetv2'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
