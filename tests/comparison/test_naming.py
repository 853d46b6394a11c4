"""What the names of our trainers say to the comparison."""

from __future__ import annotations

import pytest

from nnunet_femur.comparison.naming import predicts_in_slices, predicts_only_ends


@pytest.mark.parametrize(
    ("method", "in_slices", "only_ends"),
    [
        ("FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres", True, False),
        ("Dataset001_Femur/FemurThreePlaneTrainer__nnUNetPlans__3d_fullres", True, False),
        ("FemurHeadUnetPlusPlusResNet50Trainer__nnUNetPlans__3d_fullres", True, True),
        ("FemurScratchTrainer__nnUNetPlans__2d", True, False),
        ("FemurScratchTrainer__nnUNetPlans__3d_fullres", False, False),
        ("TotalSegmentator__total__1.5mm", False, False),
    ],
)
def test_names(method: str, in_slices: bool, only_ends: bool) -> None:
    assert predicts_in_slices(method) == in_slices
    assert predicts_only_ends(method) == only_ends
