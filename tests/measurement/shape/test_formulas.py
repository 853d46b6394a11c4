"""Angles and lengths from vectors that can be checked by hand."""

import numpy as np
import pytest

from nnunet_femur.measurement.landmarks import Anatomy, Line, Sphere
from nnunet_femur.measurement.shape.formulas import angle_deg, longest_mm, proximal_values, version_deg, whole_values
from tests.measurement.solids import ball, femur, rod

X, Y, Z = np.eye(3)


@pytest.mark.parametrize(
    ("one", "other", "expected"), [(X, Y, 90), (X, X, 0), (X, -X, 180), (2 * X, X + np.sqrt(3) * Y, 60)]
)
def test_angles(one, other, expected):
    assert angle_deg(one, other) == pytest.approx(expected)


def test_tiny_angles_keep_their_digits():
    """The arc cosine would give 0 or 0.0000012."""
    assert angle_deg(X, X + 1e-9 * Y) == pytest.approx(np.rad2deg(1e-9))


@pytest.mark.parametrize("side", [1, -1], ids=["right", "left"])
def test_anterior_is_positive_on_both_sides(side):
    """Medial is +x in a right and -x in a left femur; posterior is +y in both."""
    medial = side * X
    assert version_deg(medial - np.tan(np.deg2rad(20)) * Y, Z, medial, Y) == pytest.approx(20)
    assert version_deg(medial + np.tan(np.deg2rad(20)) * Y, Z, medial, Y) == pytest.approx(-20)


def test_version_is_seen_along_the_axis():
    """A part along the axis changes nothing, in the vector and in the condylar line."""
    assert version_deg(X - Y + 5 * Z, Z, X + 3 * Z, Y) == pytest.approx(45)


def test_the_longest_distance_of_a_ball_and_a_rod():
    assert longest_mm(ball(20.0)) == pytest.approx(40, abs=0.05)
    assert longest_mm(rod((12.0, 9.0))) == pytest.approx(np.hypot(200, 24), abs=0.5)


def test_values_of_the_proximal_femur_need_its_landmarks():
    surface = femur().surface
    assert proximal_values(Anatomy(surface)) == {}
    head = Sphere(np.array([30.0, 40.0, 400.0]), 24.0, 0.3, 0.6)
    values = proximal_values(Anatomy(surface, head=head, proximal_shaft=Line(np.zeros(3), Z)))
    assert values["head_diameter_mm"] == 48
    assert values["head_covered_percent"] == 60
    assert values["offset_mm"] == pytest.approx(50)
    assert "neck_shaft_angle_deg" not in values
    assert whole_values(femur(), Anatomy(surface, head=head)) == {}
