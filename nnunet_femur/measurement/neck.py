"""The femoral neck: its centre and its narrowest section."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.anatomy import Line, Neck, Sphere, unit
from nnunet_femur.measurement.sections import Loop, plane_sections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.measurement.anatomy import Point
    from nnunet_femur.measurement.mesh import BoneMesh

_SCAN_RADII = (0.75, 1.7)
"""Distances from the head's centre at which the narrowest section is looked for, in head radii."""

_SCAN_SECTIONS, _PARABOLA = 39, 4
"""Number of sections of the scan, and of those on each side of the smallest one that determine its position."""

_CENTER_RADII = (0.8, 1.1)
"""Distances from the head's centre of the sections that determine the neck's centre, in head radii.

The narrowest section is between them (1.01 ± 0.09 radii). Its own centroid moves three times as much between scans of
one bone, since the area hardly changes there.
"""

_CENTER_SECTIONS = 9


def find_neck(mesh: BoneMesh, head: Sphere, neck_point_mm: Point) -> Neck | None:
    """Return the centre of the neck and its narrowest section, or None if a section is not closed.

    The centre is the mean of the centroids of nine sections across the axis from the head's centre to the neck's. The
    narrowest section is that of the least area across the same axis. A section that may also tilt is 1 to 2 % smaller,
    but its tilts, and so its widths, depend on the voxels.

    Args:
        mesh: The bone.
        head: Its head.
        neck_point_mm: A point within the neck in LPS mm: that of :func:`~nnunet_femur.measurement.head.neck_point`.
    """
    zone = mesh.near(head.center_mm, 3.2 * head.radius_mm)
    center = _center(zone, head, neck_point_mm)
    if center is None:
        return None
    axis = Line(head.center_mm, unit(center - head.center_mm))
    steps = np.linspace(*_SCAN_RADII, _SCAN_SECTIONS) * head.radius_mm
    areas = np.array([_area(loop) for loop in _loops(zone, axis, steps)])
    if not np.isfinite(areas).any():
        return None
    loop = _loops(zone, axis, np.array([_least(steps, areas)]))[0]
    if loop is None:
        return None
    smallest, largest = loop.widths_mm()
    return Neck(center, loop.outline_mm(), loop.area_mm2, smallest, largest)


def _least(steps: NDArray[np.float64], areas: NDArray[np.float64]) -> float:
    """Return the position of the least area: the vertex of a parabola through the areas around the smallest one."""
    place = int(np.argmin(areas))
    near = slice(max(place - _PARABOLA, 0), place + _PARABOLA + 1)
    known = np.isfinite(areas[near])
    if known.sum() < 4:
        return float(steps[place])
    bend, slope, _ = np.polyfit(steps[near][known] - steps[place], areas[near][known], 2)
    if bend <= 0:
        return float(steps[place])
    reach = _PARABOLA * float(steps[1] - steps[0])
    return float(steps[place] + np.clip(-slope / (2 * bend), -reach, reach))


def _loops(zone: BoneMesh, axis: Line, steps: NDArray[np.float64]) -> list[Loop | None]:
    """Return the sections across an axis at distances from its point, None where none encloses the axis."""
    sections = plane_sections(zone, axis.direction, axis.point_mm @ axis.direction + steps)
    return [_around(loops, axis.point_mm + step * axis.direction) for step, loops in zip(steps, sections, strict=True)]


def _center(zone: BoneMesh, head: Sphere, first_mm: Point) -> Point | None:
    """Return the mean of the centroids of sections across the neck; the second pass is across the axis of the first."""
    center = first_mm
    for _ in range(2):
        axis = unit(center - head.center_mm)
        steps = np.linspace(*_CENTER_RADII, _CENTER_SECTIONS) * head.radius_mm
        loops = _loops(zone, Line(head.center_mm, axis), steps)
        closed = [loop.centroid_mm for loop in loops if loop is not None]
        if len(closed) < _CENTER_SECTIONS:
            return None
        center = np.mean(closed, axis=0)
    return center


def _around(loops: list[Loop], point_mm: Point) -> Loop | None:
    """Return the outer curve that encloses a point."""
    found = [loop for loop in loops if loop.area_mm2 > 0 and loop.encloses(point_mm)]
    return max(found, key=lambda loop: loop.area_mm2) if found else None


def _area(loop: Loop | None) -> float:
    return np.inf if loop is None else loop.area_mm2
