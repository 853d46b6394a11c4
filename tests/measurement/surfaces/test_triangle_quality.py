"""Quality of meshes whose angles, edges, areas and topology are known."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.surfaces.triangle_quality import (
    MeshQuality,
    faulty_places,
    mesh_quality,
    quality_columns,
    topology,
)
from tests.measurement.closed_meshes import TETRAHEDRON


def test_a_regular_tetrahedron() -> None:
    quality = mesh_quality(TETRAHEDRON)
    edge = math.sqrt(8)
    assert (quality.triangles, quality.points, quality.components, quality.genus) == (4, 4, 1, 0)
    assert quality.closed
    for name in ("smallest_angle_deg", "smallest_angle_p5_deg", "largest_angle_deg"):
        assert getattr(quality, name) == pytest.approx(60)
    assert quality.radius_ratio_max == pytest.approx(1)
    for name in ("edge_mean_mm", "edge_min_mm", "edge_max_mm"):
        assert getattr(quality, name) == pytest.approx(edge)
    assert quality.edge_sd_mm == pytest.approx(0, abs=1e-9)
    assert quality.area_cm2 == pytest.approx(math.sqrt(3) * edge**2 / 100)
    assert quality.volume_ml == pytest.approx(edge**3 / (6 * math.sqrt(2)) / 1000)


def test_a_right_angled_triangle() -> None:
    """Sides 3, 4, 5: circumscribed radius 2.5, inscribed radius 1."""
    quality = mesh_quality(Surface(np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]), np.array([[0, 1, 2]])))
    assert quality.smallest_angle_deg == pytest.approx(math.degrees(math.atan(3 / 4)))
    assert quality.largest_angle_deg == pytest.approx(90)
    assert quality.radius_ratio_max == pytest.approx(1.25)
    assert (quality.faulty_edges, quality.closed) == (3, False)


def test_a_triangle_without_area() -> None:
    quality = mesh_quality(Surface(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([[0, 1, 2]])))
    assert quality.smallest_angle_deg == pytest.approx(0)
    assert quality.radius_ratio_max == math.inf


def test_a_triangle_that_faces_inwards_is_a_fault() -> None:
    triangles = TETRAHEDRON.triangles.copy()
    triangles[0] = triangles[0, ::-1]
    assert mesh_quality(Surface(TETRAHEDRON.points_mm, triangles)).faulty_edges == 3


def test_bodies_that_touch_in_a_point() -> None:
    other = 2 * TETRAHEDRON.points_mm[0] - TETRAHEDRON.points_mm[:, [1, 0, 2]]
    points = np.vstack([TETRAHEDRON.points_mm, other])
    second = np.where(TETRAHEDRON.triangles == 0, -4, TETRAHEDRON.triangles)[:, ::-1] + 4
    surface = Surface(points, np.vstack([TETRAHEDRON.triangles, second]))
    faults = faulty_places(surface)
    assert (len(faults.edges), faults.points.tolist()) == (0, [0])
    assert faults.places_mm(surface).tolist() == [[1, 1, 1]]


def test_topology_of_a_torus_and_two_parts() -> None:
    """A grid of 12 x 8 points on a torus, and a tetrahedron beside it."""
    u, v = np.meshgrid(np.arange(12), np.arange(8), indexing="ij")
    a, b = u * 2 * np.pi / 12, v * 2 * np.pi / 8
    points = np.stack([(5 + np.cos(b)) * np.cos(a), (5 + np.cos(b)) * np.sin(a), np.sin(b)], axis=-1).reshape(-1, 3)

    def number(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return (i % 12) * 8 + j % 8

    one = np.stack([number(u, v), number(u + 1, v), number(u + 1, v + 1)], axis=-1).reshape(-1, 3)
    two = np.stack([number(u, v), number(u + 1, v + 1), number(u, v + 1)], axis=-1).reshape(-1, 3)
    torus = Surface(points, np.vstack([one, two]))
    assert topology(torus) == (1, 1)
    assert mesh_quality(torus).closed
    both = Surface(
        np.vstack([points, TETRAHEDRON.points_mm + 20]), np.vstack([torus.triangles, TETRAHEDRON.triangles + 96])
    )
    assert topology(both) == (2, 1)


def test_every_field_is_a_column_with_a_label() -> None:
    columns = quality_columns(MeshQuality)
    assert list(columns) == [each.name for each in fields(MeshQuality)]
    assert all(label for label, _ in columns.values())
