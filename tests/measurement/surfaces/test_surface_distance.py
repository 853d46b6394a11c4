"""Distances from a surface: known for a cube."""

from __future__ import annotations

import numpy as np

from nnunet_femur.measurement.surfaces.surface_distance import samples_of, signed_distance_to
from tests.measurement.closed_meshes import TETRAHEDRON


def test_signs_and_values() -> None:
    distance = signed_distance_to(TETRAHEDRON)
    # Planes of the faces: x + y - z = 1 and so on, one of them at (-1, -1, -1) / 3; a corner at (1, 1, 1).
    points = np.array([[0.0, 0, 0], [-1, -1, -1], [2, 2, 2], [1, 1, 1]])
    np.testing.assert_allclose(distance(points), [-1 / 3**0.5, 2 / 3**0.5, 3**0.5, 0], atol=1e-6)


def test_samples_are_corners_centres_and_middles() -> None:
    samples = samples_of(TETRAHEDRON)
    assert len(samples) == 4 + 4 + 6
    assert np.array_equal(samples[:4], TETRAHEDRON.points_mm)
    np.testing.assert_allclose(signed_distance_to(TETRAHEDRON)(samples), 0, atol=1e-6)
