"""Geometry of volumes, orders of axes, and names of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import (
    AxisOrder,
    Geometry,
    image_of,
    is_segmentation_name,
    oriented,
    stem,
    volume_ending,
)
from tests.refusing import names

LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((4, 3, 2), (0.5, 1.0, 2.0), (10.0, -20.0, 30.0), LPS)
ARRAY_ZYX = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
ORIENTATIONS = ("LPS", "RAS", "SLA", "PIR", "ILA", "ASR")


def _image(geometry: Geometry = GRID) -> sitk.Image:
    return image_of(ARRAY_ZYX, geometry)


class TestGeometry:
    def test_of_an_image(self):
        assert Geometry.of(_image()) == GRID
        assert GRID.shape_zyx == ARRAY_ZYX.shape
        assert GRID.voxel_volume_ml == pytest.approx(0.001)

    def test_differences_as_text(self):
        other = Geometry((4, 3, 5), (0.5, 1.0, 2.5), (10.0, -20.0, 30.0), LPS)
        size, spacing = GRID.differences(other)
        assert names(size, "(4, 3, 2)", "(4, 3, 5)")
        assert names(spacing, "(0.5, 1, 2)", "(0.5, 1, 2.5)", "mm")

    @pytest.mark.parametrize(("shift_mm", "differs"), [(0.0049, False), (0.0051, True), (float("nan"), True)])
    def test_tolerance(self, shift_mm, differs):
        other = Geometry(GRID.size_xyz, GRID.spacing_mm_xyz, (10.0 + shift_mm, -20.0, 30.0), LPS)
        assert bool(GRID.differences(other)) is differs


class TestAxisOrder:
    @pytest.mark.parametrize("orientation", ORIENTATIONS)
    def test_agrees_with_simpleitk(self, orientation):
        turned = oriented(_image(), orientation)
        order = AxisOrder.between(GRID, Geometry.of(turned))
        ours, theirs = order.of_geometry(GRID), Geometry.of(turned)
        assert ours.size_xyz == theirs.size_xyz
        assert ours.differences(theirs, tolerance_voxels=1e-9) == []
        np.testing.assert_array_equal(order.of_array(ARRAY_ZYX), sitk.GetArrayFromImage(turned))

    def test_nothing_to_change(self):
        assert AxisOrder.between(GRID, GRID).changes_nothing
        assert not AxisOrder.between(GRID, Geometry.of(oriented(_image(), "RAS"))).changes_nothing

    def test_oblique(self):
        c, s = np.cos(0.3), np.sin(0.3)
        tilted = Geometry(GRID.size_xyz, GRID.spacing_mm_xyz, GRID.origin_mm_xyz, (c, -s, 0, s, c, 0, 0, 0, 1))
        turned = Geometry.of(oriented(_image(tilted), "RAS"))
        assert AxisOrder.between(tilted, turned).of_geometry(tilted).differences(turned, tolerance_voxels=1e-9) == []


class TestOriented:
    @pytest.mark.parametrize("orientation", ORIENTATIONS)
    def test_there_and_back(self, orientation):
        back = oriented(oriented(_image(), orientation), "LPS")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(back), ARRAY_ZYX)
        assert Geometry.of(back).differences(GRID, tolerance_voxels=1e-9) == []

    def test_ras_flips_x_and_y_of_an_lps_volume(self):
        ras = oriented(_image())
        np.testing.assert_array_equal(sitk.GetArrayFromImage(ras), ARRAY_ZYX[:, ::-1, ::-1])
        assert ras.GetOrigin() == (10.0 + 3 * 0.5, -20.0 + 2 * 1.0, 30.0)


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.NRRD", ".nrrd"), ("a.seg.nrrd", ".nrrd"), ("a.nii.gz", ".nii.gz"), ("a.gz", None), ("nrrd", None)],
)
def test_volume_ending(name, ending):
    assert volume_ending(Path(name)) == ending


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[("L1.nii.gz", "L1"), ("L1.SEG.NRRD", "L1"), ("L1.seg.nii", "L1"), ("L1.v2.nrrd", "L1.v2")],
        *[("L1.seg.dcm", "L1"), ("L1.RTSTRUCT.dcm", "L1"), ("rtstruct.dcm", "rtstruct")],
        *[("L104_CT.dcm", "L104_CT"), ("x.IMA", "x"), ("1.2.840.113", "1.2.840.113"), ("IM1", "IM1")],
    ],
)
def test_stem(name: str, expected: str) -> None:
    assert stem(Path(name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[("L1.seg.nrrd", True), ("L1.Seg.NRRD", True), ("L1.nrrd", False), ("seg.nrrd", False)],
        *[("L1.seg.dcm", True), ("L1.rtstruct.dcm", True), ("L1.dcm", False), ("1.2.seg", False)],
    ],
)
def test_names_of_segmentations(name: str, expected: bool) -> None:
    assert is_segmentation_name(Path(name)) is expected
