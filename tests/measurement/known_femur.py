"""A femur whose landmarks are known by construction, without any measuring."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.landmarks import Anatomy, DistalFemur, Line, Neck, Sphere
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.testing.analytic_femur import AnalyticFemur
from nnunet_femur.testing.voxelising import moved

if TYPE_CHECKING:
    from nnunet_femur.imaging.surface_mesh import Surface

X, Y, Z = np.eye(3)
MIRROR = np.diag([-1.0, 1.0, 1.0])
FEMUR = AnalyticFemur()
HEAD = np.array(FEMUR.head_mm)
KNEE = (np.array(FEMUR.condyle_medial_mm) + FEMUR.condyle_lateral_mm) / 2
NECK = HEAD - FEMUR.waist_mm * FEMUR.neck_axis


@cache
def surface() -> Surface:
    return FEMUR.surface(step_mm=4.0)


def anatomy(matrix: np.ndarray | None = None, **changes: Any) -> Anatomy:
    """Landmarks of a right femur, after a rotation or, for a left one, a reflection."""
    turn = np.eye(3) if matrix is None else matrix

    def sphere(center_mm: Any, radius_mm: float) -> Sphere:
        return Sphere(turn @ np.array(center_mm), radius_mm)

    def contact(center_mm: Any, radius_mm: float, direction: np.ndarray) -> np.ndarray:
        return turn @ (np.array(center_mm) + radius_mm * direction)

    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    third = np.cross(FEMUR.neck_axis, Z)
    third /= np.linalg.norm(third)
    ring = np.cos(angles)[:, None] * third + np.sin(angles)[:, None] * np.cross(FEMUR.neck_axis, third)
    medial, lateral = FEMUR.condyle_medial_mm, FEMUR.condyle_lateral_mm
    distal = DistalFemur(
        contact(medial, FEMUR.condyle_radii_mm[0], Y),
        contact(lateral, FEMUR.condyle_radii_mm[1], Y),
        contact(FEMUR.distal_medial_mm, FEMUR.distal_radii_mm[0], -Z),
        contact(FEMUR.distal_lateral_mm, FEMUR.distal_radii_mm[1], -Z),
        sphere(medial, FEMUR.condyle_radii_mm[0]),
        sphere(lateral, FEMUR.condyle_radii_mm[1]),
        turn @ KNEE,
        turn @ X,
        turn @ Y,
        turn @ np.array([0.0, 10.0, 20.0]),
        contact(medial, FEMUR.condyle_radii_mm[0], X),
        contact(lateral, FEMUR.condyle_radii_mm[1], -X),
    )
    whole = Anatomy(
        moved(surface(), turn),
        "right" if np.linalg.det(turn) > 0 else "left",
        turn @ Z,
        Line(turn @ np.zeros(3), turn @ Z, 1.0),
        Line(turn @ np.zeros(3), turn @ Z, 0.5),
        sphere(HEAD, FEMUR.head_radius_mm),
        Neck(turn @ NECK, (NECK + 14 * ring) @ turn.T, 612.0, 26.0, 30.0),
        turn @ np.array([0.0, 0.0, FEMUR.lesser_trochanter_mm]),
        distal,
        turn @ X,
        turn @ Y,
    )
    return replace(whole, **changes)


VALUES: dict[str, Any] = {
    "head_center_mm_lps": FEMUR.head_mm,
    "head_diameter_mm": 48.0,
    "neck_shaft_angle_deg": 125.0,
    "version_neck_deg": 12.04,
    "mldfa_deg": 87.5,
    "length_longest_mm": 451.25,
    "volume_ml": 512.3,
}
REASON = Missing("not-sharp", "The part is not sharp enough.")


def measurements(case: str = "R1", **changes: Any) -> FemurMeasurements:
    """Measurements with a few round values; the other quantities are missing."""
    missing = {key: REASON for key in QUANTITIES if key not in VALUES}
    whole = FemurMeasurements(case, "right", "shape", VALUES, missing, (), anatomy())
    return replace(whole, **changes)
