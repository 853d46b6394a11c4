"""Flat faces at the ends of solids whose cuts are known."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.measurement.shape.flat_faces import LARGEST_TILT_DEG, flat_face, section_area_mm2
from nnunet_femur.measurement.shape.mesh import BoneMesh

GRID = Geometry((60, 60, 80), (1.0, 1.0, 1.5), (-30.0, -30.0, -60.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
UP = np.array([0.0, 0.0, 1.0])


def rod(normal=(0.0, 0.0, 1.0), *, radius_mm: float = 20.0, height_mm: float = 30.0) -> BoneMesh:
    """A rod along z with a round lower end, cut by a plane at a height."""
    z, y, x = np.indices(GRID.shape_zyx)
    x, y, z = x - 30.0, y - 30.0, 1.5 * z - 60.0
    inside = np.sqrt(x**2 + y**2 + np.minimum(z + 30, 0) ** 2) < radius_mm
    below = x * normal[0] + y * normal[1] + z * normal[2] < height_mm * normal[2]
    return BoneMesh.of_mask(inside & below, GRID)


class TestFlatFace:
    @pytest.mark.parametrize("tilt_deg", [0, 12, 25, 35])
    @pytest.mark.parametrize("turn_deg", [0, 100])
    def test_of_a_cut_is_found_at_any_tilt(self, tilt_deg, turn_deg):
        tilt, turn = np.radians([tilt_deg, turn_deg])
        normal = np.array([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)])
        face = flat_face(rod(normal), UP)
        assert np.degrees(np.arccos(face.normal @ normal)) < 2
        assert face.tilt_deg == pytest.approx(tilt_deg, abs=2)
        # An ellipse, of which the edge is rounded by the smoothing of the mask.
        assert 0.75 < face.area_mm2 / (np.pi * 20**2 / np.cos(tilt)) < 1.02
        assert face.share > 0.75

    def test_of_a_hemisphere_is_a_cap_of_one_or_two_millimetres(self):
        face = flat_face(rod(), -UP)
        assert 2 * np.pi * 20 * 1.0 < face.area_mm2 < 2 * np.pi * 20 * 3.0
        assert face.share < 0.5

    def test_on_the_side_is_not_at_the_end(self):
        """A rod cut lengthwise has a large flat side."""
        z, y, x = np.indices(GRID.shape_zyx)
        ball = np.clip(np.abs(1.5 * z - 60.0) - 30, 0, None)
        capsule = np.sqrt((x - 30.0) ** 2 + (y - 30.0) ** 2 + ball**2) < 20
        whole, halved = (flat_face(BoneMesh.of_mask(mask, GRID), UP) for mask in (capsule, capsule & (x < 32)))
        assert halved.tilt_deg <= LARGEST_TILT_DEG + 5
        assert halved.area_mm2 < 1.5 * whole.area_mm2

    def test_of_a_surface_that_faces_inwards_is_empty(self):
        mesh = rod()
        face = flat_face(BoneMesh(mesh.points_mm, mesh.triangles[:, ::-1]), UP)
        assert (face.share, face.weight_mm2) == (0, 0)


class TestSectionArea:
    @pytest.mark.parametrize("level_mm", [-20.0, 0.0, 20.0])
    def test_of_a_rod(self, level_mm):
        assert section_area_mm2(rod(), UP, level_mm) == pytest.approx(np.pi * 20**2, rel=0.02)

    def test_outside_is_zero(self):
        assert section_area_mm2(rod(), UP, 100.0) == 0
        assert section_area_mm2(rod(), UP, -100.0) == pytest.approx(0, abs=1e-6)
