"""Remeshing: edge lengths as stated, more points where the density is higher, and on the surface on average."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.surface_mesh import bone_surface
from nnunet_femur.measurement.surfaces.remeshing import fitted, remeshed
from nnunet_femur.measurement.surfaces.surface_distance import samples_of, signed_distance_to
from nnunet_femur.measurement.surfaces.triangle_quality import mesh_quality
from tests.measurement.closed_meshes import ellipsoid, facts

BALL = bone_surface(*ellipsoid((20, 20, 20), (1, 1, 1)))


@pytest.mark.parametrize("edge_mm", [1.5, 3.0, 6.0])
def test_edges_have_the_stated_length(edge_mm: float) -> None:
    mesh = remeshed(BALL, edge_mm)
    quality = mesh_quality(mesh)
    assert facts(mesh) == (True, 2)
    assert quality.edge_mean_mm == pytest.approx(edge_mm, rel=0.06)
    assert quality.edge_sd_mm < 0.2 * edge_mm
    assert quality.smallest_angle_deg > 25
    assert quality.volume_ml > 0, "faces outwards"


def test_a_higher_density_gives_shorter_edges() -> None:
    pole = BALL.points_mm[:, 2] > BALL.points_mm[:, 2].mean() + 10
    mesh = remeshed(BALL, 3.0, np.where(pole, 4.0, 1.0))
    middles = mesh.points_mm[mesh.triangles].mean(axis=1)[:, 2] - BALL.points_mm[:, 2].mean()
    edges_mm = np.linalg.norm(mesh.points_mm[mesh.triangles[:, 0]] - mesh.points_mm[mesh.triangles[:, 1]], axis=1)
    assert edges_mm[middles > 13].mean() == pytest.approx(1.5, rel=0.15)
    assert edges_mm[middles < 5].mean() == pytest.approx(3.0, rel=0.1)
    assert facts(mesh) == (True, 2)


def test_fitting_restores_volume_and_halves_distances() -> None:
    distance = signed_distance_to(BALL)
    mesh = remeshed(BALL, 6.0)
    better = fitted(mesh, distance)
    assert mesh.volume_ml < 0.97 * BALL.volume_ml
    assert better.volume_ml == pytest.approx(BALL.volume_ml, rel=0.005)
    before, after = (np.sqrt((distance(samples_of(each)) ** 2).mean()) for each in (mesh, better))
    assert after < before / 2
    assert distance(samples_of(better)).mean() == pytest.approx(0, abs=0.06)


def test_is_the_same_each_time() -> None:
    one, other = remeshed(BALL, 4.0), remeshed(BALL, 4.0)
    assert np.array_equal(one.points_mm, other.points_mm)
    assert np.array_equal(one.triangles, other.triangles)
