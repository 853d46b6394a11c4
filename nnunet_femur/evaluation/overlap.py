"""Voxel counts of truth, prediction and what they share: the ground of every overlap and volume score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLANES = ("axial", "coronal", "sagittal")
"""Anatomical planes in the order of the axes of a :class:`~nnunet_femur.evaluation.masks.Mask`."""


@dataclass(frozen=True)
class Overlap:
    """Counts of n pairs of masks, where a pair is a whole volume or one slice.

    Attributes:
        shared: Voxels in truth and prediction (TP), shape (n,).
        truth: Voxels in the truth (TP + FN), shape (n,).
        prediction: Voxels in the prediction (TP + FP), shape (n,).
    """

    shared: NDArray[np.int64]
    truth: NDArray[np.int64]
    prediction: NDArray[np.int64]

    @property
    def union(self) -> NDArray[np.int64]:
        """Voxels in truth or prediction (TP + FP + FN), shape (n,)."""
        return self.truth + self.prediction - self.shared

    @property
    def both_empty(self) -> NDArray[np.bool_]:
        """Pairs without any voxel, shape (n,)."""
        return self.union == 0

    @property
    def truth_empty(self) -> NDArray[np.bool_]:
        """Pairs with voxels in the prediction only, shape (n,)."""
        return (self.truth == 0) & (self.prediction > 0)

    @property
    def prediction_empty(self) -> NDArray[np.bool_]:
        """Pairs with voxels in the truth only, shape (n,)."""
        return (self.prediction == 0) & (self.truth > 0)

    def total(self) -> Overlap:
        """The counts of all pairs together, as one pair."""
        return Overlap(*(np.array([n.sum()]) for n in (self.shared, self.truth, self.prediction)))


def slice_overlaps(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_]
) -> dict[str, tuple[NDArray[np.int64], Overlap]]:
    """Counts of every slice that holds truth or prediction, plane by plane.

    Args:
        truth: Mask, shape (z, y, x).
        prediction: Mask of the same shape.

    Returns:
        For each of :data:`PLANES` the indices of the slices, ascending, and their counts.
    """
    box = _bounding_box(truth | prediction)
    cropped = (truth[box] & prediction[box], truth[box], prediction[box])
    found = {}
    for axis, plane in enumerate(PLANES):
        others = tuple(other for other in range(truth.ndim) if other != axis)
        counts = Overlap(*(voxels.sum(axis=others, dtype=np.int64) for voxels in cropped))
        held = np.flatnonzero(~counts.both_empty)
        kept = Overlap(counts.shared[held], counts.truth[held], counts.prediction[held])
        found[plane] = (held + box[axis].start, kept)
    return found


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    box = []
    for axis in range(mask.ndim):
        held = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(held[0]), int(held[-1]) + 1) if held.size else slice(0, 0))
    return tuple(box)
