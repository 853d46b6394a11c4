"""The distal end of a femur: posterior condylar line, condyle spheres, knee centre, joint line and notch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.anatomy import DistalFemur, Line, Sphere, across, unit
from nnunet_femur.measurement.sections import plane_sections
from nnunet_femur.measurement.sphere_fit import refine_sphere, tapered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.measurement.anatomy import Point
    from nnunet_femur.measurement.mesh import BoneMesh
    from nnunet_femur.measurement.sphere_fit import Values

_END, _DISTAL = 0.15, 0.08
"""Parts of the bone's length that contain the condyles, and that determine the first posterior direction."""

_CONE_DEG = (75.0, 65.0)
"""Angles from posterior at which the surface of a condyle has no weight and full weight in its sphere."""


@dataclass(frozen=True)
class _Contacts:
    """Two points at which a plane touches the condyles, and the direction from the lateral to the medial one."""

    medial_mm: Point
    lateral_mm: Point
    to_medial: Point


def posterior_direction(mesh: BoneMesh, shaft: Line) -> Point:
    """Return the direction from the shaft axis to the centre of the distal end, across the axis, not normalised.

    The centre of the condyles is about 23 mm (at least 15 mm) behind the axis.

    Args:
        mesh: The bone.
        shaft: Its shaft axis, directed upwards.
    """
    along = mesh.centers_mm @ shaft.direction
    low, high = float(along.min()), float(along.max())
    distal = along < low + _DISTAL * (high - low)
    center = np.average(mesh.centers_mm[distal], axis=0, weights=mesh.areas_mm2[distal])
    return across(center - shaft.point_mm, shaft.direction)


def find_distal_end(
    mesh: BoneMesh, shaft: Line, head: Sphere, *, medial: Point, posterior: Point
) -> DistalFemur | None:
    """Return the landmarks of the distal end, or None if the condyles have no spheres.

    Args:
        mesh: The bone.
        shaft: Its shaft axis, directed upwards.
        head: Its head; the mechanical axis leads from the knee centre to it.
        medial: Unit vector to medial, across the shaft.
        posterior: First direction to posterior.
    """
    along = mesh.points_mm @ shaft.direction
    low, high = float(along.min()), float(along.max())
    part = mesh.between(shaft.direction, low, low + _END * (high - low))
    line = _posterior_contacts(part, shaft, medial, posterior)
    if line is None:
        return None
    backwards = _perpendicular(line.to_medial, shaft.direction, posterior)
    spheres = []
    for contact in (line.medial_mm, line.lateral_mm):
        sphere = _condyle_sphere(part, contact, backwards, 0.85 * head.radius_mm)
        if sphere is None:
            return None
        spheres.append(sphere)
    knee = (spheres[0].center_mm + spheres[1].center_mm) / 2
    mechanical = unit(head.center_mm - knee)
    # The frontal plane contains the mechanical axis and the posterior condylar line.
    sideways = unit(across(line.to_medial, mechanical))
    middle = float(knee @ sideways)
    joint = _touching_edge(part.points_mm, sideways, -mechanical, middle)
    if joint is None:
        return None
    distal = (joint[0], joint[1])
    notch = _notch(part, sideways, mechanical, *distal)
    return DistalFemur(line.medial_mm, line.lateral_mm, *distal, spheres[0], spheres[1], knee, notch)


def _perpendicular(vector: Point, axis: Point, towards: Point) -> Point:
    """Return the unit vector that is perpendicular to two vectors, on the side of a third."""
    normal = unit(np.cross(vector, axis))
    return normal * (1.0 if normal @ towards > 0 else -1.0)


def _posterior_contacts(part: BoneMesh, shaft: Line, medial: Point, posterior: Point) -> _Contacts | None:
    """Return the two points on which the distal end rests on a posterior plane that is parallel to the shaft."""
    backwards = unit(across(posterior, shaft.direction))
    line = None
    for _ in range(10):
        sideways = _perpendicular(backwards, shaft.direction, medial)
        positions = part.points_mm @ sideways
        touching = _touching_edge(part.points_mm, sideways, backwards, float(positions.min() + positions.max()) / 2)
        if touching is None:
            return None
        to_medial = unit(across(touching[0] - touching[1], shaft.direction))
        settled = line is not None and np.allclose(to_medial, line.to_medial, atol=1e-9)
        line = _Contacts(touching[0], touching[1], to_medial)
        if settled:
            break
        backwards = _perpendicular(to_medial, shaft.direction, backwards)
    return line


def _touching_edge(
    points_mm: NDArray[np.float64], sideways: Point, towards: Point, middle: float
) -> tuple[Point, Point] | None:
    """Return the two points at which a line touches the projected points from one side, across a middle.

    Args:
        points_mm: Points in LPS mm, shape (n, 3).
        sideways: Unit vector from lateral to medial.
        towards: Unit vector to the side of the line, perpendicular to `sideways`.
        middle: Position along `sideways` between the two points.

    Returns:
        The medial and the lateral point; None if all points are on one side of the middle.
    """
    from scipy.spatial import ConvexHull

    flat = np.stack([points_mm @ sideways, points_mm @ towards], axis=1)
    corners = ConvexHull(flat).vertices
    best = None
    for one, other in zip(corners, np.roll(corners, -1), strict=True):
        lateral, medial = sorted((one, other), key=lambda place: flat[place, 0])
        (low, low_reach), (high, high_reach) = flat[lateral], flat[medial]
        if low <= middle < high:
            reach = low_reach + (middle - low) / (high - low) * (high_reach - low_reach)
            if best is None or reach > best[0]:
                best = reach, medial, lateral
    return None if best is None else (points_mm[best[1]], points_mm[best[2]])


def _condyle_sphere(part: BoneMesh, contact_mm: Point, backwards: Point, radius_mm: float) -> Sphere | None:
    """Return the sphere of a posterior condyle: within a cone about posterior, from a first radius."""
    least, full = np.cos(np.deg2rad(_CONE_DEG))

    def weigh(sphere: Sphere, distance: Values, radial: Values, cosine: Values) -> Values:
        tolerance = float(np.clip(2.5 * sphere.rms_mm if sphere.rms_mm > 0 else 3.0, 0.8, 3.0))
        near = 1 - tapered(np.abs(distance - sphere.radius_mm), tolerance, 1.5 * tolerance)
        return near * tapered(cosine, 0.7, 0.85) * tapered(radial @ backwards, least, full)

    start = Sphere(contact_mm - radius_mm * backwards, radius_mm)
    near = part.near(contact_mm, 2.5 * radius_mm)
    sphere = refine_sphere(near, start, weigh)
    sensible = 0.5 * radius_mm < sphere.radius_mm < 2 * radius_mm and np.isfinite(sphere.rms_mm)
    return sphere if sensible else None


def _notch(part: BoneMesh, sideways: Point, up: Point, medial_mm: Point, lateral_mm: Point) -> Point:
    """Return the highest point of the lower outline between two contact points, seen from the front."""
    from scipy.ndimage import gaussian_filter1d

    positions = np.linspace(lateral_mm @ sideways, medial_mm @ sideways, 101)[1:-1]
    lowest = []
    for loops in plane_sections(part, sideways, positions):
        points = np.concatenate([loop.starts_mm for loop in loops])
        lowest.append(points[np.argmin(points @ up)])
    heights = np.array(lowest) @ up
    # Over about one millimetre.
    step = float(positions[1] - positions[0])
    return lowest[int(np.argmax(gaussian_filter1d(heights, 1.0 / step)))]
