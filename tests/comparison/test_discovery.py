"""Predictions that are found, missing ones that are named, and folders that are refused."""

import json

import pytest

from nnunet_femur.comparison.discovery import discover
from tests.refusing import names, refused

SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"
BASELINE = "TotalSegmentator__total__1.5mm"


def _summary(found):
    return [(one.method, one.set, one.fold, sorted(one.files)) for one in found.predictions]


class TestSets:
    def test_folds_test_sets_and_ensemble(self, tree):
        tree.validate(SCRATCH, 0)
        tree.validate(SCRATCH, 5)
        tree.test(SCRATCH, "fold_0/test")
        tree.test(SCRATCH)
        assert _summary(discover(tree.results)) == [
            (SCRATCH, "cv", "0", ["L1"]),
            (SCRATCH, "fixed", "5", ["L1", "L2"]),
            (SCRATCH, "test", "0", ["L6", "R7"]),
            (SCRATCH, "test", "ensemble", ["L6", "R7"]),
        ]

    def test_baseline_has_no_folds(self, tree):
        tree.predict(BASELINE, "validation", ("L1", "L2", "L3", "L4", "R5"))
        tree.test(BASELINE)
        found = discover(tree.results)
        assert [(one.set, one.fold, len(one.files)) for one in found.predictions] == [
            ("cv", "none", 5),
            ("test", "none", 2),
        ]
        assert not found.warnings
        assert not found.notes

    @pytest.mark.parametrize("part", ["", "Dataset001_Femur", f"Dataset001_Femur/{SCRATCH}"])
    def test_any_part_of_the_results_folder(self, tree, part):
        tree.test(SCRATCH)
        found = discover(tree.results / part)
        assert _summary(found) == [(SCRATCH, "test", "none", ["L6", "R7"])]

    def test_methods_that_are_left_out(self, tree):
        tree.test(SCRATCH)
        tree.test(BASELINE)
        found = discover(tree.results, without=[BASELINE])
        assert _summary(found) == [(SCRATCH, "test", "none", ["L6", "R7"])]
        assert any(BASELINE in note for note in found.notes)
        with refused("invalid-option", "TotalSegmentator"):
            discover(tree.results, without=["TotalSegmentator"])

    def test_several_datasets_are_distinguished(self, tree):
        other = type(tree)(tree.base, "Dataset002_Other").add_raw()
        tree.test(SCRATCH)
        other.test(SCRATCH)
        methods = [one.method for one in discover(tree.results).predictions]
        assert methods == [f"Dataset001_Femur/{SCRATCH}", f"Dataset002_Other/{SCRATCH}"]

    def test_what_is_hidden_partial_or_no_volume_is_ignored(self, tree):
        folder = tree.test(SCRATCH)
        (folder / "summary.json").write_text("{}")
        (folder / "L6.npz").write_bytes(b"")
        (folder / ".R7.partial.nrrd").write_bytes(b"")
        tree.test(SCRATCH, "fold_1.partial/test")
        tree.test(".hidden__a__b")
        (tree.results / "comparison").mkdir()
        found = discover(tree.results)
        assert _summary(found) == [(SCRATCH, "test", "none", ["L6", "R7"])]
        assert not found.warnings

    def test_another_file_ending_than_the_reference(self, tree):
        folder = tree.test(SCRATCH)
        for path in folder.iterdir():
            path.rename(path.with_suffix(".mha"))
        assert not discover(tree.results).warnings

    def test_training_time(self, tree):
        tree.validate(SCRATCH, 0)
        tree.validate(SCRATCH, 1)
        tree.test(SCRATCH)
        for fold, seconds in enumerate((60, 120)):
            (tree.method(SCRATCH) / f"fold_{fold}" / "run.json").write_text(json.dumps({"seconds": seconds}))
        assert [one.seconds for one in discover(tree.results).predictions] == [60, 120, 90]


