"""Exact measurements of an analytic femur, from its construction alone: no mesh, no mask, no fit.

Lines that touch two spheres are found from their centres and radii. Only the volume, and the centroid of one section,
are integrated numerically.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.testing.shapes import Points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nnunet_femur.testing.analytic_femur import AnalyticFemur

    Vector = NDArray[np.float64]
    Truth = dict[str, float | Vector]

_UP = np.array([0.0, 0.0, 1.0])
_MURPHY_ABOVE_MM = 8.0
_NECK_CENTER_RADII = 0.95
"""Distance of the neck centre from the head's in head radii, on a straight neck: the middle of 0.8 and 1.1."""


def true_measurements(femur: AnalyticFemur) -> Truth:
    """Return the true value of each quantity by its key in ``nnunet_femur.measurement``, for a right femur.

    The definitions are those of the documentation ("Measurements"). Quantities that rest on the fillets of a real bone,
    such as the flank points, are not included.

    Example:
        >>> from nnunet_femur.testing import AnalyticFemur
        >>> truth = true_measurements(AnalyticFemur(neck_shaft_angle_deg=130.0, head_radius_mm=23.0))
        >>> round(truth["neck_shaft_angle_deg"], 6), truth["head_diameter_mm"]
        (130.0, 46.0)
    """
    return _proximal(femur) | _knee(femur) | _lengths(femur) | _shaft(femur)


def _proximal(femur: AnalyticFemur) -> Truth:
    head, (short, long) = np.array(femur.head_mm), femur.neck_radii_mm
    return {
        "head_center_mm_lps": head,
        "head_radius_mm": femur.head_radius_mm,
        "head_diameter_mm": 2 * femur.head_radius_mm,
        "head_fit_rms_mm": 0.0,
        "neck_center_mm_lps": head - _NECK_CENTER_RADII * femur.head_radius_mm * femur.neck_axis,
        "neck_axis_lps": femur.neck_axis,
        "neck_width_min_mm": 2 * short,
        "neck_width_max_mm": 2 * long,
        "neck_area_mm2": float(np.pi * short * long),
        "neck_shaft_angle_deg": femur.neck_shaft_angle_deg,
        "shaft_axis_lps": _UP,
        "proximal_shaft_axis_lps": _UP,
        "shaft_fit_rms_mm": 0.0,
        "offset_mm": float(np.hypot(head[0], head[1])),
    }


def _knee(femur: AnalyticFemur) -> Truth:
    head = np.array(femur.head_mm)
    condyles = np.array([femur.condyle_medial_mm, femur.condyle_lateral_mm])
    contacts = _touched(condyles, femur.condyle_radii_mm, across=_UP, towards=np.array([0.0, 1.0, 0.0]))
    line = _without(contacts[0] - contacts[1], _UP)
    knee = condyles.mean(0)
    up = _unit(head - knee)
    forwards = _unit(np.cross(line, up))
    distal = np.array([femur.distal_medial_mm, femur.distal_lateral_mm])
    touched = _touched(distal, femur.distal_radii_mm, across=forwards, towards=-up)
    joint = _without(touched[0] - touched[1], forwards)
    shaft, neck = _without(_UP, forwards), _without(femur.neck_axis, forwards)
    level_mm = femur.lesser_trochanter_mm
    section = _centroid(femur, level_mm + _MURPHY_ABOVE_MM)
    to_right = _unit(_without(condyles[1] - condyles[0], up))
    return {
        "posterior_condyle_medial_mm_lps": contacts[0],
        "posterior_condyle_lateral_mm_lps": contacts[1],
        "condylar_axis_angle_deg": _version(condyles[0] - condyles[1], up, line),
        "knee_center_mm_lps": knee,
        "mechanical_axis_lps": up,
        "isb_x_lps": np.cross(up, to_right),
        "isb_y_lps": up,
        "isb_z_lps": to_right,
        "neck_shaft_angle_frontal_deg": _angle(neck, -shaft),
        "version_neck_deg": _version(femur.neck_axis, up, line),
        "version_neck_shaft_plane_deg": _version(femur.neck_axis, _UP, line),
        "version_head_shaft_deg": _version(head - level_mm * _UP, up, line),
        "version_murphy_deg": _version(head - section, up, line),
        "anatomical_mechanical_angle_deg": _angle(shaft, up),
        "anatomical_mechanical_angle_3d_deg": _angle(_UP, up),
        "mldfa_deg": _angle(-joint, up),
        "aldfa_deg": _angle(-joint, shaft),
        "offset_frontal_mm": float(np.linalg.norm(_without(_without(head, forwards), _unit(shaft)))),
        "length_bicondylar_mm": _bicondylar(femur, _unit(np.cross(forwards, joint)), distal),
    }


