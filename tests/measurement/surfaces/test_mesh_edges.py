"""Edges of meshes, counted by hand."""

from __future__ import annotations

import numpy as np

from nnunet_femur.measurement.surfaces.mesh_edges import directed_edges, unique_edges
from tests.measurement.closed_meshes import TETRAHEDRON


def test_edges_of_a_tetrahedron() -> None:
    edges, numbers = unique_edges(TETRAHEDRON.triangles)
    assert edges.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    for triangle, of_triangle in zip(TETRAHEDRON.triangles, numbers, strict=True):
        for corner, number in enumerate(of_triangle):
            assert set(edges[number]) == {triangle[corner], triangle[(corner + 1) % 3]}
    assert len(directed_edges(TETRAHEDRON.triangles)) == 12


def test_no_triangles() -> None:
    edges, numbers = unique_edges(np.empty((0, 3), np.int64))
    assert (edges.shape, numbers.shape) == ((0, 2), (0, 3))
