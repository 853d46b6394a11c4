"""The distal end of a femur: posterior condylar line, condyle spheres, knee centre, joint line and notch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.landmarks import DistalFemur, Line, Sphere, across, plane_axes, unit
from nnunet_femur.measurement.shape.mesh_sections import plane_sections
from nnunet_femur.measurement.shape.sphere_fit import refine_sphere, tapered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.measurement.landmarks import Point
    from nnunet_femur.measurement.shape.mesh import BoneMesh
    from nnunet_femur.measurement.shape.sphere_fit import Values

_END, _DISTAL = 0.15, 0.08
"""Parts of the bone's length that contain the condyles, and that determine the first posterior direction."""

_CONE_DEG = (75.0, 65.0)
"""Angles from posterior at which the surface of a condyle has no weight and full weight in its sphere."""

_PATCH_RADII = 0.4
"""Radius of the surface around a point of contact that determines it, in head radii."""

_FLANK_RADII, _FLANK_MM = (-0.2, 1.2), 1.5
"""Levels above the knee centre at which a flank is looked for, in head radii, and depth of its most prominent part."""


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
    """Return the landmarks of the distal end, or None if it does not have the shape of two connected condyles.

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
    line = _posterior_contacts(part, shaft, head, medial, posterior)
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
    distal = _touching_points(part, sideways, -mechanical, middle, _PATCH_RADII * head.radius_mm)
    if distal is None:
        return None
    notch = _notch(part, sideways, mechanical, *distal)
    if notch is None:
        return None
    across_shaft = unit(across(spheres[0].center_mm - spheres[1].center_mm, shaft.direction))
    zone = (part.centers_mm @ shaft.direction - float(knee @ shaft.direction)) / head.radius_mm
    flanks = (
        _flank(part, (zone > _FLANK_RADII[0]) & (zone < _FLANK_RADII[1]), sign * across_shaft) for sign in (1, -1)
    )
    return DistalFemur(
        line.medial_mm,
        line.lateral_mm,
        *distal,
        spheres[0],
        spheres[1],
        knee,
        line.to_medial,
        backwards,
        notch,
        *flanks,
    )


def _perpendicular(vector: Point, axis: Point, towards: Point) -> Point:
    """Return the unit vector that is perpendicular to two vectors, on the side of a third."""
    normal = unit(np.cross(vector, axis))
    return normal * (1.0 if normal @ towards > 0 else -1.0)


def _posterior_contacts(part: BoneMesh, shaft: Line, head: Sphere, medial: Point, posterior: Point) -> _Contacts | None:
    """Return the two points on which the distal end rests on a posterior plane that is parallel to the shaft."""
    backwards = unit(across(posterior, shaft.direction))
    contacts = None
    for _ in range(10):
        sideways = _perpendicular(backwards, shaft.direction, medial)
        positions = part.points_mm @ sideways
        middle = float(positions.min() + positions.max()) / 2
        points = _touching_points(part, sideways, backwards, middle, _PATCH_RADII * head.radius_mm)
        if points is None:
            return None
        to_medial = unit(across(points[0] - points[1], shaft.direction))
        turned = _perpendicular(to_medial, shaft.direction, backwards)
        contacts = _Contacts(points[0], points[1], to_medial)
        settled = float(np.linalg.norm(turned - backwards)) < 1e-5
        backwards = turned
        if settled:
            break
    return contacts


def _touching_points(
    part: BoneMesh, sideways: Point, towards: Point, middle: float, radius_mm: float
) -> tuple[Point, Point] | None:
    """Return the points at which a line touches a medial and a lateral surface, to a fraction of a voxel.

    The line touches the projected corners at first. Then each point becomes the apex of a quadratic surface that is
    fitted around it: the apex depends on hundreds of triangles, a corner on one voxel.

    Args:
        part: The distal end.
        sideways: Unit vector from lateral to medial.
        towards: Unit vector to the side of the line, perpendicular to `sideways`.
        middle: Position along `sideways` between the two points.
        radius_mm: Radius of the fitted surfaces.
    """
    first = _touching_edge(part.points_mm, sideways, towards, middle)
    if first is None:
        return None
    line = unit(across(first[0] - first[1], np.cross(sideways, towards)))
    outwards = unit(across(towards, line))
    medial, lateral = (_apex(part, point, outwards, radius_mm) for point in first)
    return medial, lateral


def _apex(part: BoneMesh, point_mm: Point, outwards: Point, radius_mm: float) -> Point:
    """Return the apex of a quadratic surface fitted around a point, or the point itself if there is no apex."""
    x, y = plane_axes(outwards)
    point = point_mm
    for _ in range(20):
        offsets = part.centers_mm - point
        across_mm = np.sqrt((offsets @ x) ** 2 + (offsets @ y) ** 2)
        weights = part.areas_mm2 * (1 - tapered(across_mm, 0.4 * radius_mm, radius_mm))
        weights = weights * tapered(part.normals @ outwards, 0.3, 0.6) * (np.abs(offsets @ outwards) < radius_mm)
        used = weights > 0
        if used.sum() < 12:
            return point_mm
        u, v = offsets[used] @ x, offsets[used] @ y
        terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)
        root = np.sqrt(weights[used])
        free = np.linalg.lstsq(terms * root[:, None], (offsets[used] @ outwards) * root, rcond=None)[0]
        hessian = np.array([[2 * free[3], free[4]], [free[4], 2 * free[5]]])
        if np.linalg.eigvalsh(hessian).max() > -1e-3:
            return point_mm
        shift = np.linalg.solve(hessian, -free[1:3])
        length = float(np.hypot(*shift))
        shift = shift * min(1.0, 0.5 * radius_mm / max(length, 1e-9))
        height = free[0] + free[1:3] @ shift + shift @ hessian @ shift / 2
        point = point + shift[0] * x + shift[1] * y + height * outwards
        if length < 1e-3:
            break
    return point


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
        """Weigh the surface near the sphere that faces outwards, within the cone."""
        tolerance = float(np.clip(2.5 * sphere.rms_mm if sphere.rms_mm > 0 else 3.0, 0.8, 3.0))
        near = 1 - tapered(np.abs(distance - sphere.radius_mm), tolerance, 1.5 * tolerance)
        return near * tapered(cosine, 0.7, 0.85) * tapered(radial @ backwards, least, full)

    start = Sphere(contact_mm - radius_mm * backwards, radius_mm)
    near = part.near(contact_mm, 2.5 * radius_mm)
    sphere = refine_sphere(near, start, weigh)
    sensible = 0.5 * radius_mm < sphere.radius_mm < 2 * radius_mm and np.isfinite(sphere.rms_mm)
    return sphere if sensible else None


def _flank(part: BoneMesh, zone: NDArray[np.bool_], outwards: Point) -> Point:
    """Return the mean of the surface near the point of a zone that is farthest in a direction, by area."""
    reach = part.centers_mm @ outwards
    cap = zone & (reach > reach[zone].max() - _FLANK_MM)
    return np.average(part.centers_mm[cap], axis=0, weights=part.areas_mm2[cap])


def _notch(part: BoneMesh, sideways: Point, up: Point, medial_mm: Point, lateral_mm: Point) -> Point | None:
    """Return the highest point of the lower outline between two contacts, seen from the front; None if it has a gap."""
    from scipy.ndimage import gaussian_filter1d

    positions = np.linspace(lateral_mm @ sideways, medial_mm @ sideways, 101)[1:-1]
    lowest = []
    for loops in plane_sections(part, sideways, positions):
        if not loops:
            return None
        points = np.concatenate([loop.starts_mm for loop in loops])
        lowest.append(points[np.argmin(points @ up)])
    heights = np.array(lowest) @ up
    # Over about one millimetre.
    step = float(positions[1] - positions[0])
    return lowest[int(np.argmax(gaussian_filter1d(heights, 1.0 / step)))]
