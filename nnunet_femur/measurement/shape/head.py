"""The femoral head: the end of the bone that contains it, and its sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.landmarks import Line, Sphere, unit
from nnunet_femur.measurement.shape.mesh_sections import sphere_section
from nnunet_femur.measurement.shape.sphere_fit import RADII_MM, find_spheres, refine_sphere, tapered

if TYPE_CHECKING:
    from nnunet_femur.measurement.landmarks import Point
    from nnunet_femur.measurement.shape.mesh import BoneMesh
    from nnunet_femur.measurement.shape.sphere_fit import Values

_END = 0.22
"""Part of the length at each end in which a head is looked for."""

CONE_DEG = 110.0
"""Half angle of the cone about the direction away from the neck in which the surface is fitted.

Real heads are not spheres: a cone of 90 degrees moves the centre by 0.4 mm, no cone by 0.5 mm. The definition is fixed.
"""

_TRIANGLES = 5000
"""Triangles of each end that the search uses."""

_LEAST_RMS_MM = 0.05
"""Residual below which spheres count as equally good."""

_CONE_TAPER_DEG = 5.0
_CUT_RADII = 1.4
"""Radius in head radii of a sphere around the head that cuts the neck (as method 5 of J Exp Orthop 2023 10:141)."""


def find_head(mesh: BoneMesh, axis: Line, *, effort: float = 1.0) -> tuple[Sphere, int] | None:
    """Return the sphere of the head and the sign of the axis towards it, or None if neither end has a sphere.

    A sphere is fitted to both ends. The end whose sphere covers more of itself for its residual is the proximal one.

    Args:
        mesh: The bone.
        axis: Its long axis, in either direction.
        effort: Number of tried spheres, relative to those of a measurement.
    """
    along = mesh.points_mm @ axis.direction
    low, high = float(along.min()), float(along.max())
    reach = _END * (high - low)
    found = []
    for sign, (start, end) in ((1, (high - reach, high)), (-1, (low, low + reach))):
        part = mesh.between(axis.direction, start, end)
        thinned = part.thinned(_TRIANGLES)
        for first in find_spheres(thinned, effort=effort):
            sphere = refine_sphere(thinned, first, _on_sphere)
            if np.isfinite(sphere.rms_mm) and RADII_MM[0] < sphere.radius_mm < RADII_MM[1]:
                found.append((sphere.covered / max(sphere.rms_mm, _LEAST_RMS_MM), sign, sphere))
    if not found:
        return None
    _, sign, sphere = max(found, key=lambda each: each[0])
    return sphere, sign


def refine_head(mesh: BoneMesh, first: Sphere) -> Sphere | None:
    """Return the sphere of the head within the cone about the direction away from the neck.

    Args:
        mesh: The bone.
        first: The sphere of :func:`find_head`.

    Returns:
        The sphere; None if too little of the surface is near it, or if a larger sphere does not cut the neck.
    """
    part = mesh.near(first.center_mm, 2.0 * first.radius_mm)
    sphere = first
    for _ in range(10):
        neck = neck_point(part, sphere)
        if neck is None:
            return None
        away = unit(sphere.center_mm - neck)

        def weigh(now: Sphere, distance: Values, radial: Values, cosine: Values, away: Point = away) -> Values:
            """Weigh the surface of the head within the cone."""
            cone = tapered(radial @ away, np.cos(np.deg2rad(CONE_DEG)), np.cos(np.deg2rad(CONE_DEG - _CONE_TAPER_DEG)))
            return _on_sphere(now, distance, radial, cosine) * cone

        refined = refine_sphere(part, sphere, weigh)
        if not np.isfinite(refined.rms_mm):
            return None
        moved = float(np.linalg.norm(refined.center_mm - sphere.center_mm))
        sphere = refined
        if moved < 1e-4:
            break
    return None if neck_point(part, sphere) is None else sphere


def neck_point(mesh: BoneMesh, head: Sphere) -> Point | None:
    """Return the centroid of the longest curve in which a sphere of 1.4 head radii cuts the bone, in LPS mm."""
    curves = sphere_section(mesh, head.center_mm, _CUT_RADII * head.radius_mm)
    if not curves:
        return None
    lengths = np.linalg.norm(curves[0][:, 1] - curves[0][:, 0], axis=1)
    return np.average(curves[0].mean(axis=1), axis=0, weights=lengths)


def _on_sphere(sphere: Sphere, distance: Values, _: Values, cosine: Values) -> Values:
    """Weigh triangles near a sphere that face outwards: full weight within the tolerance, none beyond 1.5 times it."""
    tolerance = float(np.clip(2.5 * sphere.rms_mm if sphere.rms_mm > 0 else 1.0, 0.6, 2.0))
    near = 1 - tapered(np.abs(distance - sphere.radius_mm), tolerance, 1.5 * tolerance)
    return near * tapered(cosine, 0.8, 0.9)
