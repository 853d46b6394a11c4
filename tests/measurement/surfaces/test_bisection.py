"""Divided triangles: closed, of the same shape, with angles of at least half the smallest."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.surface_mesh import bone_surface
from nnunet_femur.measurement.surfaces.bisection import bisected, divided
from nnunet_femur.measurement.surfaces.remeshing import remeshed
from nnunet_femur.measurement.surfaces.triangle_quality import mesh_quality
from tests.measurement.closed_meshes import TETRAHEDRON, ellipsoid, facts


@pytest.mark.parametrize("marked", [[True, False, False, False], [True] * 4, [False, True, False, True]])
def test_a_tetrahedron_keeps_its_volume(marked: list[bool]) -> None:
    finer = bisected(TETRAHEDRON, np.array(marked))
    assert facts(finer) == (True, 2)
    assert finer.volume_ml == pytest.approx(TETRAHEDRON.volume_ml)
    assert len(finer.triangles) > 4


def test_new_points_are_middles_of_the_returned_edges() -> None:
    finer, ends = divided(TETRAHEDRON, np.ones(4, bool))
    np.testing.assert_allclose(finer.points_mm[4:], TETRAHEDRON.points_mm[ends].mean(axis=1))


def test_nothing_marked_changes_nothing() -> None:
    same = bisected(TETRAHEDRON, np.zeros(4, bool))
    assert np.array_equal(same.triangles, TETRAHEDRON.triangles)


def test_repeated_division_keeps_half_of_the_smallest_angle() -> None:
    mesh = remeshed(bone_surface(*ellipsoid((14, 9, 11), (1, 1, 1))), 4)
    before = mesh_quality(mesh)
    finer = mesh
    for _ in range(4):
        near = np.linalg.norm(finer.points_mm[finer.triangles].mean(axis=1) - mesh.points_mm[0], axis=1) < 3
        finer = bisected(finer, near)
    after = mesh_quality(finer)
    assert after.closed
    assert after.smallest_angle_deg >= before.smallest_angle_deg / 2
    assert after.volume_ml == pytest.approx(before.volume_ml)
    assert after.edge_min_mm < before.edge_min_mm / 2
    assert len(finer.triangles) < 3 * len(mesh.triangles), "only near the place"
