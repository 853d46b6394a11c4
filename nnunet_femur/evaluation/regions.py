"""The regions of a bone: parts along its long axis, and its first and last slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.bone import BoneAxis

PARTS = ("distal", "shaft", "proximal")
"""The parts along the axis, from its distal end to its proximal one."""

REGIONS = ("whole", "proximal", "shaft", "distal", "ends")
"""Every region of scores.csv."""

DISTAL_SHARE = PROXIMAL_SHARE = 0.25
"""Share of the reference's length along its long axis that its distal and its proximal part take; the shaft is the rest.
Of a whole femur the proximal quarter holds head, neck and trochanters, the distal one the condyles and metaphysis."""

END_SLICES = 20
"""Axial slices that hold reference at either end of it, as the study cuts out the heads."""

REGIONS_IN_WORDS = (
    f"proximal and distal: the uppermost {PROXIMAL_SHARE:.0%} and the lowest {DISTAL_SHARE:.0%} of the reference's length "
    f"along its long axis (the principal axis of its voxels in mm), shaft: the {1 - PROXIMAL_SHARE - DISTAL_SHARE:.0%} "
    f"between, ends: the first and the last {END_SLICES} axial slices with reference"
)
"""What the regions are, for tables and reports."""


def part_of(positions: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Which of :data:`PARTS` points belong to, by their position along the axis; shape (n,).

    What lies beyond an end of the reference belongs to the part at that end, so that no false find is lost.
    """
    return (positions >= DISTAL_SHARE).astype(np.uint8) + (positions > 1 - PROXIMAL_SHARE)


def end_slices(reference_voxels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which axial slices belong to the region `ends`: the first and the last 20 that hold reference.

    Args:
        reference_voxels: Voxels of reference in each axial slice, shape (slices,).
    """
    held = np.flatnonzero(reference_voxels)
    chosen = np.zeros(reference_voxels.shape, dtype=bool)
    chosen[held[:END_SLICES]] = chosen[held[-END_SLICES:]] = True
    return chosen


def surfels_in_region(
    region: str, corners: NDArray[np.int64], axis: BoneAxis, in_ends: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which surfels belong to a region; shape (n,).

    Args:
        region: One of :data:`REGIONS`.
        corners: Corners of a :class:`~nnunet_femur.evaluation.surfels.Surface`, shape (n, 3).
        axis: The reference's long axis.
        in_ends: Which axial slices belong to the region `ends`, shape (slices,). A surfel, which lies between two
            slices, belongs to it if either does.
    """
    if region == "whole":
        return np.ones(len(corners), dtype=bool)
    if region == "ends":
        padded = np.concatenate(([False], in_ends, [False]))
        return (padded[1:] | padded[:-1])[corners[:, 0]]
    # A corner lies half a voxel before the centre of the voxel of its index.
    positions = axis.position(*(corners.T - 0.5))
    return part_of(positions) == PARTS.index(region)
