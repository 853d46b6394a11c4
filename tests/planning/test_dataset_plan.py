"""Planning: nnU-Net's plans with the folds and the recipe of this package."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from written_files import PLANS, fields_of

from nnunet_femur.dataset.raw import RawDataset
from nnunet_femur.planning import PRESETS, Ceiling, PlannedDataset, ceiling_of, dataset_plan, plan
from nnunet_femur.recipe.hyperparameters import Recipe, SliceRecipe
from nnunet_femur.recipe.recipe_checks import recipe_of_configuration
from nnunet_femur.records import tree_fingerprint
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

DATASET = "Dataset001_Femur"


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_recipes_exist(self, name: str) -> None:
        configuration = {"femur_recipe": PRESETS[name].recipe}
        assert recipe_of_configuration(Recipe, configuration, "X")
        assert recipe_of_configuration(SliceRecipe, configuration, "X")


class TestPlannedDataset:
    def test_is_a_path(self, tmp_path: Path) -> None:
        planned = PlannedDataset(tmp_path / DATASET, "MyPlans", ("2d",), None)
        assert os.fspath(planned) == str(tmp_path / DATASET)
        assert planned.plans_file == tmp_path / DATASET / "MyPlans.json"

    def test_shows_what_it_is(self, tmp_path: Path) -> None:
        ceiling = Ceiling((1.5, 1.5, 1.5), {"a": 0.99, "b": 0.97}, of=2)
        planned = PlannedDataset(tmp_path / DATASET, "nnUNetPlans", ("2d", "3d_fullres"), ceiling)
        assert repr(planned) == f"PlannedDataset({DATASET}: nnUNetPlans with 2d, 3d_fullres, resampling ceiling 0.9800)"


class TestRefusals:
    """They come before nnU-Net is imported."""

    @pytest.mark.parametrize("option", ["preset", "source", "spacing"])
    def test_unknown_choices(self, option: str) -> None:
        with refused("invalid-option", option, "'tiny'"):
            plan(1, **{option: "tiny"})

    @pytest.mark.parametrize("recipe", [{"epochs": 0}, {"epoch": 1}, {"FemurScratchTrainer": 3}])
    def test_invalid_recipes(self, recipe: dict, tmp_path: Path) -> None:
        with refused("invalid-recipe"):
            plan(1, recipe=recipe)
        file = tmp_path / "recipe.json"
        file.write_text(json.dumps(recipe))
        with refused("invalid-recipe", file):
            plan(1, recipe=str(file))

    def test_without_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("nnUNet_raw", raising=False)
        with refused("environment", "nnUNet_raw"):
            plan(1)

    def test_folds_of_other_cases(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        raw = _raw(tmp_path, monkeypatch, folds=[{"train": ["a"], "val": ["z"]}])
        with refused("invalid-folds", "z"):
            plan(1)
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
        with refused("folds-changed", tmp_path / "nnUNet_results" / DATASET):
            plan(1)
        assert (preprocessed / "splits_final.json").read_text() == earlier

    def test_plans_that_do_not_exist_cannot_be_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _raw(tmp_path, monkeypatch, folds=[{"train": ["a"], "val": ["b"]}])
        with refused("no-plans", "Unknown.json"):
            plan(1, keep="Unknown")

    @pytest.mark.parametrize(
        "options", [{"source": "totalsegmentator"}, {"planner": "ResEncM"}, {"preset": "small"}, {"spacing": "native"}]
    )
    def test_kept_plans_are_not_planned(self, options: dict) -> None:
        with refused("invalid-option", "keep"):
            plan(1, keep="nnUNetPlans", **options)

    @pytest.mark.parametrize("keep", ["nnUNetPlans", None])
    def test_plans_that_are_kept_under_their_own_name(
        self, keep: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They can be kept again after an interruption, and planning anew does not take them for its own."""
        raw = _raw(tmp_path, monkeypatch, folds=[{"train": ["a"], "val": ["b"]}])
        folder = tmp_path / "nnUNet_preprocessed" / DATASET
        folder.mkdir(parents=True)
        (folder / "nnUNetPlans.json").write_text('{"plans_name": "nnUNetPlans", "configurations": {}}')
        inputs = tree_fingerprint(raw) if keep is None else "before cases were added"
        made = {
            "source": None,
            "preset": "default",
            "planner": None,
            "kept": "nnUNetPlans",
            "recipe": {},
            "raw": inputs,
        }
        record = json.dumps({"nnUNetPlans": {**made, "configurations": ["2d", "3d_fullres"]}})
        (folder / "femur_plan.json").write_text(record)

        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(dataset_plan, "_extract_fingerprint", interrupted)
        with pytest.raises(KeyboardInterrupt):
            plan(1, keep=keep)
        left = json.loads((folder / "femur_plan.json").read_text())
        assert left == (json.loads(record) if keep else {})


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
class TestPlanning:
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
            assert found == set(RawDataset.find(1).cases())

    def test_a_second_call_does_nothing(self, nnunet: Path) -> None:
        plans = nnunet / "nnUNet_preprocessed" / DATASET / "nnUNetPlans.json"
        before = plans.stat().st_mtime_ns
        planned = plan(1, preset="small", epochs=3, iterations=2, jobs=1)
        assert planned.folder == plans.parent
        assert planned.ceiling == ceiling_of(planned)
        assert plans.stat().st_mtime_ns == before

    def test_another_recipe_is_written_without_preprocessing_again(self, nnunet: Path) -> None:
        folder = nnunet / "nnUNet_preprocessed" / DATASET
        plans = folder / "nnUNetPlans.json"
        before = json.loads(plans.read_text())
        data = {path: path.stat().st_mtime_ns for path in folder.rglob("*.b2nd")}
        same = {"preset": "small", "epochs": 3, "iterations": 2, "jobs": 1}
        plan(1, **same, recipe={"seed": 5, "slice": {"batch_size": 4}, "FemurScratchTrainer": {"epochs": 7}})
        after = json.loads(plans.read_text())
        recipe = after["configurations"]["2d"]["femur_recipe"]
        assert recipe_of_configuration(Recipe, {"femur_recipe": recipe}, "FemurScratchTrainer").epochs == 7
        slices = recipe_of_configuration(SliceRecipe, {"femur_recipe": recipe}, "X")
        assert (slices.epochs, slices.batch_size, slices.seed) == (3, 4, 5)
        plan(1, **same)
        assert json.loads(plans.read_text()) == before
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.b2nd")} == data

    def test_records_of_older_versions_are_read(self, nnunet: Path) -> None:
        """They contain no outputs."""
        record = nnunet / "nnUNet_preprocessed" / DATASET / "femur_plan.json"
        before = record.read_text()
        content = json.loads(before)
        assert list(content["nnUNetPlans"]) == fields_of(PLANS, "femur_plan.json")
        del content["nnUNetPlans"]["outputs"]
        record.write_text(json.dumps(content))
        plans = record.parent / "nnUNetPlans.json"
        written = plans.stat().st_mtime_ns
        plan(1, preset="small", epochs=3, iterations=2, jobs=1)
        assert plans.stat().st_mtime_ns == written
        record.write_text(before)

    def test_removed_data_are_preprocessed_again(self, nnunet: Path) -> None:
        """The plans get another name, since other tests use the default ones."""
        again = {"preset": "small", "configurations": ["2d"], "plans_name": "Removed", "jobs": 1}
        data = plan(1, **again).folder / "Removed_2d"
        files = {path.name for path in data.iterdir()}
        shutil.rmtree(data)
        plan(1, **again)
        assert {path.name for path in data.iterdir()} == files
