"""The engine against analytic femurs: every value to 0.05 mm and 0.05 degrees of what the construction gives."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nnunet_femur.measurement.measuring import measure_mask, measure_surface
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.testing.analytic_femur import AnalyticFemur
from nnunet_femur.testing.analytic_truth import true_measurements
from nnunet_femur.testing.voxelising import grid_around, moved, voxelise

MIRROR = np.diag([-1.0, 1.0, 1.0])

SHAPES = {
    "average": {},
    "varus": {"neck_shaft_angle_deg": 112.0, "neck_version_deg": 25.0},
    "valgus": {"neck_shaft_angle_deg": 138.0, "neck_version_deg": -10.0, "head_mm": (40.0, 4.0, 430.0)},
    "uneven": {
        "condyle_radii_mm": (20.0, 18.0),
        "condyle_lateral_mm": (-24.0, 20.0, 33.0),
        "distal_radii_mm": (20.5, 19.0),
    },
    "small": {
        "head_radius_mm": 20.0,
        "neck_radii_mm": (11.0, 12.5),
        "waist_mm": 21.0,
        "head_mm": (42.0, -6.0, 400.0),
        "lesser_trochanter_mm": 352.0,
    },
}

PERCENT = {"neck_area_mm2": 0.5, "shaft_area_mid_mm2": 0.5, "volume_ml": 0.3}
"""Tolerances in percent: the corners of the mesh are on the surface, so its faces cut off a little."""

ALONG = {
    "posterior_condyle_medial_mm_lps": 0.6,
    "posterior_condyle_lateral_mm_lps": 0.6,
    "bow_anterior_mm": 0.1,
}
"""Tolerances in mm of points that a surface determines across one direction only (`neck_axis_lps` tests the other one),
and of the bow, one of whose sections meets the sharp edge of this lesser trochanter."""


@cache
def _case(name: str):
    femur = AnalyticFemur(**SHAPES[name])
    return femur.surface(step_mm=1.25), true_measurements(femur)


def _errors(found, truth, matrix, shift_mm) -> dict[str, float]:
    """Error of each value, in its unit or in percent; of vectors, the distance or the angle."""
    errors = {}
    for key, expected in truth.items():
        value = found.values[key]
        if key in PERCENT:
            errors[key] = 100 * (value / expected - 1)
        elif not QUANTITIES[key].is_vector:
            errors[key] = value - expected
        elif key.endswith("_mm_lps"):
            errors[key] = float(np.linalg.norm(value - (matrix @ expected + shift_mm)))
        else:
            # The z axis of the ISB points to the right on both sides.
            turned = matrix @ expected * (np.linalg.det(matrix) if key == "isb_z_lps" else 1)
            errors[key] = float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(value, turned)), value @ turned)))
    return errors


@pytest.mark.parametrize(
    ("name", "left"),
    [("average", False), ("average", True), ("varus", True), ("valgus", False), ("uneven", True), ("small", False)],
)
def test_every_value_of_a_surface_in_any_pose(name, left):
    surface, truth = _case(name)
    matrix = Rotation.random(random_state=10 * list(SHAPES).index(name) + left).as_matrix() @ (
        MIRROR if left else np.eye(3)
    )
    shift_mm = np.array([12.0, -310.0, 77.0])
    found = measure_surface(moved(surface, matrix, shift_mm))
    assert found.side == ("left" if left else "right")
    errors = _errors(found, truth, matrix, shift_mm)
    assert set(errors) == set(truth)
    limits = {key: {**PERCENT, **ALONG}.get(key, 0.05) for key in errors}
    assert {key: e for key, e in errors.items() if abs(e) > limits[key]} == {}


def test_values_of_a_fine_mask():
    """Steps of voxels, a tilted pose and an oblique grid: still 0.05 mm and 0.1 degrees."""
    surface, truth = _case("average")
    matrix, shift_mm = Rotation.from_euler("xyz", [9, -7, 12], degrees=True).as_matrix(), np.array([3.0, 4.0, 5.0])
    placed = moved(surface, matrix, shift_mm)
    direction = Rotation.from_euler("xyz", [4, 11, -6], degrees=True).as_matrix()
    grid = grid_around(placed, (0.7, 0.7, 0.7), direction=direction.ravel(), shift_voxels_xyz=(0.3, 0.6, 0.1))
    errors = _errors(measure_mask(voxelise(placed, grid), grid), truth, matrix, shift_mm)
    keys = (
        "head_center_mm_lps",
        "head_radius_mm",
        "knee_center_mm_lps",
        "offset_mm",
        "offset_frontal_mm",
        "isthmus_diameter_mm",
    )
    assert {key: errors[key] for key in keys if abs(errors[key]) > 0.05} == {}
    angles = [key for key in truth if key.endswith("_deg")]
    assert len(angles) == 11
    assert {key: errors[key] for key in angles if abs(errors[key]) > 0.1} == {}
    assert abs(errors["volume_ml"]) < 0.3


class TestTruth:
    """The truth itself, by hand: right angles make every formula a number that can be worked out in the head."""

    @staticmethod
    def _upright() -> AnalyticFemur:
        """Head centre straight above the knee centre, 400 mm; knee centre (0, 20, 24) and level condyles."""
        return AnalyticFemur(
            neck_shaft_angle_deg=135.0,
            neck_version_deg=30.0,
            head_mm=(0.0, 20.0, 424.0),
            condyle_medial_mm=(25.0, 20.0, 24.0),
            condyle_lateral_mm=(-25.0, 20.0, 24.0),
            distal_medial_mm=(26.0, 0.0, 20.0),
            distal_lateral_mm=(-26.0, 0.0, 20.0),
        )

    def test_angles_about_an_upright_mechanical_axis(self):
        truth = true_measurements(self._upright())
        assert truth["mechanical_axis_lps"] == pytest.approx([0, 0, 1])
        assert truth["version_neck_deg"] == pytest.approx(30)
        assert truth["version_neck_shaft_plane_deg"] == pytest.approx(30)
        assert truth["anatomical_mechanical_angle_3d_deg"] == pytest.approx(0, abs=1e-6)
        assert (truth["mldfa_deg"], truth["aldfa_deg"]) == pytest.approx((90, 90))
        # The frontal plane sees cos 30 of the neck's sideways part: atan(cos 30) = 40.893 degrees from the vertical.
        assert truth["neck_shaft_angle_frontal_deg"] == pytest.approx(180 - np.degrees(np.arctan(np.cos(np.pi / 6))))
        # The shaft axis is 20 mm in front of the head, and the frontal plane does not see it.
        assert (truth["offset_mm"], truth["offset_frontal_mm"]) == pytest.approx((20, 0))

    def test_positions_and_lengths(self):
        truth = true_measurements(self._upright())
        assert truth["posterior_condyle_medial_mm_lps"] == pytest.approx([25, 39, 24])
        assert truth["neck_center_mm_lps"] == pytest.approx(
            np.array([0, 20, 424]) - 0.95 * 24 * np.array([np.sqrt(3 / 8), -np.sqrt(1 / 8), np.sqrt(1 / 2)])
        )
        assert truth["length_bicondylar_mm"] == pytest.approx(424 + 24 - (20 - 20))
        assert truth["length_longest_mm"] == pytest.approx(np.linalg.norm([26, 20, 404]) + 24 + 20)
        assert truth["version_head_shaft_deg"] == pytest.approx(-90)

    def test_a_raised_lateral_condyle_tilts_the_joint_line(self):
        """Equal spheres 52 mm apart, the lateral one 52 tan 8 higher: the joint line falls by 8 degrees to medial."""
        femur = AnalyticFemur(
            head_mm=(0.0, 20.0, 424.0),
            condyle_medial_mm=(25.0, 20.0, 24.0),
            condyle_lateral_mm=(-25.0, 20.0, 24.0),
            distal_medial_mm=(26.0, 0.0, 20.0),
            distal_lateral_mm=(-26.0, 0.0, 20.0 + 52 * np.tan(np.deg2rad(8))),
        )
        assert true_measurements(femur)["mldfa_deg"] == pytest.approx(82)

    def test_unequal_condyles_turn_the_posterior_line(self):
        """Radii that differ by 2 mm, centres 40 mm apart and level: the touching line is turned by asin(2 / 40)."""
        femur = AnalyticFemur(
            condyle_radii_mm=(21.0, 19.0),
            condyle_medial_mm=(20.0, 22.0, 24.0),
            condyle_lateral_mm=(-20.0, 22.0, 24.0),
            head_mm=(0.0, 22.0, 424.0),
        )
        truth = true_measurements(femur)
        turned = np.degrees(np.arcsin(2 / 40))
        assert truth["version_neck_deg"] == pytest.approx(12.0 + turned)
        assert truth["condylar_axis_angle_deg"] == pytest.approx(turned)
