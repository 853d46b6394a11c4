"""Axes, bow and isthmus of tubes with known centre lines and areas."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nnunet_femur.measurement.landmarks import Line
from nnunet_femur.measurement.shape.mesh import BoneMesh
from nnunet_femur.measurement.shape.mesh_sections import plane_sections
from nnunet_femur.measurement.shape.shaft import (
    ShaftProfile,
    axis_between,
    elongation,
    loop_at,
    principal_axis,
    shaft_axis,
)
from tests.measurement.solids import ball, femur, rod, solid

UP = np.array([0.0, 0.0, 1.0])
MIDDLE = Line(np.zeros(3), UP)


def _bent(sagitta_mm=8.0, half_mm=100.0):
    """A round rod of 12 mm whose centre line is a parabola in x: 0 in the middle, `sagitta_mm` at both ends."""
    return solid(
        lambda x, y, z: np.maximum(np.hypot(x - sagitta_mm * (z / half_mm) ** 2, y) - 12, np.abs(z) - half_mm),
        (25.0, 14.0, half_mm),
        1.0,
    )


def _waisted(level_mm=-20.0, half_mm=100.0):
    """A round rod whose radius is 10 mm at a height and grows with the square of the distance."""
    return solid(
        lambda x, y, z: np.maximum(np.hypot(x, y) - 10 - 4e-4 * (z - level_mm) ** 2, np.abs(z) - half_mm),
        (17.0, 17.0, half_mm),
        1.0,
    )


def test_axis_of_a_rod_in_any_direction():
    turn = Rotation.random(random_state=4).as_matrix()
    mesh = BoneMesh(rod().points_mm @ turn.T + [9, 8, 7], rod().triangles)
    axis = shaft_axis(mesh, principal_axis(mesh))
    assert abs(axis.direction @ turn[:, 2]) == pytest.approx(1, abs=1e-6)
    assert axis.distance_mm(np.array([9.0, 8.0, 7.0])) < 0.02
    assert axis.rms_mm < 0.02


def test_elongation_of_balls_and_rods():
    """A ball has 1. The wall of a rod has the variances L²/12 along it and r²/2 across; its caps have L²/4 and r²/4."""
    assert elongation(ball()) == pytest.approx(1, abs=0.01)
    wall, caps, length, radius = 2 * np.pi * 10 * 200, 2 * np.pi * 100, 200, 10
    ratio = (wall * length**2 / 12 + caps * length**2 / 4) / (wall * radius**2 / 2 + caps * radius**2 / 4)
    assert elongation(rod((10.0, 10.0))) == pytest.approx(np.sqrt(ratio), rel=0.01)


def test_a_zone_outside_the_bone_has_no_axis():
    assert axis_between(rod(), MIDDLE, np.zeros(3), 50.0, 150.0) is None
    assert axis_between(rod(), MIDDLE, np.zeros(3), 20.0, 80.0).direction == pytest.approx(UP, abs=1e-6)


def test_bow_of_a_parabola():
    """Between 20 and 80 % of the length, the chord is at 0.6² of the sagitta of the ends."""
    profile = ShaftProfile.of(_bent(), MIDDLE)
    assert profile.bow_mm(np.array([1.0, 0, 0])) == pytest.approx(-8 * 0.36, abs=0.05)
    assert profile.bow_mm(np.array([0.0, 1, 0])) == pytest.approx(0, abs=0.02)
    assert profile.length_mm == pytest.approx(200, abs=0.3)


def test_isthmus_of_a_waisted_rod():
    """The smallest section is at z = -20, 60 % below the top, and has a diameter of 20 mm."""
    diameter, level = ShaftProfile.of(_waisted(), MIDDLE).isthmus()
    assert level == pytest.approx(0.6, abs=0.002)
    assert diameter == pytest.approx(20, abs=0.06)


def test_area_at_a_level():
    profile = ShaftProfile.of(_waisted(), MIDDLE)
    assert profile.area_at(0.5) == pytest.approx(np.pi * (10 + 4e-4 * 400) ** 2, rel=5e-3)


def test_the_curve_around_the_axis_is_chosen():
    """At the level of the head, a section of a femur has several curves; none of them is around a shaft far away."""
    (loops,) = plane_sections(femur(), UP, np.array([402.0]))
    assert loop_at(loops, Line(np.array([46.0, -8.0, 0.0]), UP), 402.0) is not None
    assert loop_at(loops, Line(np.array([200.0, 0, 0]), UP), 402.0) is None
