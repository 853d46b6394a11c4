"""The distal end of the analytic femur: contacts, spheres, knee centre, notch."""

import numpy as np
import pytest

from nnunet_femur.measurement.landmarks import Line, Sphere
from nnunet_femur.measurement.shape.condyles import find_distal_end, posterior_direction
from nnunet_femur.measurement.shape.mesh import BoneMesh
from tests.measurement.solids import FEMUR, femur

X, Y, Z = np.eye(3)
SHAFT = Line(np.zeros(3), Z)
HEAD = Sphere(np.array(FEMUR.head_mm), FEMUR.head_radius_mm)


def _found(mesh=None, *, medial=X, posterior=Y):
    return find_distal_end(mesh or femur(), SHAFT, HEAD, medial=medial, posterior=posterior)


def test_the_distal_end_is_behind_the_shaft():
    direction = posterior_direction(femur(), SHAFT)
    assert direction[1] > 6
    assert abs(direction[0]) < 4
    assert direction[2] == pytest.approx(0)


@pytest.mark.parametrize("turned_deg", [-15, 0, 15])
def test_a_first_posterior_direction_that_is_turned_gives_the_same_condyles(turned_deg):
    turn = np.deg2rad(turned_deg)
    found = _found(medial=np.cos(turn) * X - np.sin(turn) * Y, posterior=np.cos(turn) * Y + np.sin(turn) * X)
    assert found.to_medial == pytest.approx(X, abs=2e-3)
    assert found.posterior == pytest.approx(Y, abs=2e-3)
    for sphere, center in (
        (found.medial_condyle, FEMUR.condyle_medial_mm),
        (found.lateral_condyle, FEMUR.condyle_lateral_mm),
    ):
        assert sphere.center_mm == pytest.approx(center, abs=0.1)
        assert sphere.radius_mm == pytest.approx(19, abs=0.1)
    assert found.knee_center_mm == pytest.approx([0, 22, 31], abs=0.05)


def test_points_of_contact():
    found = _found()
    assert found.posterior_medial_mm == pytest.approx(np.array(FEMUR.condyle_medial_mm) + 19 * Y, abs=0.3)
    assert found.posterior_lateral_mm == pytest.approx(np.array(FEMUR.condyle_lateral_mm) + 19 * Y, abs=0.3)
    # The joint line falls by atan(7 / 50) to medial, so the points are not right below the centres.
    assert found.distal_medial_mm[2] == pytest.approx(0.2, abs=0.5)
    assert found.distal_lateral_mm[2] == pytest.approx(7.2, abs=0.5)


def test_the_notch_is_between_the_condyles():
    notch = _found().notch_mm
    assert abs(notch[0]) < 8
    # The flat end of the shaft, 24 mm above the lowest point, tilted by the mechanical axis.
    assert 20 < notch[2] < 28


def test_one_voxel_on_a_condyle_hardly_turns_the_line():
    """A single raised corner is a voxel of noise: a line through corners would turn by 2 degrees."""
    mesh = femur()
    points = mesh.points_mm.copy()
    lowest = np.argmax(np.where(points[:, 0] > 10, points[:, 1], -np.inf) - 1e3 * (points[:, 2] > 60))
    points[lowest] += 2.0 * Y
    found = _found(BoneMesh(points, mesh.triangles))
    assert np.rad2deg(np.arccos(found.to_medial @ X)) < 0.5
