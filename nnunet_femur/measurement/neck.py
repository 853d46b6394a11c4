"""The femoral neck: its centre and its narrowest section."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.anatomy import Line, Neck, Sphere, unit
from nnunet_femur.measurement.sections import Loop, plane_axes, plane_sections

if TYPE_CHECKING:
    from nnunet_femur.measurement.anatomy import Point
    from nnunet_femur.measurement.mesh import BoneMesh

_SCAN_RADII = (0.75, 1.7)
"""Distances from the head's centre at which the narrowest section is looked for, in head radii."""

_LARGEST_TILT_DEG = 35.0

_CENTER_RADII = (0.8, 1.1)
"""Distances from the head's centre of the sections that determine the neck's centre, in head radii.

The narrowest section is between them (1.01 ± 0.09 radii). Its own centroid moves three times as much between scans of
one bone, since the area hardly changes there.
"""

_CENTER_SECTIONS = 9


def find_neck(mesh: BoneMesh, head: Sphere, neck_point_mm: Point) -> Neck | None:
    """Return the neck: its centre and its smallest plane section; None if a section is not closed.

    The centre is the mean of the centroids of nine sections across the axis from the head's centre to the neck's.

    For the smallest section, the position of the plane along the axis and its two tilts are free: a coarse scan is
    followed by the method of Nelder and Mead. The axis leads from the head's centre through `neck_point_mm`.

    Args:
        mesh: The bone.
        head: Its head.
        neck_point_mm: A point within the neck, in LPS mm, as :func:`~nnunet_femur.measurement.head.neck_point` returns.
    """
    from scipy.optimize import minimize

    axis = Line(head.center_mm, unit(neck_point_mm - head.center_mm))
    zone = mesh.near(head.center_mm, 3.2 * head.radius_mm)
    steps = np.linspace(*_SCAN_RADII, 25) * head.radius_mm
    positions = axis.point_mm @ axis.direction + steps
    areas = [
        _area(_around(loops, axis.point_mm + step * axis.direction))
        for step, loops in zip(steps, plane_sections(zone, axis.direction, positions), strict=True)
    ]
    if not np.isfinite(areas).any():
        return None
    first = float(steps[int(np.argmin(areas))])
    narrow = zone.near(axis.point_mm + first * axis.direction, 2.0 * head.radius_mm)
    x, y = plane_axes(axis.direction)

    def cut(free: np.ndarray) -> Loop | None:
        """Return the section with a position in mm and two tilts in radians."""
        point = axis.point_mm + free[0] * axis.direction
        normal = unit(axis.direction + np.tan(free[1]) * x + np.tan(free[2]) * y)
        return _around(plane_sections(narrow, normal, np.array([point @ normal]))[0], point)

    def cost(scaled: np.ndarray) -> float:
        free = scaled * [1.0, 0.05, 0.05]
        if np.hypot(free[1], free[2]) > np.deg2rad(_LARGEST_TILT_DEG):
            return np.inf
        if not 0.6 * head.radius_mm < free[0] < 2.3 * head.radius_mm:
            return np.inf
        return _area(cut(free))

    simplex = np.array([[first, 0, 0], [first + 2, 0, 0], [first, 2, 0], [first, 0, 2]])
    options = {"xatol": 0.01, "fatol": 0.01, "maxiter": 150, "initial_simplex": simplex}
    found = minimize(cost, simplex[0], method="Nelder-Mead", options=options)
    loop = cut(found.x * [1.0, 0.05, 0.05])
    if loop is None:
        return None
    center = _center(zone, head, neck_point_mm)
    if center is None:
        return None
    smallest, largest = loop.widths_mm()
    return Neck(center, loop.outline_mm(), loop.area_mm2, smallest, largest)


def _center(zone: BoneMesh, head: Sphere, first_mm: Point) -> Point | None:
    """Return the mean of the centroids of sections across the neck; the second pass is across the axis of the first."""
    center = first_mm
    for _ in range(2):
        axis = unit(center - head.center_mm)
        steps = np.linspace(*_CENTER_RADII, _CENTER_SECTIONS) * head.radius_mm
        sections = plane_sections(zone, axis, head.center_mm @ axis + steps)
        loops = [
            _around(of_plane, head.center_mm + step * axis) for step, of_plane in zip(steps, sections, strict=True)
        ]
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
