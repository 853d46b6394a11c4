"""Transfer of a mask onto its CT's grid."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.boxes import box_of, start_of
from nnunet_femur.imaging.geometry import Geometry, image_of
from nnunet_femur.imaging.grids import Placement, Relation, onto_image

LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
CT = Geometry((30, 24, 20), (1.0, 1.5, 2.0), (10.0, -20.0, 30.0), LPS)


def _ball(geometry: Geometry, radius_mm: float = 10.0) -> np.ndarray:
    """A ball around (24, -3, 48) mm on any grid."""
    index = np.argwhere(np.ones(geometry.shape_zyx, bool))[:, ::-1]
    steps = np.reshape(geometry.direction, (3, 3)) * geometry.spacing_mm_xyz
    points = index @ steps.T + geometry.origin_mm_xyz
    inside = np.linalg.norm(points - (24.0, -3.0, 48.0), axis=1) < radius_mm
    return inside.reshape(geometry.shape_zyx)


def _transferred(mask: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, float, Relation]:
    way = Placement.of(geometry, CT, trust="headers")
    turned = way.order.of_array(mask)
    box = box_of(turned)
    femur = onto_image(turned[box], start_of(box), way, CT)
    full = np.zeros(CT.shape_zyx, bool)
    full[femur.slices] = femur.voxels_zyx
    return full, femur.outside, way.relation


def _rotated(degrees: float) -> tuple[float, ...]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0)


class TestOntoImage:
    @pytest.mark.parametrize(
        "box",
        [np.s_[0:20, 0:24, 0:30], np.s_[2:17, 3:20, 2:28], np.s_[3:15, 3:22, 4:25]],
        ids=["same", "cropped", "tight"],
    )
    @pytest.mark.parametrize("orientation", ["LPS", "RAS", "SLA", "PIR"])
    def test_the_same_lattice_is_placed_exactly(self, box, orientation):
        ball = _ball(CT)
        start = np.array([extent.start for extent in box])[::-1]
        part = Geometry(
            ball[box].shape[::-1], CT.spacing_mm_xyz, tuple(CT.origin_mm_xyz + start * CT.spacing_mm_xyz), LPS
        )
        turned = sitk.DICOMOrient(image_of(ball[box].astype(np.uint8), part), orientation)
        full, outside, relation = _transferred(sitk.GetArrayFromImage(turned) > 0, Geometry.of(turned))
        np.testing.assert_array_equal(full, ball)
        assert outside == 0
        assert relation is (Relation.SAME if part.size_xyz == CT.size_xyz else Relation.SHIFTED)

    def test_a_larger_box_is_cut_to_the_ct(self):
        wide = Geometry((40, 34, 30), CT.spacing_mm_xyz, (5.0, -27.5, 20.0), LPS)
        full, outside, relation = _transferred(_ball(wide), wide)
        np.testing.assert_array_equal(full, _ball(CT))
        assert (outside, relation) == (0, Relation.SHIFTED)

    @pytest.mark.parametrize(
        "mask",
        [
            Geometry((70, 70, 70), (0.5, 0.6, 0.7), (8.0, -22.0, 29.0), LPS),
            Geometry((60, 60, 60), (0.8, 0.8, 0.8), (10.0, -20.0, 30.0), _rotated(20)),
            Geometry((30, 24, 20), CT.spacing_mm_xyz, (10.3, -20.0, 30.4), LPS),
        ],
        ids=["finer", "rotated", "half-way"],
    )
    def test_another_grid_gives_what_simpleitk_gives(self, mask):
        ball = _ball(mask)
        full, outside, relation = _transferred(ball, mask)
        whole = sitk.Resample(
            image_of(ball.astype(np.uint8), mask),
            image_of(np.zeros(CT.shape_zyx, np.uint8), CT),
            sitk.Transform(),
            sitk.sitkNearestNeighbor,
        )
        np.testing.assert_array_equal(full, sitk.GetArrayFromImage(whole) > 0)
        assert (outside, relation) == (0, Relation.OTHER)
        assert full.sum() == pytest.approx(_ball(CT).sum(), rel=0.03)

    @pytest.mark.parametrize("spacing", [(1.0, 1.5, 2.0), (1.1, 1.5, 2.0)], ids=["shifted", "other"])
    def test_the_part_outside_the_ct(self, spacing):
        mask = Geometry((6, 4, 4), spacing, (37.0, -10.0, 40.0), LPS)
        full, outside, _ = _transferred(np.ones(mask.shape_zyx, bool), mask)
        assert outside == pytest.approx(0.5, abs=0.01)
        assert full.sum() == 3 * 4 * 4

    @pytest.mark.parametrize(
        ("x_mm", "apart"), [(39.0, False), (39.6, True), (-100.0, True), (9.0, True), (9.6, False)]
    )
    def test_apart(self, x_mm, apart):
        mask = Geometry((1, 24, 20), CT.spacing_mm_xyz, (x_mm, -20.0, 30.0), LPS)
        assert (Placement.of(mask, CT).relation is Relation.APART) is apart
