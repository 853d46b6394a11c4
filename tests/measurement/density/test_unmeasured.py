"""Metal and voxels without a value in the CT of a synthetic leg, and in two real CTs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnunet_femur.imaging import Geometry
from nnunet_femur.measurement.density.unmeasured import MeasuredCt, Unmeasured, find_unmeasured
from tests.legs import MARROW, SHAPE, leg, padded_with

if TYPE_CHECKING:
    from pathlib import Path


def _geometry(spacing_mm: float = 1.0) -> Geometry:
    return Geometry(SHAPE[::-1], (spacing_mm,) * 3, (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


def _bone() -> np.ndarray:
    """A mask around the bone of the leg."""
    _, y, x = np.indices(SHAPE)
    return np.hypot(y - 23.5, x - 23.5) < 7


def _found(ct: np.ndarray, mask: np.ndarray | None = None, spacing_mm: float = 1.0) -> Unmeasured:
    grid = _geometry(spacing_mm)
    return find_unmeasured(MeasuredCt.of(ct, grid), _bone() if mask is None else mask, grid, "L1")


def _codes(found: Unmeasured) -> list[str]:
    return [each.code for each in found.findings]


class TestMetal:
    def test_with_its_margin(self) -> None:
        """A cube of 4 mm, and all voxels within 5 mm of one of its voxels, by their coordinates."""
        ct = leg()
        ct[10:14, 22:26, 22:26] = 3071
        found = _found(ct)
        assert found.metal_ml == pytest.approx(0.064)
        away = np.maximum(0, np.maximum(np.array([10, 22, 22]) - np.moveaxis(np.indices(SHAPE), 0, -1), 0))
        away = np.maximum(away, np.moveaxis(np.indices(SHAPE), 0, -1) - np.array([13, 25, 25]))
        near = np.sqrt((away.astype(float) ** 2).sum(-1)) <= 5
        assert (found.metal_zyx == near[found.box]).all()
        assert _codes(found) == ["metal"]
        assert f"{(near & _bone()).sum() / 1000:.1f} ml" in str(found.findings[0])

    def test_margin_grows_with_the_voxels(self) -> None:
        ct = leg()
        ct[10:14, 22:26, 22:26] = 3071
        along = _found(ct, spacing_mm=3).metal_zyx.any((1, 2))
        assert along.sum() == 4 + 2 * 3

    def test_single_bright_voxels_are_noise(self) -> None:
        ct = leg()
        ct[10:13, 22:25, 22:25] = 2900
        found = _found(ct)
        assert found.metal_ml == 0
        assert not found.metal_zyx.any()
        assert not found.findings

    def test_far_from_the_mask_is_not_excluded(self) -> None:
        ct = leg()
        ct[10:14, 40:44, 22:26] = 3071
        found = _found(ct)
        assert found.metal_ml == pytest.approx(0.064)
        assert not found.findings

    def test_of_a_real_hip_with_a_nail(self, shared: Path) -> None:
        """The left one of two hips holds a nail; the CT of a thigh without metal has none."""
        import scipy.ndimage
        import SimpleITK as sitk

        names = ("hips_ct", "hips_femurs_by_totalsegmentator", "thigh_ct")
        images = [sitk.ReadImage(shared / f"ct/{name}.nrrd") for name in names]
        hips, mask, thigh = (sitk.GetArrayFromImage(image) for image in images)
        pieces, count = scipy.ndimage.label(mask)
        assert count == 2
        grid = Geometry.of(images[0])
        hip = MeasuredCt.of(hips, grid)
        left, right = (find_unmeasured(hip, pieces == label, grid, "hip").metal_ml for label in (1, 2))
        assert (left, right) == (pytest.approx(11.6, abs=0.1), 0)
        grid = Geometry.of(images[2])
        assert find_unmeasured(MeasuredCt.of(thigh, grid), thigh > 250, grid, "thigh").metal_ml == 0


class TestBlankVoxels:
    def test_padding(self) -> None:
        mask = np.ones(SHAPE, bool)
        found = _found(padded_with(leg(), -2000), mask)
        _, y, x = np.indices(SHAPE)
        assert (found.blank_zyx == (np.hypot(y - 23.5, x - 23.5) > 24)).all()
        assert _codes(found) == ["mask-padding"]

    def test_values_that_are_no_numbers(self) -> None:
        ct = leg().astype(np.float32)
        ct[10, 23, 20:23] = np.nan
        ct[11, 23, 23] = np.inf
        found = _found(ct)
        assert found.blank_zyx.sum() == 4
        assert found.metal_ml == 0
        assert _codes(found) == ["mask-padding"]
        assert "4 voxels" in str(found.findings[0])

    def test_none_in_an_ordinary_ct(self) -> None:
        found = _found(leg())
        assert not (found.metal_zyx | found.blank_zyx).any()
        assert not found.findings

    def test_marrow_is_not_padding(self) -> None:
        """A CT without noise has thousands of voxels with the same value of marrow."""
        ct = leg(noise_hu=0)
        assert (ct == MARROW).sum() > 0
        assert not _found(ct).blank_zyx.any()
