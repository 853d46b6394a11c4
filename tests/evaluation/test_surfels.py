"""Surfaces by hand, and tables against google-deepmind/surface-distance."""

import numpy as np
import pytest

from nnunet_femur.evaluation import Bone
from nnunet_femur.evaluation.surfels import extract_surface, surfel_areas_mm2, surfel_lengths_mm

SPACINGS = [(1.0, 1.0, 1.0), (2.0, 0.74, 0.74), (0.3, 1.7, 4.2)]


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_tables_agree_with_surface_distance(spacing_mm):
    tables = pytest.importorskip("surface_distance.lookup_tables", reason="surface-distance is not installed")
    theirs = tables.create_table_neighbour_code_to_surface_area(spacing_mm)
    assert np.array_equal(surfel_areas_mm2(spacing_mm), theirs)
    theirs = tables.create_table_neighbour_code_to_contour_length(spacing_mm[:2])
    assert surfel_lengths_mm(spacing_mm[:2]) == pytest.approx(theirs, abs=1e-12)


def test_one_voxel_is_an_octahedron():
    mask = np.zeros((5, 6, 7), dtype=bool)
    mask[2, 3, 4] = True
    surface = Bone(mask, (2.0, 1.0, 3.0)).surface
    assert sorted(map(tuple, surface.corners.tolist())) == [(z, y, x) for z in (2, 3) for y in (3, 4) for x in (4, 5)]
    # Each corner cuts off a triangle through the middles of three edges; its normal is 1/8 of the faces' areas.
    triangle = np.linalg.norm(np.array([1 * 3, 2 * 3, 2 * 1]) / 8)
    assert surface.areas_mm2 == pytest.approx(triangle)


def test_a_face_has_its_area():
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[2:10, 2:10, 2:10] = True
    surface = Bone(mask, (2.0, 1.0, 3.0)).surface
    top = (surface.corners[:, 0] == 10) & ((surface.corners[:, 1:] > 2) & (surface.corners[:, 1:] < 10)).all(axis=1)
    assert np.count_nonzero(top) == 7 * 7
    assert surface.areas_mm2[top] == pytest.approx(1.0 * 3.0)


def test_a_pixel_is_a_rhombus():
    mask = np.zeros((4, 5), dtype=bool)
    mask[1, 2] = True
    contour = extract_surface(mask, (slice(1, 2), slice(2, 3)), (2.0, 1.0))
    assert len(contour.corners) == 4
    assert contour.areas_mm2.sum() == pytest.approx(4 * np.hypot(1.0, 0.5))


def test_a_bone_at_the_edge_of_the_volume_is_closed():
    full = np.ones((3, 4, 5), dtype=bool)
    inside = np.pad(full, 2)
    assert Bone(full, (1, 1, 1)).surface.areas_mm2.sum() == pytest.approx(
        Bone(inside, (1, 1, 1)).surface.areas_mm2.sum()
    )
