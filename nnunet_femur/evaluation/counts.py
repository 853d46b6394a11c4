"""Voxel counts of reference, prediction and what they share: the ground of every overlap and volume score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.regions import PARTS, end_slices, part_of
from nnunet_femur.evaluation.surfels import unravelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.bone import Bone

PLANES = ("axial", "coronal", "sagittal")
"""Anatomical planes in the order of the axes of a :class:`~nnunet_femur.evaluation.masks.Mask`."""

PROFILE_BINS = 50
"""Equal parts of the bone's length in an :class:`AxisProfile`."""


@dataclass(frozen=True)
class Overlap:
    """Counts of n pairs of masks, where a pair is a whole volume or one slice.

    Attributes:
        shared: Voxels in reference and prediction (TP), shape (n,).
        reference: Voxels in the reference (TP + FN), shape (n,).
        prediction: Voxels in the prediction (TP + FP), shape (n,).
    """

    shared: NDArray[np.int64]
    reference: NDArray[np.int64]
    prediction: NDArray[np.int64]

    @property
    def union(self) -> NDArray[np.int64]:
        """Voxels in reference or prediction (TP + FP + FN), shape (n,)."""
        return self.reference + self.prediction - self.shared

    @property
    def both_empty(self) -> NDArray[np.bool_]:
        """Pairs without any voxel, shape (n,)."""
        return self.union == 0

    @property
    def truth_empty(self) -> NDArray[np.bool_]:
        """Pairs with voxels in the prediction only, shape (n,)."""
        return (self.reference == 0) & (self.prediction > 0)

    @property
    def prediction_empty(self) -> NDArray[np.bool_]:
        """Pairs with voxels in the reference only, shape (n,)."""
        return (self.prediction == 0) & (self.reference > 0)

    def total(self) -> Overlap:
        """The counts of all pairs together, as one pair."""
        return Overlap(*(np.array([n.sum()]) for n in (self.shared, self.reference, self.prediction)))

    def chosen(self, pairs: NDArray) -> Overlap:
        """Some of the pairs, by their places or by a mask of shape (n,)."""
        return Overlap(self.shared[pairs], self.reference[pairs], self.prediction[pairs])


@dataclass(frozen=True)
class AxisProfile:
    """Where along the bone reference and prediction agree.

    Attributes:
        shared: Voxels in both in each of :data:`PROFILE_BINS` equal parts of the reference's long axis, from its distal
            to its proximal end; what lies beyond an end counts in the part at that end.
        reference: Voxels in the reference.
        prediction: Voxels in the prediction.
    """

    shared: NDArray[np.int64]
    reference: NDArray[np.int64]
    prediction: NDArray[np.int64]

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice of each part, NaN where neither mask holds a voxel."""
        both = self.reference + self.prediction
        return np.divide(2 * self.shared, both, out=np.full(both.shape, np.nan), where=both > 0)


@dataclass(frozen=True)
class Counts:
    """All counts of one case.

    Attributes:
        slices: By region and plane the indices of the slices that hold reference or prediction, ascending, and their
            counts. An empty reference has no long axis and so no region but the whole.
        in_ends: Which axial slices belong to the region `ends`, shape (slices,).
        profile: Counts along the long axis; None for an empty reference.
    """

    slices: dict[str, dict[str, tuple[NDArray[np.int64], Overlap]]]
    in_ends: NDArray[np.bool_]
    profile: AxisProfile | None


_SHARES = 4
"""A voxel is in neither mask (0), in the reference only (1), in the prediction only (2), or in both (3)."""


def count(reference: Bone, prediction: Bone) -> Counts:
    """Count the voxels of every slice of three planes, in every region; only voxels of either mask are visited."""
    box = _common_box(reference, prediction)
    share = reference.voxels[box].view(np.uint8) | (prediction.voxels[box].view(np.uint8) << np.uint8(1))
    # numpy finds them three times as fast among booleans.
    places = np.flatnonzero(share != 0)
    shares = share.ravel()[places]
    indices = unravelled(places, share.shape)
    axis = reference.axis
    parts, profile = np.zeros(places.size, dtype=np.uint8), None
    if axis is not None:
        positions = axis.position(*(along + part.start for along, part in zip(indices, box, strict=True)))
        parts = part_of(positions)
        bins = np.clip((positions * PROFILE_BINS).astype(np.int64), 0, PROFILE_BINS - 1)
        counted = _counted(bins, shares, PROFILE_BINS)
        profile = AxisProfile(counted.shared, counted.reference, counted.prediction)
    keys = parts * np.uint8(_SHARES) + shares
    found: dict[str, dict[str, tuple[NDArray[np.int64], Overlap]]] = {name: {} for name in ("whole", *PARTS)}
    for dimension, plane in enumerate(PLANES):
        size, first = share.shape[dimension], box[dimension].start
        width = len(PARTS) * _SHARES
        table = np.bincount(indices[dimension] * width + keys, minlength=size * width).reshape(
            size, len(PARTS), _SHARES
        )
        found["whole"][plane] = _held(first, _overlap(table.sum(axis=1)))
        for number, part in enumerate(PARTS):
            found[part][plane] = _held(first, _overlap(table[:, number]))
    in_ends = np.zeros(reference.voxels.shape[0], dtype=bool)
    if axis is None:
        return Counts({"whole": found["whole"]}, in_ends, None)
    index, axial = found["whole"]["axial"]
    per_slice = np.zeros(reference.voxels.shape[0], dtype=np.int64)
    per_slice[index] = axial.reference
    in_ends = end_slices(per_slice)
    within = in_ends[indices[0] + box[0].start]
    found["ends"] = {
        plane: _held(box[dimension].start, _counted(indices[dimension][within], shares[within], share.shape[dimension]))
        for dimension, plane in enumerate(PLANES)
    }
    return Counts(found, in_ends, profile)


def _common_box(reference: Bone, prediction: Bone) -> tuple[slice, ...]:
    if reference.empty or prediction.empty:
        return prediction.box if reference.empty else reference.box
    return tuple(
        slice(min(mine.start, theirs.start), max(mine.stop, theirs.stop))
        for mine, theirs in zip(reference.box, prediction.box, strict=True)
    )


def _counted(bins: NDArray[np.int64], shares: NDArray[np.uint8], size: int) -> Overlap:
    return _overlap(np.bincount(bins * _SHARES + shares, minlength=size * _SHARES).reshape(size, _SHARES))


def _overlap(table: NDArray[np.int64]) -> Overlap:
    """From the numbers of voxels in neither, reference only, prediction only and both, shape (n, 4)."""
    return Overlap(table[:, 3].copy(), table[:, 1] + table[:, 3], table[:, 2] + table[:, 3])


def _held(first: int, counts: Overlap) -> tuple[NDArray[np.int64], Overlap]:
    held = np.flatnonzero(~counts.both_empty)
    return held + first, counts.chosen(held)
