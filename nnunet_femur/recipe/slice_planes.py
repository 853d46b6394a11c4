"""Planes of slices by name."""

from __future__ import annotations

from typing import Literal, get_args

AnatomicalPlane = Literal["axial", "coronal", "sagittal"]
"""Plane perpendicular to an axis of the patient."""

ObliquePlaneName = Literal[
    "axial+coronal", "axial-coronal", "axial+sagittal", "axial-sagittal", "coronal+sagittal", "coronal-sagittal"
]
"""Plane whose normal halves the angle between those of two anatomical planes, which point to superior, anterior and
right; "-" reverses that of the second plane."""

Plane = Literal[AnatomicalPlane, ObliquePlaneName]
"""Plane of slices in the patient."""

PLANES: tuple[AnatomicalPlane, ...] = get_args(AnatomicalPlane)
"""Planes perpendicular to the array axes z, y, x of a volume in RAS order."""

OBLIQUE_PLANES: tuple[ObliquePlaneName, ...] = get_args(ObliquePlaneName)
"""Planes whose normals are 45 degrees from two of these axes."""


def axes_and_sign(plane: Plane) -> tuple[tuple[int, ...], int]:
    """Return the array axes z, y, x (0 is z) that the normal of a plane is between, and the sign of the second one.

    Args:
        plane: Name of the plane.

    Example:
        >>> axes_and_sign("coronal"), axes_and_sign("axial-sagittal")
        (((1,), 1), ((0, 2), -1))
    """
    sign = -1 if "-" in plane else 1
    return tuple(PLANES.index(name) for name in plane.replace("-", "+").split("+")), sign
