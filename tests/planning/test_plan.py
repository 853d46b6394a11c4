"""`nnfemur plan`: nnU-Net's plans with our folds and recipe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.planning import PRESETS, find_dataset, plan_dataset, training_cases
from nnunet_femur.recipe.hyperparameters import Recipe, SliceRecipe
from nnunet_femur.recipe.recipe_checks import recipe_of_configuration

if TYPE_CHECKING:
    from pathlib import Path

DATASET = "Dataset001_Femur"


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_recipes_exist(self, name: str) -> None:
        configuration = {"femur_recipe": PRESETS[name].recipe}
        assert recipe_of_configuration(Recipe, configuration, "X")
        assert recipe_of_configuration(SliceRecipe, configuration, "X")


class TestFindDataset:
    def test_by_number(self, tmp_path: Path) -> None:
        (tmp_path / DATASET).mkdir()
        (tmp_path / ".Dataset001_Femur.partial").mkdir()
        (tmp_path / "Dataset011_Other").mkdir()
        assert find_dataset(tmp_path, 1) == tmp_path / DATASET

    def test_none_and_two_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"must be one dataset 001, but there is none.*nnfemur convert"):
            find_dataset(tmp_path, 1)
        (tmp_path / DATASET).mkdir()
        (tmp_path / "Dataset001_Tibia").mkdir()
        with pytest.raises(InputError, match="Dataset001_Femur, Dataset001_Tibia"):
            find_dataset(tmp_path, 1)


class TestTrainingCases:
    def test_hidden_files_are_no_cases(self, tmp_path: Path) -> None:
        (tmp_path / "labelsTr").mkdir()
        for name in ("b.nrrd", "a.nrrd", ".c.partial.nrrd", "d.txt"):
            (tmp_path / "labelsTr" / name).touch()
        (tmp_path / "dataset.json").write_text('{"file_ending": ".nrrd"}')
        assert training_cases(tmp_path) == ["a", "b"]

    def test_refuses_a_damaged_description(self, tmp_path: Path) -> None:
        (tmp_path / "dataset.json").write_text("{")
        with pytest.raises(InputError, match=r"dataset\.json: missing or unreadable"):
            training_cases(tmp_path)


class TestRefusals:
    """All before nnU-Net is imported."""

    def test_unknown_preset(self) -> None:
        with pytest.raises(InputError, match="no preset 'tiny'; choose one of default, small"):
            plan_dataset(1, preset="tiny")

    def test_without_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("nnUNet_raw", raising=False)
        with pytest.raises(SetupError, match="nnUNet_raw is not set"):
            plan_dataset(1)

    def test_folds_of_other_cases(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        raw = _raw(tmp_path, monkeypatch, folds=[{"train": ["a"], "val": ["z"]}])
        with pytest.raises(InputError, match="fold 0 names cases that are not in the dataset: z"):
            plan_dataset(1)
        assert not (tmp_path / "nnUNet_preprocessed" / raw.name).exists()

    def test_networks_of_other_folds_are_not_mixed_in(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _raw(tmp_path, monkeypatch, folds=[{"train": ["a"], "val": ["b"]}])
        preprocessed = tmp_path / "nnUNet_preprocessed" / DATASET
        preprocessed.mkdir(parents=True)
        earlier = json.dumps([{"train": ["b"], "val": ["a"]}])
        (preprocessed / "splits_final.json").write_text(earlier)
        fold = tmp_path / "nnUNet_results" / DATASET / "T__nnUNetPlans__2d" / "fold_0"
        fold.mkdir(parents=True)
        (fold / "checkpoint_final.pth").touch()
        with pytest.raises(SetupError, match=r"trained on other folds.*Move that folder away"):
            plan_dataset(1)
        assert (preprocessed / "splits_final.json").read_text() == earlier


def _raw(base: Path, monkeypatch: pytest.MonkeyPatch, *, folds: list) -> Path:
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(base / name))
    raw = base / "nnUNet_raw" / DATASET
    (raw / "labelsTr").mkdir(parents=True)
    (raw / "imagesTr").mkdir()
    for case in ("a", "b"):
        (raw / "labelsTr" / f"{case}.nrrd").touch()
        (raw / "imagesTr" / f"{case}_0000.nrrd").touch()
    (raw / "dataset.json").write_text('{"file_ending": ".nrrd"}')
    (raw / "splits_final.json").write_text(json.dumps(folds))
    return raw


@pytest.mark.integration
class TestPlannedDataset:
    def test_plans_are_small_and_carry_the_recipe(self, nnunet: Path) -> None:
        plans = json.loads((nnunet / "nnUNet_preprocessed" / DATASET / "nnUNetPlans.json").read_text())
        assert plans["image_reader_writer"] == "SimpleITKIOWithReorient"
        assert set(plans["configurations"]) == {"2d", "3d_fullres"}
        fullres = plans["configurations"]["3d_fullres"]
        assert max(fullres["patch_size"]) <= 48
        assert fullres["architecture"]["arch_kwargs"]["features_per_stage"][0] == 8
        # The phantoms are 48 x 32 x 32 voxels, and cropping to non-zero takes nothing away.
        assert fullres["median_image_size_in_voxels"] == [48, 32, 32]
        for configuration in plans["configurations"].values():
            assert configuration["femur_recipe"]["slice"]["epochs"] == 3
            assert configuration["femur_recipe"]["volume"]["iterations_per_epoch"] == 2

    def test_folds_are_those_of_the_dataset(self, nnunet: Path) -> None:
        raw, preprocessed = (nnunet / name / DATASET for name in ("nnUNet_raw", "nnUNet_preprocessed"))
        written = json.loads((preprocessed / "splits_final.json").read_text())
        assert written == json.loads((raw / "splits_final.json").read_text())
        assert len(written) == 6

    def test_every_case_is_preprocessed_in_both_configurations(self, nnunet: Path) -> None:
        for identifier in ("nnUNetPlans_2d", "nnUNetPlans_3d_fullres"):
            folder = nnunet / "nnUNet_preprocessed" / DATASET / identifier
            found = {path.stem for path in folder.glob("*.b2nd") if not path.stem.endswith("_seg")}
            assert found == set(training_cases(nnunet / "nnUNet_raw" / DATASET))

    def test_a_second_call_does_nothing(self, nnunet: Path) -> None:
        plans = nnunet / "nnUNet_preprocessed" / DATASET / "nnUNetPlans.json"
        before = plans.stat().st_mtime_ns
        assert plan_dataset(1, preset="small", epochs=3, iterations=2, jobs=1) == plans.parent
        assert plans.stat().st_mtime_ns == before

    def test_another_recipe_is_written_without_preprocessing_again(self, nnunet: Path) -> None:
        folder = nnunet / "nnUNet_preprocessed" / DATASET
        plans = folder / "nnUNetPlans.json"
        before = json.loads(plans.read_text())
        data = {path: path.stat().st_mtime_ns for path in folder.rglob("*.b2nd")}
        same = {"preset": "small", "epochs": 3, "iterations": 2, "jobs": 1}
        plan_dataset(1, **same, recipe={"seed": 5, "slice": {"batch_size": 4}, "FemurScratchTrainer": {"epochs": 7}})
        after = json.loads(plans.read_text())
        recipe = after["configurations"]["2d"]["femur_recipe"]
        assert recipe_of_configuration(Recipe, {"femur_recipe": recipe}, "FemurScratchTrainer").epochs == 7
        slices = recipe_of_configuration(SliceRecipe, {"femur_recipe": recipe}, "X")
        assert (slices.epochs, slices.batch_size, slices.seed) == (3, 4, 5)
        plan_dataset(1, **same)
        assert json.loads(plans.read_text()) == before
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.b2nd")} == data
