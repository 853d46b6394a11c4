"""Regions of a bone: parts along its long axis, and its first and last slices.

All regions are found on the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.bone import BoneAxis

PARTS = ("distal", "shaft", "proximal")
"""Parts along the axis, from its distal to its proximal end."""

REGIONS = ("whole", "proximal", "shaft", "distal", "ends")
"""All regions in scores.csv."""

DISTAL_SHARE = PROXIMAL_SHARE = 0.25
"""Shares of the reference's length along its long axis that belong to its distal and to its proximal part; the shaft is
the rest. The proximal quarter of a whole femur contains head, neck and trochanters, the distal quarter the condyles and
the metaphysis."""

END_SLICES = 20
"""Number of axial slices with reference at each end in the region `ends`; the study crops femur heads by it."""

REGIONS_TEXT = (
    f"proximal and distal: the uppermost {PROXIMAL_SHARE:.0%} and the lowest {DISTAL_SHARE:.0%} of the reference's "
    f"length along its long axis (the principal axis of its voxels in mm), shaft: the "
    f"{1 - PROXIMAL_SHARE - DISTAL_SHARE:.0%} between, ends: the first and the last {END_SLICES} axial slices with "
    "reference"
)
"""Definition of the regions for tables and reports."""


def part_of(positions: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the indices in :data:`PARTS` of points, by their positions along the axis; shape (n,).

    Points beyond an end of the reference belong to the part at that end, so that every false positive counts.
    """
    return (positions >= DISTAL_SHARE).astype(np.uint8) + (positions > 1 - PROXIMAL_SHARE)


def end_slices(reference_voxels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return a mask of the axial slices in the region `ends`: the first and the last 20 that contain reference.

    Args:
        reference_voxels: Voxels of the reference in each axial slice, shape (slices,).
    """
    held = np.flatnonzero(reference_voxels)
    chosen = np.zeros(reference_voxels.shape, dtype=bool)
    chosen[held[:END_SLICES]] = chosen[held[-END_SLICES:]] = True
    return chosen


def surfels_in_region(
    region: str, corners: NDArray[np.int64], axis: BoneAxis, in_ends: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return a mask of the surfels in a region, shape (n,).

    Args:
        region: One of :data:`REGIONS`.
        corners: Corners of a :class:`~nnunet_femur.evaluation.surfels.Surface`, shape (n, 3).
        axis: Long axis of the reference.
        in_ends: Mask of the axial slices in the region `ends`, shape (slices,). A surfel between two slices belongs to
            the region if one of them does.
    """
    if region == "whole":
        return np.ones(len(corners), dtype=bool)
    if region == "ends":
        padded = np.concatenate(([False], in_ends, [False]))
        return (padded[1:] | padded[:-1])[corners[:, 0]]
    # A corner is half a voxel before the centre of the voxel with its index.
    positions = axis.position(*(corners.T - 0.5))
    return part_of(positions) == PARTS.index(region)
