"""Plans of TotalSegmentator's model for a femur dataset."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nnunet_femur.planning import ceiling_of, plan
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

DATASET = "Dataset002_Femur"


def _plans(base: Path, name: str = "nnUNetPlans") -> dict[str, Any]:
    return json.loads((base / "nnUNet_preprocessed" / DATASET / f"{name}.json").read_text())


def _source(dummy_model: Path) -> dict[str, Any]:
    return json.loads(next(dummy_model.glob("Dataset294*/*/plans.json")).read_text())


class TestPlans:
    def test_keep_the_settings_of_the_weights(self, transfer: Path, dummy_model: Path) -> None:
        made, source = _plans(transfer), _source(dummy_model)
        old = source["configurations"]["3d_fullres"]
        new = made["configurations"]["3d_fullres"]
        for key in ("spacing", "patch_size", "normalization_schemes", "resampling_fn_data_kwargs", "batch_dice"):
            assert new[key] == old[key], key
        key = "foreground_intensity_properties_per_channel"
        assert made[key] == source[key]
        assert "UNet_class_name" in old, "the dummy's plans have the old format"
        assert new["architecture"]["arch_kwargs"]["features_per_stage"][0] == old["UNet_base_num_features"] == 4

    def test_are_for_this_dataset(self, transfer: Path) -> None:
        made = _plans(transfer)
        assert (made["dataset_name"], made["plans_name"]) == (DATASET, "nnUNetPlans")
        assert made["image_reader_writer"] == "SimpleITKIOWithReorient"
        # Phantoms of 48 x 32 x 32 voxels at 10 x 6 x 6 mm, at 8 mm.
        assert made["configurations"]["3d_fullres"]["median_image_size_in_voxels"] == [60, 24, 24]
        assert made["configurations"]["3d_fullres"]["data_identifier"] == "nnUNetPlans_3d_fullres"

    def test_name_the_source(self, transfer: Path) -> None:
        from nnunet_femur.weights import find_model

        source = _plans(transfer)["configurations"]["3d_fullres"]["femur_source"]
        assert source["dataset"] == "Dataset294_TotalSegmentator_part4_muscles_1559subj"
        assert tuple(source["femur_rows"]) == find_model().femur_channels
        assert source["outputs"] == 24

    def test_a_second_call_does_nothing(self, transfer: Path) -> None:
        file = transfer / "nnUNet_preprocessed" / DATASET / "nnUNetPlans.json"
        before = file.stat().st_mtime_ns
        plan(2, source="totalsegmentator", preset="small", epochs=3, iterations=2, jobs=1)
        assert file.stat().st_mtime_ns == before

    def test_of_the_new_format_are_the_same(
        self, transfer: Path, dummy_model: Path, tmp_path: Path, monkeypatch
    ) -> None:
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "weights"))
        shutil.copytree(dummy_model, tmp_path / "weights")
        file = next((tmp_path / "weights").glob("Dataset294*/*/plans.json"))
        source = json.loads(file.read_text())
        source["configurations"]["3d_fullres"] = PlansManager(source).get_configuration("3d_fullres").configuration
        file.write_text(json.dumps(source))
        plan(2, source="totalsegmentator", plans_name="New", preset="small", epochs=3, iterations=2, jobs=1)
        old, new = (_plans(transfer, name)["configurations"]["3d_fullres"] for name in ("nnUNetPlans", "New"))
        assert new.pop("data_identifier") == "New_3d_fullres"
        old.pop("data_identifier")
        assert new == old
        assert _plans(transfer)["plans_name"] == "nnUNetPlans", "the dataset has both plans"

    def test_native_spacing_keeps_the_topology(self, transfer: Path) -> None:
        planned = plan(2, source="totalsegmentator", spacing="native", plans_name="Native", jobs=1)
        native, kept = (_plans(transfer, name)["configurations"]["3d_fullres"] for name in ("Native", "nnUNetPlans"))
        assert native["spacing"] == [10.0, 6.0, 6.0]
        assert native["architecture"] == kept["architecture"]
        assert planned.ceiling == ceiling_of(planned, "Native")
        assert min(planned.ceiling.dice.values()) == 1.0, "masks at the spacing of the dataset do not change"


class TestCeiling:
    def test_equals_another_way_to_resample(self, transfer: Path) -> None:
        """Reference -> 8 mm -> reference with scipy's linear interpolation in place of nnU-Net's functions."""
        import SimpleITK as sitk
        from scipy.ndimage import map_coordinates

        found = ceiling_of(transfer / "nnUNet_preprocessed" / DATASET)
        assert found.spacing_mm == (8.0, 8.0, 8.0)
        assert found.of == len(list((transfer / "nnUNet_raw" / DATASET / "labelsTr").glob("*.nrrd")))

        def resampled(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
            # Voxel centres of a grid of the same outer edges.
            axes = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(shape, array.shape, strict=True)]
            return map_coordinates(array, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest")

        for case, dice in found.dice.items():
            image = sitk.ReadImage(str(transfer / "nnUNet_raw" / DATASET / "labelsTr" / f"{case}.nrrd"))
            reference = sitk.GetArrayFromImage(sitk.DICOMOrient(image, "RAS")).astype(float)
            there = (resampled(reference, (60, 24, 24)) > 0.5).astype(float)
            back = resampled(there, reference.shape) > 0.5
            expected = 2 * np.sum(back * reference) / (back.sum() + reference.sum())
            assert dice == pytest.approx(expected, abs=0.01), case
            assert 0.5 < dice < 1


class TestRefusals:
    def test_without_weights(self, transfer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
        with refused("no-weights", tmp_path, "nnfemur weights download"):
            plan(2, source="totalsegmentator")

    def test_other_configurations(self, transfer: Path) -> None:
        with refused("invalid-option", "2d"):
            plan(2, source="totalsegmentator", configurations=("2d",))

    def test_weights_of_another_width(
        self, transfer: Path, dummy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "weights"))
        shutil.copytree(dummy_model, tmp_path / "weights")
        file = next((tmp_path / "weights").glob("Dataset294*/*/plans.json"))
        source = json.loads(file.read_text())
        source["configurations"]["3d_fullres"]["UNet_base_num_features"] = 8
        file.write_text(json.dumps(source))
        before = _plans(transfer)
        with refused("invalid-weights", "encoder, stage 1, convolution 1, weight", "8 x 1 x"):
            plan(2, source="totalsegmentator", plans_name="Wide", jobs=1)
        assert _plans(transfer) == before
        assert not (transfer / "nnUNet_preprocessed" / DATASET / "Wide.json").exists()
