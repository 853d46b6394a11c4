"""Slices of one volume, put into the order of their positions and checked to be a box."""

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
"""Largest part of a slice distance by which it may differ from the others; more would put bone in a wrong place."""

_SHIFTED_VOXELS = 0.1
"""Shift of a slice within its plane, in parts of a voxel, below which nothing is reported."""


def axes_of(one: Slice) -> NDArray[np.float64]:
    """Return the unit vectors along a row, along a column and along the normal of a slice, as the rows of a matrix."""
    plane = np.reshape(one.orientation, (2, 3))
    plane = plane / np.linalg.norm(plane, axis=1, keepdims=True)
    normal = np.cross(plane[0], plane[1])
    return np.vstack([plane, normal / np.linalg.norm(normal)])


def distances_mm(slices: Sequence[Slice]) -> NDArray[np.float64]:
    """Return the distances of neighbouring slices along the normal, in mm."""
    normal = axes_of(slices[0])[2]
    return np.diff(np.sort(np.array([each.position_mm for each in slices]) @ normal))


def same_plane(one: Slice, other: Slice) -> bool:
    """Return True for slices of one size, spacing and orientation."""
    return (
        one.size_xy == other.size_xy
        and _close(one.spacing_mm_xy, other.spacing_mm_xy, 1e-4)
        and _close(one.orientation, other.orientation, 1e-3)
    )


def _close(one: Sequence[float], other: Sequence[float], tolerance: float) -> bool:
    # For six numbers, and thousands of frames, numpy is slow.
    return all(abs(mine - theirs) <= tolerance for mine, theirs in zip(one, other, strict=True))


def stack(path: Path, slices: Sequence[Slice]) -> tuple[tuple[Slice, ...], Geometry]:
    """Return slices in the order of their positions along the normal, and the geometry of their volume.

    Args:
        path: The file or folder that errors are about.
        slices: The slices in any order.

    Raises:
        VolumeError: There is one slice only, or they are not a box: with gaps, unevenly spaced, of different sizes, or
            shifted against each other.
    """
    first = slices[0]
    other = next((each for each in slices if not same_plane(first, each)), None)
    if other is not None:
        problem = f"holds slices of different sizes or directions ({first.name} and {other.name})."
        raise VolumeError(path, problem, "Leave the slices of one volume in it.", code="slices-uneven")
    if len(slices) < 2:
        if path.is_dir():
            raise VolumeError(path, "holds a single slice.", "Add the other slices of the series.", code="not-3d")
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
        problem = f"has slices at {geometry.spacing_mm_xyz[2]:.6g} mm from each other."
        raise VolumeError(path, problem, KINDS["bad-geometry"].remedy, code="bad-geometry")
    return tuple(ordered), geometry


def _require_straight(
    path: Path, positions_mm: NDArray[np.float64], normal: NDArray[np.float64], spacing_mm_xy: tuple[float, ...]
) -> None:
    """A tilted gantry shifts each slice within its plane, which a volume of three axes at right angles cannot hold."""
    aside_mm = _aside_mm(positions_mm, normal)
    if aside_mm > max(spacing_mm_xy):
        problem = f"holds slices that are shifted against each other by up to {aside_mm:.1f} mm, as by a tilted gantry."
        raise VolumeError(path, problem, "Export it with the tilt corrected.", code="slices-uneven")


def uneven_problems(slices: Sequence[Slice], geometry: Geometry) -> list[str]:
    """Return what differs between the positions of slices and those of their volume, beyond rounding errors.

    Args:
        slices: The slices in their order.
        geometry: The geometry of their volume, of even slices at right angles.
    """
    found = []
    between_mm = distances_mm(slices)
    least_mm, most_mm = float(between_mm.min()), float(between_mm.max())
    if most_mm - least_mm > max(0.01, 0.01 * least_mm):
        taken_mm = geometry.spacing_mm_xyz[2]
        found.append(
            f"has slices at {least_mm:.6g} to {most_mm:.6g} mm from each other; {taken_mm:.6g} mm was taken for all."
        )
    aside_mm = _aside_mm(np.array([each.position_mm for each in slices]), axes_of(slices[0])[2])
    if aside_mm > max(0.01, _SHIFTED_VOXELS * max(slices[0].spacing_mm_xy)):
        found.append(
            f"has slices that are shifted against each other by up to {aside_mm:.3g} mm; they were stacked straight."
        )
    return found


def _aside_mm(positions_mm: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    """Return the largest shift of a slice within its plane against the first one."""
    way_mm = positions_mm - positions_mm[0]
    return float(np.linalg.norm(way_mm - np.outer(way_mm @ normal, normal), axis=1).max())


def _require_even(path: Path, slices: Sequence[Slice], between_mm: NDArray[np.float64]) -> None:
    usual_mm = float(np.median(between_mm))
    closest = int(np.argmin(between_mm))
    if between_mm[closest] < 0.01 * max(usual_mm, 0.1):
        pair = f"{slices[closest].name} and {slices[closest + 1].name}"
        problem = f"holds two slices at one place ({pair}), as where two reconstructions are in one series."
        raise VolumeError(path, problem, "Leave one slice per place.", code="slices-uneven")
    widest = int(np.argmax(between_mm))
    pair = f"between {slices[widest].name} and {slices[widest + 1].name}"
    if between_mm[widest] > 1.5 * usual_mm:
        gaps = int((between_mm > 1.5 * usual_mm).sum())
        problem = (
            f"lacks slices at {gaps} place(s): {pair} are {between_mm[widest]:.6g} mm instead of {usual_mm:.6g} mm."
        )
        raise VolumeError(path, problem, "Add the missing slices.", code="slice-gap")
    if np.abs(between_mm - usual_mm).max() > UNEVEN * usual_mm:
        problem = f"has slices at {between_mm.min():.6g} to {between_mm.max():.6g} mm from each other."
        raise VolumeError(path, problem, "Export it resampled to even slices.", code="slices-uneven")
