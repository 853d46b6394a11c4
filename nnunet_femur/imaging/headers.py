"""Header of a volume in a file, and the checks that every format shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from nnunet_femur.imaging.geometry import VolumeError, numbers_text
from nnunet_femur.kinds import KINDS, finding

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.geometry import Geometry

MOST_SHEARED = 0.03
"""Largest cosine between two axes of a volume that is accepted: 1.7 degrees from a right angle."""

MOST_PACKED = 1100
"""Largest ratio of unpacked to packed bytes; that of gzip is at most 1032."""

_SHEARED = 1e-4
"""Largest cosine between axes that is a rounding error of the numbers in a header."""


@dataclass(frozen=True)
class Header:
    """Header of a volume in a file.

    Attributes:
        geometry: Grid of the voxels.
        components: Values per voxel: 1, or more for the layers of a segmentation or for colours.
        rescaled: True if a slope or an intercept is applied when the voxels are read.
        fields: Fields of the file's own header by name. They may contain a patient's name, so no message quotes them.
        findings: Assumptions and corrections; their file is the path as given.
        alternatives: Other geometries that the header allows, if it does not define the orientation.
    """

    geometry: Geometry
    components: int
    rescaled: bool
    fields: dict[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    alternatives: tuple[Geometry, ...] = ()


def refuse(path: Path, code: str, problem: str, remedy: str | None = None) -> NoReturn:
    """Raise the error with a code of :data:`nnunet_femur.kinds.KINDS` about a file.

    Args:
        path: The file.
        code: The code.
        problem: The problem, as a sentence without its subject.
        remedy: A more precise fix than that of the code.

    Raises:
        VolumeError: Always.
    """
    raise VolumeError(path, problem, KINDS[code].remedy if remedy is None else remedy, code=code)


def refuse_dimensions(path: Path, dimension: int, components: int) -> NoReturn:
    """Raise the error about a file that is not a single volume of grey values.

    Raises:
        VolumeError: Always.
    """
    problem = (
        f"has {dimension} dimensions and {components} component(s) per voxel; expected three dimensions and one grey "
        "value per voxel."
    )
    refuse(path, "not-3d" if dimension != 3 else "colour", problem)


def refuse_spacing(path: Path, problem: str = "does not state its spacing.") -> NoReturn:
    """Raise the error about a file whose spacing in mm is unknown.

    Raises:
        VolumeError: Always.
    """
    refuse(path, "no-spacing", problem)


def require_room(path: Path, needed: int, stored: int) -> None:
    """Refuse a file that is too small for its voxels, even if they are compressed.

    Args:
        path: The file.
        needed: Bytes of the voxels according to the header.
        stored: Bytes of the file.

    Raises:
        VolumeError: The file is too small.
    """
    if needed > MOST_PACKED * stored:
        refuse(path, "unreadable", truncated(needed, stored))


def truncated(needed: int, stored: int) -> str:
    """Return the problem of a file that contains fewer bytes of voxels than its header announces."""
    return f"is truncated: its header announces {needed} bytes of voxels, the file contains {stored}."


def checked_geometry(path: Path, geometry: Geometry) -> tuple[Geometry, tuple[Finding, ...]]:
    """Return a geometry with axes at right angles, and the findings about the given one.

    Slightly sheared axes are replaced by the nearest ones at right angles (polar decomposition). The centre of the
    volume keeps its position.

    Raises:
        VolumeError: The geometry is not finite, empty, sheared by more than :data:`MOST_SHEARED`, or its spacing or
            origin is impossible in a CT of a body.
    """
    numbers = (*geometry.spacing_mm_xyz, *geometry.origin_mm_xyz, *geometry.direction)
    if not np.isfinite(numbers).all():
        refuse(path, "bad-geometry", "has a spacing, origin or direction that is NaN or infinite.")
    if min(geometry.size_xyz) < 1:
        refuse(path, "bad-geometry", "has no voxels.")
    if not all(1e-3 <= spacing <= 1e3 for spacing in geometry.spacing_mm_xyz):
        refuse(path, "bad-geometry", f"has an impossible spacing of {numbers_text(geometry.spacing_mm_xyz)} mm.")
    if max(abs(origin) for origin in geometry.origin_mm_xyz) > 1e6:
        refuse(path, "bad-geometry", f"has an impossible origin at {numbers_text(geometry.origin_mm_xyz)} mm.")
    axes = np.reshape(geometry.direction, (3, 3))
    lengths = np.linalg.norm(axes, axis=0)
    cosines = axes.T @ axes / np.outer(lengths, lengths) if lengths.all() else np.ones((3, 3))
    sheared = float(np.abs(cosines - np.diag(np.diag(cosines))).max())
    if sheared > MOST_SHEARED or np.abs(lengths - 1).max() > _SHEARED:
        degrees = math.degrees(math.asin(min(1.0, sheared)))
        refuse(path, "bad-geometry", f"has axes {degrees:.1f} degrees from right angles; at most 1.7 are allowed.")
    if sheared <= _SHEARED:
        return geometry, ()
    left, _, right = np.linalg.svd(axes)
    direction = left @ right
    half = (np.array(geometry.size_xyz) - 1) / 2
    origin = geometry.steps_mm @ half + geometry.origin_mm_xyz - (direction * geometry.spacing_mm_xyz) @ half
    straight = replace(
        geometry, origin_mm_xyz=tuple(origin.tolist()), direction=tuple(float(d) for d in direction.ravel())
    )
    shift_mm = float(np.linalg.norm(straight.corners_mm - geometry.corners_mm, axis=1).max())
    problem = (
        f"has axes {math.degrees(math.asin(sheared)):.2f} degrees from right angles. The nearest axes at right angles "
        f"were used, which moves the corners of the volume by {shift_mm:.1f} mm."
    )
    return straight, (finding("axes-straightened", path, problem),)
