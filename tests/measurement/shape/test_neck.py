"""The neck of the analytic femur: centre, area and widths of its waist."""

import numpy as np
import pytest

from nnunet_femur.measurement.landmarks import Sphere
from nnunet_femur.measurement.shape.neck import find_neck
from tests.measurement.solids import FEMUR, ball, femur

HEAD = Sphere(np.array(FEMUR.head_mm), FEMUR.head_radius_mm)


@pytest.mark.parametrize("aside", [(0, 0, 0), (2.0, -2.0, 1.0)])
def test_a_first_point_beside_the_axis_gives_the_same_neck(aside):
    first = HEAD.center_mm - 30 * FEMUR.neck_axis + np.array(aside, float)
    neck = find_neck(femur(), HEAD, first)
    assert neck.center_mm == pytest.approx(HEAD.center_mm - 0.95 * 24 * FEMUR.neck_axis, abs=0.05)
    assert neck.area_mm2 == pytest.approx(np.pi * 13 * 15, rel=5e-3)
    assert (neck.width_min_mm, neck.width_max_mm) == pytest.approx((26, 30), abs=0.1)


def test_the_outline_is_that_of_the_waist():
    neck = find_neck(femur(), HEAD, HEAD.center_mm - 30 * FEMUR.neck_axis)
    offsets = neck.outline_mm - FEMUR.waist_center_mm
    radii = np.linalg.norm(offsets, axis=1)
    assert 12.9 < radii.min() < 13.1
    assert 14.9 < radii.max() < 15.2


def test_a_ball_has_no_neck():
    assert find_neck(ball(20.0), Sphere(np.zeros(3), 20.0), np.array([0.0, 0, -30])) is None
