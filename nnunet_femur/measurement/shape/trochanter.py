"""The lesser trochanter: its level along the shaft."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.landmarks import Line, Sphere, unit
from nnunet_femur.measurement.shape.mesh_sections import Loop, plane_sections
from nnunet_femur.measurement.shape.shaft import loop_at

if TYPE_CHECKING:
    from nnunet_femur.measurement.landmarks import Point
    from nnunet_femur.measurement.shape.mesh import BoneMesh

_ZONE_RADII = (1.2, 4.0)
"""Distances below the head's centre at which the peak is looked for, in head radii."""

_DIRECTIONS_DEG = (20.0, 35.0, 50.0)
"""Directions in which the trochanter protrudes, from posterior towards medial."""

_STEP_MM, _SMOOTHING_MM = 1.0, 2.0


def lesser_trochanter(mesh: BoneMesh, head: Sphere, axis: Line, *, medial: Point, posterior: Point) -> Point | None:
    """Return the point of the proximal shaft axis at the level of the lesser trochanter's peak, or None without a peak.

    The peak is the level at which the surface is farthest from the axis in posteromedial directions: the mean of three
    directions, smoothed along the shaft; the largest local maximum.

    Args:
        mesh: The bone.
        head: Its head.
        axis: The proximal shaft axis, directed upwards.
        medial: Unit vector to medial.
        posterior: Unit vector to posterior.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import argrelmax

    below_mm = np.arange(_ZONE_RADII[0] * head.radius_mm, _ZONE_RADII[1] * head.radius_mm, _STEP_MM)
    top = float(head.center_mm @ axis.direction)
    zone = mesh.between(axis.direction, top - below_mm[-1], top - below_mm[0])
    angles = np.deg2rad(_DIRECTIONS_DEG)
    directions = np.array([unit(np.cos(each) * posterior + np.sin(each) * medial) for each in angles])
    reach = np.full(len(below_mm), -np.inf)
    for place, loops in enumerate(plane_sections(zone, axis.direction, top - below_mm)):
        loop = loop_at(loops, axis, float(top - below_mm[place]))
        if loop is not None:
            reach[place] = np.mean(((loop.starts_mm - axis.point_mm) @ directions.T).max(axis=0))
    if not np.isfinite(reach).all():
        first = int(np.flatnonzero(np.isfinite(reach))[0]) if np.isfinite(reach).any() else len(reach)
        below_mm, reach = below_mm[first:], reach[first:]
        if len(reach) < 10 or not np.isfinite(reach).all():
            return None
    smooth = gaussian_filter1d(reach, _SMOOTHING_MM / _STEP_MM)
    peaks = argrelmax(smooth)[0]
    if not len(peaks):
        return None
    place = int(peaks[np.argmax(smooth[peaks])])
    before, here, after = smooth[place - 1 : place + 2]
    shift = (before - after) / (2 * (before - 2 * here + after))
    level = top - (below_mm[place] + shift * _STEP_MM)
    return axis.point_mm + (level - axis.point_mm @ axis.direction) * axis.direction


def section_above(mesh: BoneMesh, axis: Line, point_mm: Point, above_mm: float) -> Loop | None:
    """Return the section across an axis at a distance above one of its points, or None if none encloses the axis.

    Args:
        mesh: The bone.
        axis: The axis, directed upwards.
        point_mm: The point in LPS mm.
        above_mm: The distance in mm.
    """
    position = float(point_mm @ axis.direction) + above_mm
    zone = mesh.between(axis.direction, position - 1, position + 1)
    return loop_at(plane_sections(zone, axis.direction, np.array([position]))[0], axis, position)
