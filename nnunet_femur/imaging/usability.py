"""Refuse a CT in which no network can find a femur, in `convert`, `predict` and `baseline`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.findings import Severity
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.hounsfield import image_findings
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.geometry import Geometry

LEAST_EXTENT_MM = 10.0
"""Least extent along each axis in mm: a thinner slab is less than a few voxels of a network."""

LEAST_VOXELS = 3
"""Least number of voxels along each axis; fewer cannot be interpolated."""

ANY_VALUES = "Use --any-values to segment it anyway."
"""Fix for a CT whose values are not HU, in addition to that of its finding."""


def thin_problem(geometry: Geometry) -> str | None:
    """Return the problem of a volume that is too thin to be segmented; None for other volumes."""
    for count, spacing_mm in sorted(zip(geometry.size_xyz, geometry.spacing_mm_xyz, strict=True)):
        if count == 1:
            return "is a single slice."
        if count < LEAST_VOXELS:
            return f"has only {count} voxels along one axis; expected at least {LEAST_VOXELS}."
        if count * spacing_mm < LEAST_EXTENT_MM:
            extent = f"{count * spacing_mm:.3g} mm ({count} voxels)"
            return f"is a slab of {extent}; expected at least {LEAST_EXTENT_MM:g} mm."
    return None


def require_usable(
    values_zyx: NDArray, geometry: Geometry, path: Path, *, any_values: bool = False
) -> tuple[Finding, ...]:
    """Return the warnings about a CT, and refuse a CT that `convert` would refuse.

    Args:
        values_zyx: The values of the CT.
        geometry: The geometry of the CT.
        path: The file or folder of the CT, for messages.
        any_values: True to accept values that are not HU.

    Raises:
        VolumeError: The CT is too thin, or its values are not HU.
    """
    thin = thin_problem(geometry)
    if thin:
        found = finding("too-thin", path, thin)
        raise VolumeError(path, found.problem, found.remedy, code=found.code)
    findings = image_findings(values_zyx, path, voxel_volume_ml=geometry.voxel_volume_ml)
    for error in findings:
        if error.severity is Severity.ERROR and (error.code == "not-finite" or not any_values):
            alternative = "" if error.code == "not-finite" else f" {ANY_VALUES}"
            raise VolumeError(path, error.problem, f"{error.remedy}{alternative}", code=error.code)
    return tuple(each for each in findings if each.severity is not Severity.NOTE)
