"""Sections of rods and balls by planes and spheres: area, centroid, widths, cavities, order of the outline."""

import numpy as np
import pytest

from nnunet_femur.measurement.landmarks import plane_axes
from nnunet_femur.measurement.shape.mesh import BoneMesh
from nnunet_femur.measurement.shape.mesh_sections import plane_sections, sphere_section
from tests.measurement.solids import ball, rod

UP = np.array([0.0, 0.0, 1.0])


def _one(mesh, normal, position):
    (loops,) = plane_sections(mesh, normal, np.array([position]))
    (loop,) = loops
    return loop


def test_section_across_an_elliptical_rod():
    loop = _one(rod(), UP, 17.3)
    assert loop.area_mm2 == pytest.approx(np.pi * 12 * 9, rel=5e-3)
    assert loop.centroid_mm == pytest.approx([0, 0, 17.3], abs=0.01)
    assert loop.widths_mm() == pytest.approx((18, 24), abs=0.05)


def test_an_oblique_section_is_longer_by_the_cosine():
    tilt = np.deg2rad(30)
    loop = _one(rod(), np.array([np.sin(tilt), 0, np.cos(tilt)]), 5.0)
    assert loop.area_mm2 == pytest.approx(np.pi * 12 * 9 / np.cos(tilt), rel=5e-3)
    assert loop.centroid_mm == pytest.approx([0, 0, 5 / np.cos(tilt)], abs=0.02)


def test_a_cavity_has_a_negative_area():
    (loops,) = plane_sections(rod(hollow=0.5), UP, np.array([10.0]))
    areas = sorted(loop.area_mm2 for loop in loops)
    assert areas == pytest.approx([-np.pi * 6 * 4.5, np.pi * 12 * 9], rel=0.02)


def test_a_curve_encloses_points_inside_only():
    loop = _one(rod(), UP, 0.0)
    assert loop.encloses(np.array([11.0, 0, 0]))
    assert not loop.encloses(np.array([0.0, 10.0, 0]))


def test_planes_in_any_order_give_their_own_sections():
    positions = np.array([15.0, -18.0, 99.0, 0.0])
    found = plane_sections(ball(20.0), UP, positions)
    assert [len(loops) for loops in found] == [1, 1, 0, 1]
    radii = [np.sqrt(found[place][0].area_mm2 / np.pi) for place in (0, 1, 3)]
    assert radii == pytest.approx(np.sqrt(400 - positions[[0, 1, 3]] ** 2), rel=5e-3)


def test_two_solids_give_two_curves():
    one = ball(20.0)
    both = BoneMesh(
        np.vstack([one.points_mm, one.points_mm + np.array([60, 0, 0])]),
        np.vstack([one.triangles, one.triangles + len(one.points_mm)]),
    )
    (loops,) = plane_sections(both, UP, np.array([3.0]))
    assert sorted(round(float(loop.centroid_mm[0])) for loop in loops) == [0, 60]


def test_the_outline_goes_once_around():
    loop = _one(rod(), UP, 3.0)
    outline = loop.outline_mm()
    closed = np.vstack([outline, outline[:1]])
    # Ramanujan's circumference of an ellipse.
    a, b = 12, 9
    circumference = np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
    assert np.linalg.norm(np.diff(closed, axis=0), axis=1).sum() == pytest.approx(circumference, rel=5e-3)
    x, y = closed[:, 0], closed[:, 1]
    assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2 == pytest.approx(loop.area_mm2, rel=1e-6)


def test_a_sphere_cuts_a_ball_in_a_circle():
    """Spheres of 20 and 15 mm whose centres are 25 mm apart meet in a circle of 12 mm, 16 mm from the first."""
    (curve,) = sphere_section(ball(20.0), np.array([0.0, 0, 25.0]), 15.0)
    points = curve.reshape(-1, 3)
    assert points[:, 2] == pytest.approx(np.full(len(points), 16.0), abs=0.05)
    assert np.hypot(points[:, 0], points[:, 1]) == pytest.approx(np.full(len(points), 12.0), abs=0.05)


def test_the_longest_curve_of_a_sphere_is_first():
    """A sphere around one end of a rod that is thinner at the other side cuts it once; around its middle, twice."""
    curves = sphere_section(rod(), np.array([0.0, 0, 10.0]), 40.0)
    assert len(curves) == 2
    lengths = [np.linalg.norm(c[:, 1] - c[:, 0], axis=1).sum() for c in curves]
    assert lengths[0] >= lengths[1] > 60


@pytest.mark.parametrize("normal", [UP, np.array([0.6, 0.0, 0.8]), np.array([-1.0, 0.0, 0.0])])
def test_axes_of_a_plane_are_right_handed(normal):
    x, y = plane_axes(normal)
    assert np.cross(x, y) == pytest.approx(normal)
