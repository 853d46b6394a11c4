"""The femoral neck: its narrowest section."""

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


def find_neck(mesh: BoneMesh, head: Sphere, neck_point_mm: Point) -> Neck | None:
    """Return the plane section of the neck with the smallest area, or None if no closed section encloses its axis.

    The position of the plane along the axis and its two tilts are free: a coarse scan is followed by the method of
    Nelder and Mead. The axis leads from the head's centre through `neck_point_mm`.

    Args:
        mesh: The bone.
        head: Its head.
        neck_point_mm: A point within the neck, in LPS mm, as :func:`~nnunet_femur.measurement.head.refine_head` returns.
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
    smallest, largest = loop.widths_mm()
    return Neck(loop.centroid_mm, loop.outline_mm(), loop.area_mm2, smallest, largest)


def _around(loops: list[Loop], point_mm: Point) -> Loop | None:
    """Return the outer curve that encloses a point."""
    found = [loop for loop in loops if loop.area_mm2 > 0 and loop.encloses(point_mm)]
    return max(found, key=lambda loop: loop.area_mm2) if found else None


def _area(loop: Loop | None) -> float:
    return np.inf if loop is None else loop.area_mm2