class TestMissing:
    def test_predictions_are_counted_and_named(self, tree):
        (tree.test(SCRATCH, "fold_0/test") / "R7.nrrd").unlink()
        (tree.validate(SCRATCH, 5) / "L1.nrrd").unlink()
        found = discover(tree.results)
        assert sorted((one.set, one.fold, *one.missing) for one in found.predictions) == [
            ("fixed", "5", "L1"),
            ("test", "0", "R7"),
        ]
        assert any(names(each, SCRATCH, "fold 0", "1 of 2", "R7") for each in found.warnings)
        assert any(names(each, SCRATCH, "fold 5", "1 of 2", "L1") for each in found.warnings)

    def test_an_empty_validation_misses_all(self, tree):
        tree.test(SCRATCH)
        (tree.method(SCRATCH) / "fold_0" / "validation").mkdir(parents=True)
        assert any(names(each, SCRATCH, "fold 0", "1 of 1", "L1") for each in discover(tree.results).warnings)

    def test_folds_not_run_are_a_note(self, tree):
        tree.validate(SCRATCH, 0)
        (tree.method(SCRATCH) / "fold_2").mkdir()
        found = discover(tree.results)
        assert not found.warnings
        unvalidated, untested, untrained = found.notes
        assert names(unvalidated, SCRATCH, "fold 2")
        assert names(untested, SCRATCH, "test set")
        assert names(untrained, SCRATCH, "folds 1, 3, 4")

    def test_extra_predictions_are_named_and_left_out(self, tree):
        tree.predict(SCRATCH, "test", ("L6", "R7", "stranger"))
        tree.predict(SCRATCH, "fold_0/validation", ("L1",))
        found = discover(tree.results)
        assert any(names(each, SCRATCH, "ensemble", "1 not scored", "labelsTs", "stranger") for each in found.warnings)
        assert [sorted(one.files) for one in found.predictions] == [["L1"], ["L6", "R7"]]

    def test_a_fold_without_a_number_is_named(self, tree):
        tree.test(SCRATCH)
        tree.test(SCRATCH, "fold_all/test")
        found = discover(tree.results)
        assert len(found.predictions) == 1
        assert any("fold_all" in warning for warning in found.warnings)

    def test_a_fold_that_is_not_in_the_splits_is_named(self, tree):
        tree.predict(SCRATCH, "fold_7/validation", ("L1",))
        found = discover(tree.results)
        assert _summary(found) == [(SCRATCH, "fixed", "7", ["L1"])]
        assert any("splits_final.json" in warning and "fold 7" in warning for warning in found.warnings)

    def test_a_case_validated_in_two_folds_is_named(self, tree):
        (tree.raw / "splits_final.json").unlink()
        tree.predict(SCRATCH, "fold_0/validation", ("L1", "L2"))
        tree.predict(SCRATCH, "fold_1/validation", ("L2", "L3"))
        assert any("several folds" in warning and "L2" in warning for warning in discover(tree.results).warnings)


class TestReference:
    def test_the_splits_may_lie_in_the_preprocessed_dataset(self, tree):
        tree.validate(SCRATCH, 5)
        preprocessed = tree.base / "nnUNet_preprocessed" / tree.dataset
        preprocessed.mkdir(parents=True)
        (tree.raw / "splits_final.json").rename(preprocessed / "splits_final.json")
        assert not discover(tree.results).warnings

    def test_raw_folder_as_argument_and_as_variable(self, tree, monkeypatch):
        tree.test(SCRATCH)
        elsewhere = tree.base / "elsewhere"
        (tree.base / "nnUNet_raw").rename(elsewhere)
        with refused("no-reference", tree.dataset, "--raw"):
            discover(tree.results)
        assert len(discover(tree.results, raw=elsewhere).predictions) == 1
        monkeypatch.setenv("nnUNet_raw", str(elsewhere))
        assert len(discover(tree.results).predictions) == 1

    def test_patients_come_from_cases_csv(self, tree):
        tree.test(SCRATCH)
        (predictions,) = discover(tree.results).predictions
        assert predictions.patient("L6") == "patient6"
        (tree.raw / "cases.csv").unlink()
        (predictions,) = discover(tree.results).predictions
        assert predictions.patient("L6") == "L6"


