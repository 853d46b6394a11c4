"""The head of the analytic femur, and balls at either end of a rod."""

import numpy as np
import pytest

from nnunet_femur.measurement.landmarks import Line, Sphere
from nnunet_femur.measurement.shape.head import find_head, neck_point, refine_head
from nnunet_femur.measurement.shape.mesh import BoneMesh
from nnunet_femur.measurement.shape.shaft import principal_axis
from tests.measurement.solids import FEMUR, femur, rod

HEAD = np.array(FEMUR.head_mm)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_head_is_at_the_proximal_end(sign):
    """Also if the axis points the other way: the sign that is returned leads to the head."""
    axis = principal_axis(femur())
    found, towards = find_head(femur(), Line(axis.point_mm, sign * axis.direction))
    assert (towards * sign * axis.direction)[2] > 0.9
    assert found.center_mm == pytest.approx(HEAD, abs=0.5)
    assert found.radius_mm == pytest.approx(FEMUR.head_radius_mm, abs=0.3)


def test_a_bone_upside_down_has_its_head_below():
    mesh = femur()
    turned = BoneMesh(mesh.points_mm * [1, -1, -1], mesh.triangles)
    axis = Line(np.zeros(3), np.array([0.0, 0, 1]))
    found, towards = find_head(turned, axis)
    assert towards == -1
    assert found.center_mm == pytest.approx(HEAD * [1, -1, -1], abs=0.5)


def test_the_refined_head_does_not_depend_on_its_start():
    starts = (Sphere(HEAD + np.array([2.0, -2, 1]), 22.5), Sphere(HEAD + np.array([-1.0, 1, 2]), 25.0))
    spheres = [refine_head(femur(), start) for start in starts]
    assert spheres[0].center_mm == pytest.approx(spheres[1].center_mm, abs=1e-3)
    assert spheres[0].center_mm == pytest.approx(HEAD, abs=0.02)
    assert spheres[0].rms_mm < 0.05
    # A cone of 110 degrees contains (1 - cos 110) / 2 = 67 % of a sphere; its edge counts in part.
    assert spheres[0].covered == pytest.approx(0.65, abs=0.02)


def test_the_point_of_the_neck_is_on_its_axis():
    point = neck_point(femur(), Sphere(HEAD, FEMUR.head_radius_mm))
    offset = HEAD - point
    assert np.linalg.norm(offset - (offset @ FEMUR.neck_axis) * FEMUR.neck_axis) < 0.3
    # The sphere of 1.4 radii cuts the axis at 33.6 mm; the curve is a little nearer.
    assert 28 < np.linalg.norm(offset) < 33.6


def test_a_ball_without_a_neck_has_no_point():
    assert neck_point(rod(), Sphere(np.array([0.0, 0, 300]), 20.0)) is None


def test_a_rod_with_flat_ends_has_no_convincing_head():
    found = find_head(rod(), Line(np.zeros(3), np.array([0.0, 0, 1])))
    assert found is None or found[0].covered < 0.5
