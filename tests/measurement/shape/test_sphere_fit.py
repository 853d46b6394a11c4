"""Spheres found on surfaces that contain other shapes, and refined with weights."""

import numpy as np
import pytest

from nnunet_femur.measurement.landmarks import Sphere
from nnunet_femur.measurement.shape.mesh import BoneMesh
from nnunet_femur.measurement.shape.sphere_fit import find_spheres, refine_sphere, tapered
from tests.measurement.solids import ball, rod


def _joined(*parts):
    meshes = [BoneMesh(mesh.points_mm + shift, mesh.triangles) for mesh, shift in parts]
    starts = np.cumsum([0, *(len(mesh.points_mm) for mesh in meshes)])
    return BoneMesh(
        np.vstack([mesh.points_mm for mesh in meshes]),
        np.vstack([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)]),
    )


def test_the_ball_is_found_beside_a_larger_rod():
    mesh = _joined((rod(), [0, 0, 0]), (ball(20.0), [30, -10, 90]))
    best = find_spheres(mesh)[0]
    assert best.center_mm == pytest.approx([30, -10, 90], abs=1.0)
    assert best.radius_mm == pytest.approx(20, abs=1.0)


def test_the_same_seed_finds_the_same_spheres():
    one, two = find_spheres(ball(20.0)), find_spheres(ball(20.0))
    assert [tuple(each.center_mm) for each in one] == [tuple(each.center_mm) for each in two]


def test_few_triangles_have_no_sphere():
    assert find_spheres(ball(20.0).part(np.arange(len(ball(20.0).triangles)) < 20)) == []


def _all(sphere, distance, radial, cosine):
    return np.ones_like(distance)


def test_a_whole_ball_is_fitted_exactly():
    mesh = ball(20.0, 0.5)
    shifted = BoneMesh(mesh.points_mm + np.array([3, 4, 5]), mesh.triangles)
    fitted = refine_sphere(shifted, Sphere(np.array([1.0, 7.0, 3.0]), 17.0), _all)
    assert fitted.center_mm == pytest.approx([3, 4, 5], abs=1e-3)
    assert fitted.radius_mm == pytest.approx(20, abs=0.01)
    assert fitted.covered == pytest.approx(1, abs=2e-3)
    assert fitted.rms_mm < 0.01


def test_a_half_ball_has_the_same_centre_and_half_the_cover():
    def upper(sphere, distance, radial, cosine):
        return (radial[:, 2] > 0).astype(float)

    fitted = refine_sphere(ball(20.0, 0.5), Sphere(np.array([0.5, 0.0, 0.0]), 19.0), upper)
    assert fitted.center_mm == pytest.approx([0, 0, 0], abs=0.02)
    assert fitted.covered == pytest.approx(0.5, abs=0.01)


def test_without_weights_there_is_no_sphere():
    fitted = refine_sphere(ball(20.0), Sphere(np.zeros(3), 20.0), lambda *given: np.zeros(len(given[1])))
    assert fitted.rms_mm == np.inf
    assert fitted.covered == 0


def test_weights_are_a_smooth_step():
    assert tapered(np.array([-1.0, 0.25, 0.5, 0.75, 2.0]), 0.0, 1.0) == pytest.approx([0, 0.15625, 0.5, 0.84375, 1])