class TestRefused:
    def test_missing_folder(self, tree):
        with refused("not-found", tree.base / "nowhere"):
            discover(tree.base / "nowhere")

    def test_empty_folder(self, tree):
        tree.results.mkdir()
        with refused("no-predictions", tree.results):
            discover(tree.results)

    def test_the_folder_above(self, tree):
        tree.results.mkdir()
        with refused("no-predictions", tree.results):
            discover(tree.base)

    def test_the_raw_folder(self, tree):
        with refused("no-predictions", tree.raw.parent):
            discover(tree.raw.parent)

    def test_a_method_without_predictions(self, tree):
        (tree.method(SCRATCH) / "fold_0").mkdir(parents=True)
        with refused("no-predictions", SCRATCH, "fold 0"):
            discover(tree.results)

    def test_two_predictions_of_one_case(self, tree):
        folder = tree.test(SCRATCH)
        (folder / "L6.nii.gz").write_bytes(b"")
        found = discover(tree.results)
        (one,) = found.unscored
        assert (one.method, one.set, one.case) == (SCRATCH, "test", "L6")
        assert str(folder / "L6.nii.gz") in one.reason
        assert _summary(found) == [(SCRATCH, "test", "none", ["R7"])]

    def test_two_references_of_one_case(self, tree):
        folder = tree.test("reference")
        (folder / "L6.mha").write_bytes(b"")
        tree.test(SCRATCH)
        found = discover(tree.method(SCRATCH), reference=folder)
        assert [(one.case, str(folder) in one.reason) for one in found.unscored] == [("L6", True)]
        assert _summary(found) == [(SCRATCH, "test", "none", ["R7"])]

    def test_a_case_in_training_and_test(self, tree):
        tree.test(SCRATCH)
        (tree.raw / "labelsTr" / "L6.nrrd").write_bytes(b"")
        found = discover(tree.results)
        assert [(one.case, "labelsTr" in one.reason) for one in found.unscored] == [("L6", True)]
        assert _summary(found) == [(SCRATCH, "test", "none", ["R7"])]
        assert not found.predictions[0].missing

    def test_no_reference_at_all(self, tree):
        tree.test(SCRATCH)
        for path in tree.raw.glob("labelsT*/*"):
            path.unlink()
        with refused("no-reference", tree.raw, ".nrrd"):
            discover(tree.results)

    @pytest.mark.parametrize(
        ("name", "content", "code"),
        [
            ("dataset.json", "{", "invalid-dataset"),
            ("dataset.json", "[]", "invalid-dataset"),
            ("splits_final.json", "{", "invalid-folds"),
            ("splits_final.json", '[{"train": ["L1"]}]', "invalid-folds"),
            ("splits_final.json", '[{"train": ["L1"], "val": ["unknown"]}]', "invalid-folds"),
            ("cases.csv", "", "invalid-file"),
            ("cases.csv", "name,side\nL1,left\n", "invalid-file"),
        ],
    )
    def test_a_broken_file_of_the_dataset(self, tree, name, content, code):
        tree.test(SCRATCH)
        (tree.raw / name).write_text(content)
        with refused(code, tree.raw / name):
            discover(tree.results)

    @pytest.mark.parametrize("content", ["{", "[]", '{"seconds": "long"}'])
    def test_a_broken_record_of_a_training(self, tree, content):
        folder = tree.validate(SCRATCH, 0)
        (folder.parent / "run.json").write_text(content)
        found = discover(tree.results)
        assert [one.seconds for one in found.predictions] == [None]
        assert any("run.json" in warning for warning in found.warnings) == ("seconds" not in content)


class TestTraits:
    """Traits of a method: from its records, else from --in-slices, and never from its name."""

    def _named(self, tree, name, **options):
        folder = tree.test("elsewhere")
        found = discover(None, reference=tree.raw / "labelsTs", methods={name: folder}, **options)
        return found.predictions[0].traits, found.notes

    def test_a_named_method_is_taken_for_one_in_volumes_and_reported(self, tree):
        traits, notes = self._named(tree, "FemurHeadUnetResNet34_2d")
        assert (traits.in_slices, traits.ends_only) == (False, False)
        (note,) = notes
        assert "--in-slices FemurHeadUnetResNet34_2d" in note

    def test_unless_the_user_sets_another(self, tree):
        traits, notes = self._named(tree, "mine", in_slices=["mine"])
        assert (traits.in_slices, notes) == (True, [])
        with refused("invalid-option", "--in-slices nobody"):
            self._named(tree, "mine", in_slices=["nobody"])

    def test_a_record_beside_the_masks_counts(self, tree):
        tree.test("elsewhere")
        (tree.method("elsewhere") / "test" / "run.json").write_text(json.dumps({"works_in_slices": True}))
        traits, notes = self._named(tree, "mine")
        assert (traits.in_slices, notes) == (True, [])

    def test_a_method_of_the_results_folder(self, tree):
        tree.test("FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres")
        tree.test("SomeTrainer__nnUNetPlans__3d_fullres")
        found = discover(tree.results)
        assert [one.traits.in_slices for one in found.predictions] == [True, False]
        assert ["SomeTrainer" in note for note in found.notes] == [True]
        found = discover(tree.results, in_slices=["SomeTrainer__nnUNetPlans__3d_fullres"])
        assert [one.traits.in_slices for one in found.predictions] == [True, True]