def _bicondylar(femur: AnalyticFemur, up: Vector, distal: Vector) -> float:
    return float(np.array(femur.head_mm) @ up + femur.head_radius_mm - (distal @ up - femur.distal_radii_mm).min())


def _lengths(femur: AnalyticFemur) -> Truth:
    """The largest distance is that of the head from the sphere of the knee that is farthest from it."""
    centres = np.array(
        [femur.condyle_medial_mm, femur.condyle_lateral_mm, femur.distal_medial_mm, femur.distal_lateral_mm]
    )
    radii = np.array([*femur.condyle_radii_mm, *femur.distal_radii_mm])
    distances = np.linalg.norm(centres - np.array(femur.head_mm), axis=1) + radii + femur.head_radius_mm
    return {"length_longest_mm": float(distances.max())}


def _shaft(femur: AnalyticFemur) -> Truth:
    top = femur.head_mm[2] + femur.head_radius_mm
    low = min(
        centre[2] - radius
        for centre, radius in (
            *zip((femur.distal_medial_mm, femur.distal_lateral_mm), femur.distal_radii_mm, strict=True),
            *zip((femur.condyle_medial_mm, femur.condyle_lateral_mm), femur.condyle_radii_mm, strict=True),
        )
    )
    half_axes = femur.shaft_half_axes_mm(np.array([(top + low) / 2, femur.isthmus_mm]))
    middle, isthmus = half_axes.prod(axis=1)
    return {
        "bow_anterior_mm": _bow_mm(femur, top, low),
        "shaft_area_mid_mm2": float(np.pi * middle),
        "isthmus_diameter_mm": float(2 * np.sqrt(isthmus)),
        "isthmus_level_percent": 100 * (top - femur.isthmus_mm) / (top - low),
        "volume_ml": _volume_ml(femur, 0.8),
    }


def _bow_mm(femur: AnalyticFemur, top_mm: float, low_mm: float) -> float:
    """Distance of the axis from the chord of the centroids at 20 and 80 % of the length: the trochanter moves one."""
    ends = [_centroid(femur, top_mm - level * (top_mm - low_mm), reach_mm=60)[1] for level in (0.2, 0.8)]
    return float(np.mean(ends))


def _touched(centres: Vector, radii: ArrayLike, *, across: Vector, towards: Vector) -> Vector:
    """Return the points at which a plane that contains the direction `across` touches two spheres from one side."""
    radii = np.asarray(radii, float)
    flat = [_without(each, across) for each in (centres[0] - centres[1], towards)]
    sideways = _unit(flat[0])
    outwards = _unit(_without(flat[1], sideways))
    # The plane's normal n satisfies n·c0 + r0 = n·c1 + r1.
    sine = (radii[1] - radii[0]) / np.linalg.norm(flat[0])
    normal = sine * sideways + np.sqrt(1 - sine**2) * outwards
    return np.asarray(centres + radii[:, None] * normal)


def _version(vector: Vector, axis: Vector, line_to_medial: Vector) -> float:
    """Angle of a vector from the condylar line in the plane across an axis; positive to anterior, in a right femur."""
    medial = _unit(_without(line_to_medial, axis))
    anterior = np.cross(medial, axis)
    return float(np.rad2deg(np.arctan2(vector @ anterior, vector @ medial)))


def _centroid(femur: AnalyticFemur, height_mm: float, *, reach_mm: float = 30, step_mm: float = 0.05) -> Vector:
    """Centroid of the section across the shaft at a height, within a square around its axis."""
    side = np.arange(-reach_mm, reach_mm, step_mm) + step_mm / 3
    plane = (1, len(side), len(side))
    at = Points(np.broadcast_to(side, plane), np.broadcast_to(side[:, None], plane), np.full((1, 1, 1), height_mm))
    share = np.clip(0.5 - femur.distance(at)[0] / step_mm, 0, 1)
    x, y = (float((share * axis).sum() / share.sum()) for axis in (side[None, :], side[:, None]))
    return np.array([x, y, height_mm])


def _volume_ml(femur: AnalyticFemur, step_mm: float) -> float:
    """Volume on a grid, where a voxel at the surface counts in part."""
    at, _ = femur.points(step_mm)
    return float(np.clip(0.5 - femur.distance(at) / step_mm, 0, 1).sum(dtype=float)) * step_mm**3 / 1000


def _without(vector: Vector, axis: Vector) -> Vector:
    return np.asarray(vector - (vector @ axis) * axis)


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / np.linalg.norm(vector))


def _angle(one: Vector, other: Vector) -> float:
    return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))
