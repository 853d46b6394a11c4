"""The CT of a mask, voxel by voxel on the mask's grid, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.measurement.density.ct_on_mask import image_on, read_ct_on
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

SHAPE_ZYX = (6, 5, 4)


def _ct(shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0), *, spacing: float = 1.5) -> sitk.Image:
    """A CT in which every voxel has a value of its own, 1.5 x 2 x 3 mm, slightly oblique."""
    image = sitk.GetImageFromArray(np.arange(120, dtype=np.int16).reshape(SHAPE_ZYX))
    image.SetSpacing((spacing, 2.0, 3.0))
    image.SetOrigin(np.array([10.0, -20.0, 300.0]) + shift_mm)
    cosine, sine = np.cos(0.1), np.sin(0.1)
    image.SetDirection((cosine, -sine, 0, sine, cosine, 0, 0, 0, 1))
    return image


def _on(ct: sitk.Image, mask: sitk.Image) -> np.ndarray:
    """The values of the CT at the voxels of the mask's grid."""
    found = image_on(ct, Geometry.of(mask), "ct.nrrd", "mask.nrrd")
    assert found.geometry.shape_zyx == found.hu_zyx.shape
    placed = found.placed(np.ones(Geometry.of(mask).shape_zyx, bool))
    assert placed.shape == found.hu_zyx.shape
    first = found.geometry.steps_mm @ np.argwhere(placed)[0][::-1] + found.geometry.origin_mm_xyz
    np.testing.assert_allclose(first, mask.GetOrigin(), atol=0.01)
    return found.hu_zyx[placed].reshape(mask.GetSize()[::-1])


VALUES = sitk.GetArrayFromImage(_ct())


@pytest.mark.parametrize("shift_mm", [0.0, 0.004])
def test_same_grid(shift_mm: float) -> None:
    """Programs round origins; less than a hundredth of a voxel is the same grid."""
    np.testing.assert_array_equal(_on(_ct(), _ct((shift_mm, 0, 0))), VALUES)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: sitk.Flip(image, [True, False, True], False),
        lambda image: sitk.PermuteAxes(image, [2, 0, 1]),
        lambda image: sitk.RegionOfInterest(image, [2, 3, 4], [1, 0, 2]),
        lambda image: sitk.Flip(sitk.RegionOfInterest(image, [2, 3, 4], [1, 2, 0]), [True, True, False], False),
    ],
    ids=["flipped", "permuted", "box", "flipped box"],
)
def test_other_order_or_box_of_the_same_grid(change) -> None:
    """The same change of the CT itself gives the expected voxels."""
    mask = change(_ct())
    np.testing.assert_array_equal(_on(_ct(), mask), sitk.GetArrayFromImage(mask))
    np.testing.assert_array_equal(_on(change(_ct()), mask), sitk.GetArrayFromImage(mask))


@pytest.mark.parametrize(
    "mask",
    [
        _ct((0.4, 0, 0)),
        _ct((500.0, 0, 0)),
        _ct(spacing=1.6),
        sitk.ConstantPad(_ct(), [1, 0, 0], [0, 0, 0]),
        sitk.RegionOfInterest(_ct((0, 0, 1.0)), [2, 3, 4], [1, 0, 1]),
    ],
    ids=["half a voxel off", "apart", "other spacing", "larger", "box between the slices"],
)
def test_other_grids_are_refused(mask: sitk.Image) -> None:
    with refused("grid-differs", "ct.nrrd", "mask.nrrd"):
        _on(_ct(), mask)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "ct.nrrd"
    sitk.WriteImage(_ct(), str(path))
    np.testing.assert_array_equal(read_ct_on(path, Geometry.of(_ct()), "mask.nrrd").hu_zyx, VALUES)
    with refused("unreadable", "none.nrrd"):
        read_ct_on(tmp_path / "none.nrrd", Geometry.of(_ct()), "mask.nrrd")
