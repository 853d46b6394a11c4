"""Angles, distances and lengths of one femur, from its landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.landmarks import Anatomy, DistalFemur, Line, Sphere, across, unit
from nnunet_femur.measurement.shape.trochanter import section_above

if TYPE_CHECKING:
    from nnunet_femur.measurement.landmarks import Point
    from nnunet_femur.measurement.shape.mesh import BoneMesh

MURPHY_ABOVE_MM = 8.0
"""Distance of Murphy's section above the peak of the lesser trochanter."""


def angle_deg(one: Point, other: Point) -> float:
    """Return the angle between two vectors in degrees, 0 to 180.

    Example:
        >>> angle_deg(np.array([1.0, 0, 0]), np.array([1.0, 1, 0]))
        45.0
    """
    return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))


def version_deg(vector: Point, axis: Point, to_medial: Point, posterior: Point) -> float:
    """Return the angle of a vector to a posterior condylar line, seen along an axis; positive to anterior.

    Args:
        vector: The vector, such as from the neck's centre to the head's.
        axis: Unit vector of the axis that both are seen along.
        to_medial: Direction of the condylar line to medial.
        posterior: A vector to posterior.

    Example:
        >>> x, y, z = np.eye(3)
        >>> round(version_deg(x - y, z, to_medial=x, posterior=y))
        45
    """
    medial = unit(across(to_medial, axis))
    anterior = np.cross(axis, medial)
    anterior = anterior * (-1.0 if anterior @ posterior > 0 else 1.0)
    return float(np.rad2deg(np.arctan2(vector @ anterior, vector @ medial)))


def proximal_values(anatomy: Anatomy) -> dict[str, float | Point]:
    """Return the quantities of the proximal femur that need neither the distal end nor the frontal plane."""
    values: dict[str, float | Point] = {}
    head, neck, shaft = anatomy.head, anatomy.neck, anatomy.proximal_shaft
    if head is not None:
        values |= {
            "head_center_mm_lps": head.center_mm,
            "head_radius_mm": head.radius_mm,
            "head_diameter_mm": 2 * head.radius_mm,
            "head_fit_rms_mm": head.rms_mm,
            "head_covered_percent": 100 * head.covered,
        }
    if head is not None and neck is not None:
        values |= {
            "neck_center_mm_lps": neck.center_mm,
            "neck_axis_lps": unit(head.center_mm - neck.center_mm),
            "neck_width_min_mm": neck.width_min_mm,
            "neck_width_max_mm": neck.width_max_mm,
            "neck_area_mm2": neck.area_mm2,
        }
    if head is not None and shaft is not None:
        values["proximal_shaft_axis_lps"] = shaft.direction
        values["offset_mm"] = shaft.distance_mm(head.center_mm)
        if neck is not None:
            values["neck_shaft_angle_deg"] = angle_deg(head.center_mm - neck.center_mm, -shaft.direction)
    return values


def whole_values(mesh: BoneMesh, anatomy: Anatomy) -> dict[str, float | Point]:
    """Return the quantities that need both ends of the bone; empty if one is missing."""
    head, distal, shaft = anatomy.head, anatomy.distal, anatomy.shaft
    if head is None or distal is None or shaft is None:
        return {}
    up = unit(head.center_mm - distal.knee_center_mm)
    # Without its part along the shaft: on rounded condyles, the level of a point of contact is uncertain.
    line, posterior = distal.to_medial, distal.posterior
    # The frontal plane contains the mechanical axis and the posterior condylar line.
    forwards = unit(np.cross(line, up))
    joint = across(distal.distal_medial_mm - distal.distal_lateral_mm, forwards)
    condyles = distal.medial_condyle.center_mm - distal.lateral_condyle.center_mm
    values: dict[str, float | Point] = {
        "posterior_condyle_medial_mm_lps": distal.posterior_medial_mm,
        "posterior_condyle_lateral_mm_lps": distal.posterior_lateral_mm,
        "flank_medial_mm_lps": distal.flank_medial_mm,
        "flank_lateral_mm_lps": distal.flank_lateral_mm,
        "flank_axis_angle_deg": version_deg(distal.flank_medial_mm - distal.flank_lateral_mm, up, line, posterior),
        "knee_center_mm_lps": distal.knee_center_mm,
        "mechanical_axis_lps": up,
        "condylar_axis_angle_deg": version_deg(condyles, up, line, posterior),
        "anatomical_mechanical_angle_3d_deg": angle_deg(shaft.direction, up),
        "anatomical_mechanical_angle_deg": angle_deg(across(shaft.direction, forwards), up),
        "mldfa_deg": angle_deg(-joint, up),
        "aldfa_deg": angle_deg(-joint, across(shaft.direction, forwards)),
        "length_mechanical_mm": float(np.linalg.norm(head.center_mm - distal.notch_mm)),
        "length_bicondylar_mm": _extent(mesh, unit(np.cross(forwards, joint))),
        "length_longest_mm": longest_mm(mesh),
    }
    values |= _isb(anatomy, up, condyles)
    if anatomy.proximal_shaft is not None:
        axis = anatomy.proximal_shaft
        flat = Line(across(axis.point_mm, forwards), unit(across(axis.direction, forwards)))
        values["offset_frontal_mm"] = flat.distance_mm(across(head.center_mm, forwards))
        if anatomy.neck is not None:
            to_head = across(head.center_mm - anatomy.neck.center_mm, forwards)
            values["neck_shaft_angle_frontal_deg"] = angle_deg(to_head, -flat.direction)
    return values | _versions(mesh, anatomy, head, distal, up)


def _versions(
    mesh: BoneMesh, anatomy: Anatomy, head: Sphere, distal: DistalFemur, up: Point
) -> dict[str, float | Point]:
    line, posterior = distal.to_medial, distal.posterior
    values: dict[str, float | Point] = {}
    shaft = anatomy.shaft
    if anatomy.neck is not None and shaft is not None:
        vector = head.center_mm - anatomy.neck.center_mm
        values["version_neck_deg"] = version_deg(vector, up, line, posterior)
        values["version_neck_shaft_plane_deg"] = version_deg(vector, shaft.direction, line, posterior)
    point, axis = anatomy.lesser_trochanter_mm, anatomy.proximal_shaft
    if point is not None and axis is not None:
        values["version_head_shaft_deg"] = version_deg(head.center_mm - point, up, line, posterior)
        section = section_above(mesh, axis, point, MURPHY_ABOVE_MM)
        if section is not None:
            vector = head.center_mm - section.centroid_mm
            values["version_murphy_deg"] = version_deg(vector, up, line, posterior)
    return values


def _isb(anatomy: Anatomy, up: Point, condyles_to_medial: Point) -> dict[str, float | Point]:
    """Return the axes of the femur after Wu et al. 2002: x to anterior, y to superior, z to the right."""
    to_right = condyles_to_medial if anatomy.side == "left" else -condyles_to_medial
    z = unit(across(to_right, up))
    return {"isb_x_lps": np.cross(up, z), "isb_y_lps": up, "isb_z_lps": z}


def longest_mm(mesh: BoneMesh) -> float:
    """Return the largest distance of two points of a surface in mm."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    corners = mesh.points_mm[ConvexHull(mesh.points_mm).vertices]
    return float(pdist(corners).max())


def _extent(mesh: BoneMesh, direction: Point) -> float:
    along = mesh.points_mm @ direction
    return float(along.max() - along.min())
