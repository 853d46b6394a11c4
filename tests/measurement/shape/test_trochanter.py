"""The level of the lesser trochanter of the analytic femur, and of a shaft without one."""

import numpy as np
import pytest

from nnunet_femur.measurement.landmarks import Line, Sphere
from nnunet_femur.measurement.shape.mesh import BoneMesh
from nnunet_femur.measurement.shape.trochanter import lesser_trochanter, section_above
from nnunet_femur.testing.analytic_femur import AnalyticFemur
from tests.measurement.solids import FEMUR, femur, rod

X, Y, Z = np.eye(3)
AXIS = Line(np.zeros(3), Z)
HEAD = Sphere(np.array(FEMUR.head_mm), FEMUR.head_radius_mm)


@pytest.mark.parametrize("level_mm", [355.0, 367.0])
def test_the_peak_is_at_its_level(level_mm):
    moved = AnalyticFemur(lesser_trochanter_mm=level_mm)
    mesh = BoneMesh.of_surface(moved.surface(step_mm=2.0))
    point = lesser_trochanter(mesh, HEAD, AXIS, medial=X, posterior=Y)
    assert point == pytest.approx([0, 0, level_mm], abs=0.1)


def test_a_smooth_rod_has_no_peak():
    top = Sphere(np.array([30.0, 0, 99]), 24.0)
    assert lesser_trochanter(rod(half_length_mm=150.0), top, AXIS, medial=X, posterior=Y) is None


def test_a_short_rod_ends_above_the_zone():
    top = Sphere(np.array([30.0, 0, 300]), 24.0)
    assert lesser_trochanter(rod(), top, AXIS, medial=X, posterior=Y) is None


def test_section_above_a_point():
    loop = section_above(femur(), AXIS, np.array([0.0, 0, 300]), 8.0)
    assert loop.centroid_mm == pytest.approx([0, 0, 308], abs=0.05)
    assert loop.area_mm2 == pytest.approx(np.pi * np.prod(FEMUR.shaft_half_axes_mm(np.array([308.0]))), rel=5e-3)
    assert section_above(femur(), AXIS, np.array([0.0, 0, 800]), 8.0) is None
