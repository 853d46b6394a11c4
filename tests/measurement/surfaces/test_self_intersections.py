"""Crossing triangles: by hand, and against a mesh that is pushed through itself."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.surfaces.self_intersections import crossing_triangles
from tests.measurement.closed_meshes import TETRAHEDRON

FLAT = [[0.0, 0, 0], [4, 0, 0], [0, 4, 0]]


@pytest.mark.parametrize(
    ("other", "crosses"),
    [
        ([[1, 1, -1], [1, 1, 1], [3, 3, 1]], True),
        # Both edges of the other pass beside the triangle, but its own edge passes through the other.
        ([[1, -1, -3], [1, -1, 3], [1, 9, 0.1]], True),
        ([[1, 1, 1], [1, 2, 1], [2, 1, 2]], False),
        ([[3, 3, -1], [3, 3, 1], [5, 5, 0]], False),
        # Within the same plane, and with a corner on it.
        ([[5, 0, 0], [9, 0, 0], [5, 4, 0]], False),
        ([[1, 1, 0], [1, 1, 2], [2, 1, 2]], False),
    ],
)
def test_two_triangles(other: list, crosses: bool) -> None:
    surface = Surface(np.array([*FLAT, *other], float), np.array([[0, 1, 2], [3, 4, 5]]))
    assert crossing_triangles(surface).tolist() == ([[0, 1]] if crosses else [])


@pytest.mark.parametrize(("z_mm", "crosses"), [((-1.0, 1.0), True), ((1.0, 1.0), False), ((0.0, 0.0), False)])
def test_triangles_with_a_common_corner(z_mm: tuple[float, float], crosses: bool) -> None:
    other = [[3, 0.5, z_mm[0]], [0.5, 3, z_mm[1]]] if crosses else [[3, 0.5, z_mm[0]], [-3, 0.5, z_mm[1]]]
    points = np.array([*FLAT, *other], float)
    crossed = crossing_triangles(Surface(points, np.array([[0, 1, 2], [0, 3, 4]])))
    assert len(crossed) == crosses


def test_a_fold_along_a_common_edge() -> None:
    points = np.array([*FLAT, [1.0, 1, 0], [4, 4, 0]])
    assert len(crossing_triangles(Surface(points, np.array([[0, 1, 2], [1, 0, 3]])))) == 1
    assert len(crossing_triangles(Surface(points, np.array([[0, 1, 2], [2, 1, 4]])))) == 0


def test_bodies_that_overlap() -> None:
    shifted = Surface(TETRAHEDRON.points_mm + np.array([0.5, 0.1, 0.2]), TETRAHEDRON.triangles)
    both = Surface(
        np.vstack([TETRAHEDRON.points_mm, shifted.points_mm]), np.vstack([TETRAHEDRON.triangles, shifted.triangles + 4])
    )
    found = crossing_triangles(both)
    assert len(found)
    assert (found[:, 0] < 4).all()
    assert (found[:, 1] >= 4).all()
    assert len(crossing_triangles(TETRAHEDRON)) == 0
    assert len(crossing_triangles(Surface(np.empty((0, 3)), np.empty((0, 3), np.int64)))) == 0
