"""Smoothed surface of a mask: orientation, areas, parts, and the size before the filter."""

import numpy as np
import pytest

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.measurement.shape.mesh import BoneMesh
from tests.measurement.solids import IDENTITY, ball, femur, grid_of


def _ball_mask(radius_mm, spacing):
    size = [2 * int(np.ceil(radius_mm / s)) + 3 for s in spacing]
    x, y, z = (((np.arange(n) - n // 2) * s) for n, s in zip(size, spacing, strict=True))
    mask = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < radius_mm**2
    return mask, tuple(-(n // 2) * s for n, s in zip(size, spacing, strict=True))


@pytest.mark.parametrize("direction", [IDENTITY, (-1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 1, 0, 1, 0, 0, 0, 0, 1)])
def test_triangles_face_outwards_in_every_direction_matrix(direction):
    mask, _ = _ball_mask(12.0, (1, 1, 1))
    mesh = BoneMesh.of_mask(mask, Geometry(mask.shape[::-1], (1, 1, 1), (5, 6, 7), direction))
    center = np.average(mesh.centers_mm, axis=0, weights=mesh.areas_mm2)
    assert (((mesh.centers_mm - center) * mesh.normals).sum(1)[mesh.areas_mm2 > 1e-9] > 0).all()
    assert mesh.volume_ml == pytest.approx(4 / 3 * np.pi * 12**3 / 1000, rel=0.035)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 2.0, 3.0), (0.8, 0.8, 2.0)])
def test_the_radius_before_the_filter(spacing):
    """The filter makes a ball smaller; the correction gives its radius back to 0.05 mm."""
    radius = 22.0
    mask, origin = _ball_mask(radius, spacing)
    mesh = BoneMesh.of_mask(mask, Geometry(mask.shape[::-1], spacing, origin, IDENTITY))
    smooth = float(np.average(np.linalg.norm(mesh.centers_mm, axis=1), weights=mesh.areas_mm2))
    assert smooth < radius - 0.02
    assert abs(mesh.unsmoothed_radius_mm(smooth) - radius) < 0.05 * max(spacing)


def test_an_empty_mask_has_no_triangles():
    assert not len(BoneMesh.of_mask(np.zeros((5, 5, 5)), grid_of((5, 5, 5))).triangles)


def test_a_bone_at_the_border_is_closed():
    mesh = BoneMesh.of_mask(np.ones((10, 10, 10)), grid_of((10, 10, 10), 2.0))
    assert mesh.volume_ml == pytest.approx(8.0, rel=0.06)


def test_areas_of_a_ball():
    mesh = ball(20.0)
    assert mesh.areas_mm2.sum() == pytest.approx(4 * np.pi * 400, rel=3e-3)
    lengths = np.linalg.norm(mesh.normals, axis=1)
    assert np.abs(lengths[mesh.areas_mm2 > 1e-12] - 1).max() < 1e-9


def test_a_thinned_mesh_stands_for_the_whole_area():
    whole, thin = femur(), femur().thinned(2000)
    assert 2000 <= len(thin.triangles) < 4000
    # Every n-th triangle is a sample of the areas.
    assert thin.areas_mm2.sum() == pytest.approx(whole.areas_mm2.sum(), rel=0.05)


def test_parts_of_a_ball():
    mesh = ball(20.0)
    top = mesh.between(np.array([0.0, 0, 1]), 10.0, 99.0)
    assert top.points_mm[:, 2].min() > 8.0
    assert top.areas_mm2.sum() == pytest.approx(2 * np.pi * 20 * 10, rel=0.06)
    cap = mesh.near(np.array([20.0, 0, 0]), 5.0)
    assert 0 < len(cap.triangles) < 0.05 * len(mesh.triangles)


def test_fragments_are_dropped():
    """A ball with a speck beside it and a bubble inside is the ball alone; a second bone stays."""
    z, y, x = np.indices((40, 40, 90))
    mask = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 225
    ball_alone = BoneMesh.of_mask(mask, grid_of(mask.shape)).without_fragments()
    damaged = mask.copy()
    damaged[2:4, 2:4, 2:4] = True
    damaged[19:22, 19:22, 19:22] = False
    kept = BoneMesh.of_mask(damaged, grid_of(mask.shape)).without_fragments()
    assert kept.volume_ml == pytest.approx(ball_alone.volume_ml)
    pair = mask | ((z - 20) ** 2 + (y - 20) ** 2 + (x - 60) ** 2 < 100)
    assert BoneMesh.of_mask(pair, grid_of(mask.shape)).without_fragments().volume_ml > 1.2 * ball_alone.volume_ml
