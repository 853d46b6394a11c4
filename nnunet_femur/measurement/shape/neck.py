"""The femoral neck: its centre and its narrowest section across the neck axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.landmarks import Neck, Sphere, unit
from nnunet_femur.measurement.shape.mesh_sections import Loop, loop_around, plane_sections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.measurement.landmarks import Point
    from nnunet_femur.measurement.shape.mesh import BoneMesh

_CENTER_RADII, _CENTER_SECTIONS = (0.8, 1.1), 9
"""Distances from the head's centre of the sections that determine the neck's centre, in head radii, and their number.

The narrowest section is between them (1.01 ± 0.09 radii). Its own centroid moves three times as much between scans of
one bone, since the area hardly changes there.
"""

_SCAN_RADII, _SCAN_SECTIONS = (0.75, 1.7), 39
"""Distances from the head's centre at which the narrowest section is looked for, in head radii, and their number."""

_PARABOLA_SECTIONS = 4
"""Sections on each side of the smallest one that the parabola is fitted to."""


def find_neck(mesh: BoneMesh, head: Sphere, neck_point_mm: Point) -> Neck | None:
    """Return the neck: its centre and its narrowest section; None if a section is not closed.

    The centre is the mean of the centroids of nine sections across the axis from the head's centre to the neck's. The
    narrowest section is across the same axis: a plane that is free to tilt tilts differently in each scan of one bone,
    and its widths differ.

    Args:
        mesh: The bone.
        head: Its head.
        neck_point_mm: A point within the neck, in LPS mm, as
            :func:`~nnunet_femur.measurement.shape.head.neck_point` returns.
    """
    zone = mesh.near(head.center_mm, 3.2 * head.radius_mm)
    center = neck_point_mm
    for _ in range(2):
        # The second pass is across the axis of the first.
        loops = _sections(zone, head, center, np.linspace(*_CENTER_RADII, _CENTER_SECTIONS))
        centroids = [loop.centroid_mm for loop in loops if loop is not None]
        if len(centroids) < _CENTER_SECTIONS:
            return None
        center = np.mean(centroids, axis=0)
    narrowest = _narrowest(zone, head, center)
    if narrowest is None:
        return None
    smallest, largest = narrowest.widths_mm()
    return Neck(center, narrowest.outline_mm(), narrowest.area_mm2, smallest, largest)


def _narrowest(zone: BoneMesh, head: Sphere, center_mm: Point) -> Loop | None:
    """Return the section with the smallest area across the neck axis, at the vertex of a parabola through the areas."""
    radii = np.linspace(*_SCAN_RADII, _SCAN_SECTIONS)
    areas = np.array([np.inf if loop is None else loop.area_mm2 for loop in _sections(zone, head, center_mm, radii)])
    if not np.isfinite(areas).any():
        return None
    place = int(np.argmin(areas))
    near = slice(max(0, place - _PARABOLA_SECTIONS), place + _PARABOLA_SECTIONS + 1)
    used = np.isfinite(areas[near])
    radius = float(radii[place])
    if used.sum() > 3:
        bend, slope, _ = np.polyfit(radii[near][used] - radius, areas[near][used], 2)
        if bend > 0:
            radius += float(np.clip(-slope / (2 * bend), radii[near][0] - radius, radii[near][-1] - radius))
    return _sections(zone, head, center_mm, np.array([radius]))[0]


def _sections(zone: BoneMesh, head: Sphere, toward_mm: Point, radii: NDArray[np.float64]) -> list[Loop | None]:
    """Return the outer curves around the axis from the head's centre to a point, at distances in head radii."""
    axis = unit(toward_mm - head.center_mm)
    steps = radii * head.radius_mm
    sections = plane_sections(zone, axis, head.center_mm @ axis + steps)
    return [loop_around(loops, head.center_mm + step * axis) for step, loops in zip(steps, sections, strict=True)]
