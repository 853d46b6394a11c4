"""Traits of a method come from the records of its results, not from parts of a name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.comparison.predictions import Traits, read_traits

if TYPE_CHECKING:
    from pathlib import Path

IN_SLICES, IN_VOLUMES, ENDS = Traits(in_slices=True), Traits(), Traits(in_slices=True, ends_only=True)
UNKNOWN = Traits(known=False)


def _plans(folder: Path, **configurations: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps({"configurations": configurations}))


@pytest.mark.parametrize(
    ("record", "traits"),
    [
        ({"works_in_slices": True}, IN_SLICES),
        ({"works_in_slices": False, "trainer": "FemurUnetResNet34Trainer"}, IN_VOLUMES),
        ({"works_in_slices": True, "ends_only": True}, ENDS),
        # Records of older versions.
        ({"trainer": "FemurUnetPlusPlusDeepLabV3Trainer", "configuration": "3d_fullres"}, IN_SLICES),
        ({"trainer": "FemurHeadUnetResNet50Trainer", "configuration": "3d_fullres"}, ENDS),
        ({"trainer": "FemurScratchTrainer", "configuration": "2d"}, IN_SLICES),
        ({"trainer": "FemurScratchTrainer", "configuration": "3d_fullres"}, IN_VOLUMES),
        ({"method": "TotalSegmentator", "device": "cpu"}, IN_VOLUMES),
        ({"trainer": "Somebodys2DTrainer", "configuration": "3d_fullres"}, UNKNOWN),
        ({"works_in_slices": "yes", "trainer": ["FemurUnetResNet34Trainer"]}, UNKNOWN),
        ({"seconds": 3}, UNKNOWN),
    ],
)
def test_records(tmp_path: Path, record: dict[str, Any], traits: Traits) -> None:
    assert read_traits(tmp_path / "any", [record]) == traits


def test_the_first_record_with_the_field_counts(tmp_path: Path) -> None:
    records = [{"trainer": "FemurScratchTrainer"}, {"works_in_slices": True}]
    assert read_traits(tmp_path / "any", records) == IN_SLICES


@pytest.mark.parametrize(
    ("name", "traits"),
    [
        ("FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres", IN_SLICES),
        ("FemurThreePlaneTrainer__nnUNetPlans__3d_fullres", IN_SLICES),
        ("FemurHeadUnetPlusPlusResNet50Trainer__nnUNetPlans__3d_fullres", ENDS),
        ("FemurScratchTrainer__nnUNetPlans__2d", IN_SLICES),
        ("nnUNetTrainer__nnUNetPlans__3d_fullres", IN_VOLUMES),
        ("nnUNetTrainer_250epochs__nnUNetResEncUNetMPlans__3d_fullres", IN_VOLUMES),
        ("TotalSegmentator__total__1.5mm", IN_VOLUMES),
        ("FemurUnetResNet34TrainerOfSomebody__nnUNetPlans__3d_fullres", UNKNOWN),
        ("FemurHeadhunter__nnUNetPlans__3d_fullres", UNKNOWN),
        ("Somebodys__nnUNetPlans__2d_to_3d", UNKNOWN),
        ("2d", UNKNOWN),
    ],
)
def test_without_records_nnunets_folder_is_read_and_no_part_of_a_name(
    tmp_path: Path, name: str, traits: Traits
) -> None:
    assert read_traits(tmp_path / name, []) == traits


class TestPlans:
    def test_the_patch_size_marks_slices_of_other_trainers_too(self, tmp_path: Path) -> None:
        folder = tmp_path / "SomeTrainer__SomePlans__flat"
        _plans(folder, flat={"inherits_from": "base"}, base={"patch_size": [64, 64]})
        assert read_traits(folder, []) == IN_SLICES

    def test_a_patch_of_three_axes_is_a_volume_whatever_the_configuration_is_called(self, tmp_path: Path) -> None:
        folder = tmp_path / "FemurScratchTrainer__nnUNetPlans__2d"
        _plans(folder, **{"2d": {"patch_size": [64, 64, 64]}})
        assert read_traits(folder, []) == IN_VOLUMES

    @pytest.mark.parametrize(
        "configurations", [{"a": {"inherits_from": "a"}}, {"a": {"inherits_from": ["b"]}}, {"a": {"patch_size": 3}}, {}]
    )
    def test_broken_plans_are_no_plans(self, tmp_path: Path, configurations: dict[str, Any]) -> None:
        folder = tmp_path / "SomeTrainer__SomePlans__a"
        _plans(folder, **configurations)
        assert read_traits(folder, []) == UNKNOWN
