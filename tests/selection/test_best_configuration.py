"""The best candidate and its postprocessing: Dice worked out by hand, and nnU-Net's own search as the oracle."""

from __future__ import annotations

import json
from multiprocessing.pool import ThreadPool
from shutil import copytree
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk
from written_files import SELECTION, fields_of

from nnunet_femur.comparison.discovery import discover
from nnunet_femur.selection import Selection, ensemble, select
from tests.refusing import refused
from tests.selection.conftest import DATASET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

BEST = "BestConfiguration__validation__postprocessed"


def _with_islands(_: str, reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the reference and ten voxels far away from it, in the order of the reader."""
    femur = 0.9 * reference
    empty = [axis for axis in range(3) if not reference.take(-1, axis).any() and not reference.take(-2, axis).any()]
    place = [slice(None)] * 3
    place[empty[0]] = slice(-1, None)
    flat = np.zeros_like(reference)
    flat[tuple(place)] = 1
    femur[tuple(np.argwhere(flat)[:10].T)] = 0.9
    return femur


def _halved(_: str, reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lower half of the voxels of the reference."""
    femur = np.zeros_like(reference)
    inside = np.argwhere(reference > 0)
    femur[tuple(inside[: len(inside) // 2].T)] = 0.9
    return femur


def _mean_dice(raw: Path, folder: Path) -> float:
    """Return the mean Dice of all validation masks, without nnU-Net."""
    found = []
    for path in sorted(folder.glob("fold_*/validation/*.nrrd")):
        mask, reference = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(each))) > 0 for each in (path, raw / "labelsTr" / path.name)
        )
        found.append(2 * np.sum(mask & reference) / (mask.sum() + reference.sum()))
    return float(np.mean(found))


def _record(made: Selection) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((made.folder / "run.json").read_text())
    return content


class TestChoice:
    def test_is_that_of_the_larger_dice(self, model: Callable[..., Path], raw: Path) -> None:
        good, half = model("FemurScratchTrainer", _with_islands), model("FemurThreePlaneTrainer", _halved)
        made = select([half, good], good.with_name(BEST), jobs=1)
        assert made.best == good.name
        assert list(made.dice) == [good.name, half.name], "best first"
        for each in (good, half):
            assert made.dice[each.name] == pytest.approx(_mean_dice(raw, each), abs=1e-12)
        # Reference voxels of L1, L2, L3, R4: 5, 6, 7, 5 slices of 4 x 5 voxels.
        n = np.array([5, 6, 7, 5]) * 20
        assert made.dice[good.name] == pytest.approx(np.mean(2 * n / (2 * n + 10)), abs=1e-12)
        assert made.dice[half.name] == pytest.approx(2 / 3, abs=1e-12)

    def test_without_islands_the_reference_remains(self, model: Callable[..., Path], raw: Path) -> None:
        good = model("FemurScratchTrainer", _with_islands)
        made = select([good], good.with_name("Postprocessed__FemurScratch__validation"), jobs=1)
        assert made.postprocessing == ("remove_all_but_largest_component_from_segmentation",)
        assert made.dice_postprocessed == 1.0
        assert _record(made)["changed_test_masks"] == 4, "two cases of two folds"
        assert list(_record(made)) == fields_of(SELECTION, "run.json")
        for fold in (0, 1):
            for case in ("L5", "R6"):
                mask, reference = (
                    sitk.ReadImage(str(path))
                    for path in (
                        made.folder / f"fold_{fold}" / "test" / f"{case}.nrrd",
                        raw / "labelsTs" / f"{case}.nrrd",
                    )
                )
                assert np.array_equal(sitk.GetArrayFromImage(mask), sitk.GetArrayFromImage(reference))
                assert mask.GetDirection() == reference.GetDirection()

    def test_postprocessing_that_does_not_help_is_left_out(self, model: Callable[..., Path]) -> None:
        half = model("FemurThreePlaneTrainer", _halved)
        made = select([half], half.with_name("Postprocessed__FemurThreePlane__validation"), jobs=1)
        assert made.postprocessing == ()
        assert made.dice_postprocessed == made.dice[half.name]
        assert _record(made)["changed_test_masks"] == 0
        assert {one.method for one in discover(half.parent).predictions} == {half.name}, "its copy is not compared"
        test = "fold_1/test/R6.nrrd"
        own, before = (sitk.GetArrayFromImage(sitk.ReadImage(str(each / test))) for each in (made.folder, half))
        assert np.array_equal(own, before)

    def test_in_a_tie_the_first_is_chosen(self, model: Callable[..., Path]) -> None:
        first, second = model("FemurScratchTrainer", 0.9), model("FemurThreePlaneTrainer", 0.8)
        assert select([second, first], first.with_name(BEST), jobs=1).best == second.name

    def test_one_fixed_split_is_enough(self, model: Callable[..., Path], raw: Path) -> None:
        splits = json.loads((raw / "splits_final.json").read_text())
        fixed = [*splits, *[splits[0]] * 3, {"train": ["L1", "L2", "R4"], "val": ["L3"]}]
        (raw / "splits_final.json").write_text(json.dumps(fixed))
        good = model("FemurScratchTrainer", _with_islands, folds=(5,))
        made = select([good], good.with_name(BEST), jobs=1)
        assert made.folds == (5,)
        assert made.dice[good.name] == pytest.approx(280 / 290, abs=1e-12)
        model("FemurScratchTrainer", _halved, folds=(0, 1))
        again = select([good], good.with_name(BEST), jobs=1)
        assert again.folds == (0, 1), "the cases of fold 5 are among theirs, and must not count twice"
        assert (again.folder / "fold_5" / "test").is_dir()

    def test_is_that_of_nnunet(
        self, model: Callable[..., Path], raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``nnUNetv2_find_best_configuration`` with both models and their ensemble, in threads."""
        from nnunetv2.ensembling import ensemble as merging
        from nnunetv2.evaluation import accumulate_cv_results, evaluate_predictions, find_best_configuration
        from nnunetv2.postprocessing import remove_connected_components
        from nnunetv2.utilities import file_path_utilities

        rng = np.random.default_rng(3)

        def noisy(_: str, reference: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.clip(0.7 * reference + rng.normal(0.15, 0.2, reference.shape), 0, 1)

        members = [model("FemurScratchTrainer", noisy), model("FemurThreePlaneTrainer", noisy)]
        pair = ensemble(members, members[0].with_name("Ensemble__both__mean"), test="none")
        made = select([*members, pair], members[0].with_name(BEST), jobs=1)

        results, preprocessed = tmp_path / "nnUNet_results", tmp_path / "nnUNet_preprocessed"
        (preprocessed / DATASET).mkdir(parents=True)
        (preprocessed / DATASET / "gt_segmentations").symlink_to(raw / "labelsTr")
        plans = json.loads((members[0] / "plans.json").read_text())
        plans["configurations"] = {"3d_fullres": {"data_identifier": "x", "architecture": {}}}
        for folder in (preprocessed / DATASET, *members):
            (folder / ("plans.json" if folder in members else "nnUNetPlans.json")).write_text(json.dumps(plans))
        from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient

        for path in results.glob(f"{DATASET}/*/fold_*/validation/*.npz"):
            from batchgenerators.utilities.file_and_folder_operations import save_pickle

            save_pickle(
                SimpleITKIOWithReorient().read_seg(str(path.with_suffix(".nrrd")))[1], str(path.with_suffix(".pkl"))
            )
        for module in (find_best_configuration, file_path_utilities, accumulate_cv_results):
            for name, folder in (
                ("nnUNet_results", results),
                ("nnUNet_preprocessed", preprocessed),
                ("nnUNet_raw", raw.parent),
            ):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, str(folder))
        threads = SimpleNamespace(get_context=lambda _: SimpleNamespace(Pool=ThreadPool))
        for module in (merging, evaluate_predictions, remove_connected_components):
            monkeypatch.setattr(module, "multiprocessing", threads)
        models = [
            {"plans": "nnUNetPlans", "configuration": "3d_fullres", "trainer": each.name.split("__")[0]}
            for each in members
        ]
        found = find_best_configuration.find_best_configuration(DATASET, models, True, 1, True, (0, 1))
        ours, theirs = list(made.dice.values()), sorted(found["all_results"].values(), reverse=True)
        assert ours == pytest.approx(theirs, abs=1e-12)
        best = found["best_model_or_ensemble"]
        assert made.dice_postprocessed == pytest.approx(best["result_on_crossval_post_pp"], abs=1e-12)
        chosen = [each["trainer"] for each in best["selected_model_or_models"]]
        assert (made.best == pair.folder.name) == (len(chosen) == 2)


class TestEntry:
    def test_is_a_method_of_the_comparison_with_the_test_set_alone(self, model: Callable[..., Path]) -> None:
        good, half = model("FemurScratchTrainer", _with_islands), model("FemurThreePlaneTrainer", _halved)
        select([good, half], good.with_name(BEST), jobs=1)
        found = discover(good.parent)
        assert {(one.set, one.fold) for one in found.predictions if one.method == BEST} == {
            ("test", "0"),
            ("test", "1"),
        }
        assert [note for note in found.notes if BEST in note] == []

    def test_nnunet_can_apply_the_postprocessing(self, model: Callable[..., Path]) -> None:
        from batchgenerators.utilities.file_and_folder_operations import load_pickle

        good = model("FemurScratchTrainer", _with_islands)
        made = select([good], good.with_name(BEST), jobs=1)
        functions, options = load_pickle(str(made.folder / "postprocessing.pkl"))
        assert [each.__name__ for each in functions] == [*made.postprocessing]
        assert options == [{"labels_or_regions": [1]}]


class TestRefusals:
    def test_missing_validation_cases(self, model: Callable[..., Path]) -> None:
        one = model("FemurScratchTrainer", 0.9)
        (one / "fold_1" / "validation" / "R4.nrrd").unlink()
        with refused("no-predictions", "R4", "fold_1"):
            select([one], one.with_name(BEST))

    def test_cases_of_another_split(self, model: Callable[..., Path], raw: Path) -> None:
        one = model("FemurScratchTrainer", 0.9)
        splits = json.loads((raw / "splits_final.json").read_text())
        (raw / "splits_final.json").write_text(json.dumps([{"train": ["L2", "L3", "R4"], "val": ["L1"]}, splits[1]]))
        with refused("no-predictions", "L2", "fold_0"):
            select([one], one.with_name(BEST))

    def test_folds_that_count_a_case_twice(self, model: Callable[..., Path], raw: Path) -> None:
        splits = json.loads((raw / "splits_final.json").read_text())
        (raw / "splits_final.json").write_text(json.dumps([splits[0], splits[0]]))
        one = model("FemurScratchTrainer", 0.9)
        with refused("invalid-folds", "L1"):
            select([one], one.with_name(BEST))

    def test_candidates_of_one_name(self, model: Callable[..., Path], tmp_path: Path) -> None:
        one = model("FemurScratchTrainer", 0.9)
        other = tmp_path / "other" / one.name
        copytree(one, other)
        with refused("invalid-option", one.name):
            select([one, other], one.with_name(BEST))

    def test_options(self, model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        one = model("FemurScratchTrainer", 0.9)
        with refused("invalid-option"):
            select([], one.with_name(BEST))
        with refused("invalid-option", "jobs"):
            select([one], one.with_name(BEST), jobs=0)
        with refused("no-predictions", "3"):
            select([one], one.with_name(BEST), folds=3)
        monkeypatch.delenv("nnUNet_raw")
        with refused("environment", "nnUNet_raw"):
            select([one], one.with_name(BEST))
