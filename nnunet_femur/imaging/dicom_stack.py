"""Sort the slices of one volume by position, and check that they form an even grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import Geometry, VolumeError
from nnunet_femur.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.imaging.dicom_slices import Slice


UNEVEN = 0.1
"""Largest relative difference of a slice distance from the usual one; a larger one would displace bone."""

_SHIFTED_VOXELS = 0.1
"""Largest shift of a slice within its plane that is not reported, in voxels."""


def stack(path: Path, slices: Sequence[Slice]) -> tuple[tuple[Slice, ...], Geometry]:
    """Return slices sorted by position along the normal, and the geometry of their volume.

    Args:
        path: The file or folder that errors name.
        slices: The slices in any order.

    Raises:
        VolumeError: There is only one slice, or the slices are not an even grid: they have gaps, uneven distances or
            different sizes, or are shifted against each other.
    """
    first = slices[0]
    other = next((each for each in slices if not same_plane(first, each)), None)
    if other is not None:
        problem = f"contains slices of different sizes or directions ({first.name} and {other.name})."
        raise VolumeError(path, problem, "Leave only the slices of one volume in it.", code="slices-uneven")
    if len(slices) < 2:
        if path.is_dir():
            raise VolumeError(path, "contains a single slice.", "Add the other slices of the series.", code="not-3d")
        remedy = "Give the folder with all slices of the series."
        raise VolumeError(path, "is a single slice of a series.", remedy, code="not-3d")
    axes = axes_of(first)
    ordered = sorted(slices, key=lambda each: float(np.dot(each.position_mm, axes[2])))
    _require_straight(path, np.array([each.position_mm for each in ordered]), axes[2], first.spacing_mm_xy)
    between_mm = distances_mm(ordered)
    _require_even(path, ordered, between_mm)
    geometry = Geometry(
        (*first.size_xy, len(ordered)),
        (*first.spacing_mm_xy, float(between_mm.mean())),
        tuple(float(number) for number in ordered[0].position_mm),
        tuple(float(number) for number in axes.T.ravel()),
    )
    if not 1e-3 <= geometry.spacing_mm_xyz[2] <= 1e3:
        problem = f"has slices {geometry.spacing_mm_xyz[2]:.6g} mm apart."
        raise VolumeError(path, problem, KINDS["bad-geometry"].remedy, code="bad-geometry")
    return tuple(ordered), geometry


def uneven_problems(slices: Sequence[Slice], geometry: Geometry) -> list[str]:
    """Return the differences between the positions of slices and an even grid, beyond rounding errors.

    Args:
        slices: The slices, sorted by position.
        geometry: The even grid that is used for their volume.
    """
    found = []
    between_mm = distances_mm(slices)
    least_mm, most_mm = float(between_mm.min()), float(between_mm.max())
    if most_mm - least_mm > max(0.01, 0.01 * least_mm):
        taken_mm = geometry.spacing_mm_xyz[2]
        found.append(f"has slices {least_mm:.6g} to {most_mm:.6g} mm apart; {taken_mm:.6g} mm was used for all.")
    aside_mm = _aside_mm(np.array([each.position_mm for each in slices]), axes_of(slices[0])[2])
    if aside_mm > max(0.01, _SHIFTED_VOXELS * max(slices[0].spacing_mm_xy)):
        found.append(
            f"has slices that are shifted against each other by up to {aside_mm:.3g} mm; the shift was ignored."
        )
    return found


def axes_of(one: Slice) -> NDArray[np.float64]:
    """Return the unit vectors along a row, along a column and along the normal of a slice, as the rows of a matrix."""
    plane = np.reshape(one.orientation, (2, 3))
    plane = plane / np.linalg.norm(plane, axis=1, keepdims=True)
    normal = np.cross(plane[0], plane[1])
    return np.vstack([plane, normal / np.linalg.norm(normal)])


def distances_mm(slices: Sequence[Slice]) -> NDArray[np.float64]:
    """Return the distances between neighbouring slices along the normal, in mm."""
    normal = axes_of(slices[0])[2]
    return np.diff(np.sort(np.array([each.position_mm for each in slices]) @ normal))


def same_plane(one: Slice, other: Slice) -> bool:
    """Return True for slices of the same size, spacing and orientation."""
    return (
        one.size_xy == other.size_xy
        and _close(one.spacing_mm_xy, other.spacing_mm_xy, 1e-4)
        and _close(one.orientation, other.orientation, 1e-3)
    )


def _close(one: Sequence[float], other: Sequence[float], tolerance: float) -> bool:
    # numpy is slow for six numbers, and there may be thousands of frames.
    return all(abs(mine - theirs) <= tolerance for mine, theirs in zip(one, other, strict=True))


def _require_straight(
    path: Path, positions_mm: NDArray[np.float64], normal: NDArray[np.float64], spacing_mm_xy: tuple[float, ...]
) -> None:
    """Refuse slices that are shifted within their plane, as by a tilted gantry: the axes are not at right angles."""
    aside_mm = _aside_mm(positions_mm, normal)
    if aside_mm > max(spacing_mm_xy):
        problem = f"contains slices shifted against each other by up to {aside_mm:.1f} mm, as by a tilted gantry."
        raise VolumeError(path, problem, "Export it with the tilt corrected.", code="slices-uneven")


def _aside_mm(positions_mm: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    """Return the largest shift of a slice within its plane relative to the first slice, in mm."""
    way_mm = positions_mm - positions_mm[0]
    return float(np.linalg.norm(way_mm - np.outer(way_mm @ normal, normal), axis=1).max())


def _require_even(path: Path, slices: Sequence[Slice], between_mm: NDArray[np.float64]) -> None:
    """Refuse slices at the same position, slices that are missing, and uneven distances."""
    usual_mm = float(np.median(between_mm))
    closest = int(np.argmin(between_mm))
    if between_mm[closest] < 0.01 * max(usual_mm, 0.1):
        pair = f"{slices[closest].name} and {slices[closest + 1].name}"
        problem = f"contains two slices at the same position ({pair}), as if two reconstructions were in one series."
        raise VolumeError(path, problem, "Leave one slice per position.", code="slices-uneven")
    widest = int(np.argmax(between_mm))
    pair = f"{slices[widest].name} and {slices[widest + 1].name}"
    if between_mm[widest] > 1.5 * usual_mm:
        gaps = int((between_mm > 1.5 * usual_mm).sum())
        problem = (
            f"lacks slices at {gaps} position(s): {pair} are {between_mm[widest]:.6g} mm apart instead of "
            f"{usual_mm:.6g} mm."
        )
        raise VolumeError(path, problem, "Add the missing slices.", code="slice-gap")
    if np.abs(between_mm - usual_mm).max() > UNEVEN * usual_mm:
        problem = f"has slices {between_mm.min():.6g} to {between_mm.max():.6g} mm apart."
        raise VolumeError(path, problem, KINDS["slices-uneven"].remedy, code="slices-uneven")
