"""Voxel counts of reference, prediction and their intersection: the input of all overlap and volume scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.regions import PARTS, end_slices, part_of
from nnunet_femur.evaluation.surfels import unravelled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.bone import Bone

PLANES = ("axial", "coronal", "sagittal")
"""Anatomical planes, in the order of the axes of a :class:`~nnunet_femur.evaluation.mask_input.Mask`."""

PROFILE_BINS = 50
"""Number of equal parts of the bone's length in an :class:`AxisProfile`."""


@dataclass(frozen=True)
class Overlap:
    """Counts of n pairs of masks; a pair is a whole volume or one slice.

    Attributes:
        shared: Voxels in reference and prediction (TP), shape (n,).
        reference: Voxels in the reference (TP + FN), shape (n,).
        prediction: Voxels in the prediction (TP + FP), shape (n,).

    Example:
        >>> overlap = Overlap(shared=np.array([3, 0]), reference=np.array([4, 0]), prediction=np.array([6, 5]))
        >>> overlap.union.tolist()
        [7, 5]
        >>> overlap.empty["truth_empty"].tolist()
        [False, True]
    """

    shared: NDArray[np.int64]
    reference: NDArray[np.int64]
    prediction: NDArray[np.int64]

    @property
    def union(self) -> NDArray[np.int64]:
        """Voxels in reference or prediction (TP + FP + FN), shape (n,)."""
        return self.reference + self.prediction - self.shared

    @property
    def empty(self) -> dict[str, NDArray[np.bool_]]:
        """Mask of the pairs that are empty, shape (n,), by kind.

        The keys are those of :data:`~nnunet_femur.evaluation.policies.EMPTY_KINDS`.
        """
        no_reference, no_prediction = self.reference == 0, self.prediction == 0
        return {
            "both_empty": no_reference & no_prediction,
            "truth_empty": no_reference & ~no_prediction,
            "prediction_empty": no_prediction & ~no_reference,
        }

    def total(self) -> Overlap:
        """Return the counts of all pairs together, as one pair."""
        return Overlap(*(np.array([n.sum()]) for n in (self.shared, self.reference, self.prediction)))

    def chosen(self, pairs: NDArray) -> Overlap:
        """Return some of the pairs, by their indices or by a mask of shape (n,)."""
        return Overlap(self.shared[pairs], self.reference[pairs], self.prediction[pairs])

    @classmethod
    def joined(cls, parts: Iterable[Overlap]) -> Overlap:
        """Return the pairs of all parts one after the other."""
        listed = list(parts)
        return cls(
            np.concatenate([part.shared for part in listed]),
            np.concatenate([part.reference for part in listed]),
            np.concatenate([part.prediction for part in listed]),
        )


@dataclass(frozen=True)
class AxisProfile:
    """Agreement of reference and prediction along the bone.

    Attributes:
        shared: Voxels in both masks in each of :data:`PROFILE_BINS` equal parts of the reference's long axis, from its
            distal to its proximal end. Voxels beyond an end count in the part at that end.
        reference: Voxels in the reference.
        prediction: Voxels in the prediction.

    Example:
        >>> from nnunet_femur import score
        >>> profile = score("prediction.nrrd", "reference.nrrd").profile
        >>> profile.dice.shape
        (50,)
        >>> profile.dice[[25, -1]].tolist()    # agreement in the shaft, none at the proximal end
        [1.0, 0.0]
    """

    shared: NDArray[np.int64]
    reference: NDArray[np.int64]
    prediction: NDArray[np.int64]

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice of each part; NaN where neither mask has a voxel."""
        both = self.reference + self.prediction
        return np.divide(2 * self.shared, both, out=np.full(both.shape, np.nan), where=both > 0)


Slices = tuple["NDArray[np.int64]", Overlap]
"""Indices of the slices of a plane that contain reference or prediction, ascending, shape (n,), and their counts."""


@dataclass(frozen=True)
class Counts:
    """All counts of one case.

    Attributes:
        slices: Slices that contain reference or prediction, by region and plane. An empty reference has no long axis,
            and so no region but the whole.
        in_ends: Mask of the axial slices in the region `ends`, shape (slices,).
        profile: Counts along the long axis; None for an empty reference.
    """

    slices: dict[str, dict[str, Slices]]
    in_ends: NDArray[np.bool_]
    profile: AxisProfile | None


_MEMBERSHIPS = 4
"""A voxel is in neither mask (0), in the reference only (1), in the prediction only (2), or in both (3)."""


def count(reference: Bone, prediction: Bone) -> Counts:
    """Count the voxels of every slice of three planes in every region; only voxels of either mask are visited."""
    box = _common_box(reference, prediction)
    first_zyx = [part.start for part in box]
    share = reference.voxels[box].view(np.uint8) | (prediction.voxels[box].view(np.uint8) << np.uint8(1))
    # numpy finds nonzero elements three times as fast in an array of booleans.
    places = np.flatnonzero(share != 0)
    shares = share.ravel()[places]
    indices = unravelled(places, share.shape)
    axis = reference.axis
    parts, profile = np.zeros(places.size, dtype=np.uint8), None
    if axis is not None:
        positions = axis.position(*(along + first for along, first in zip(indices, first_zyx, strict=True)))
        parts = part_of(positions)
        bins = np.clip((positions * PROFILE_BINS).astype(np.int64), 0, PROFILE_BINS - 1)
        counted = _counted(bins, shares, PROFILE_BINS)
        profile = AxisProfile(counted.shared, counted.reference, counted.prediction)
    keys = parts * np.uint8(_MEMBERSHIPS) + shares
    found: dict[str, dict[str, Slices]] = {name: {} for name in ("whole", *PARTS)}
    width = len(PARTS) * _MEMBERSHIPS
    for plane, along, size, first in zip(PLANES, indices, share.shape, first_zyx, strict=True):
        table = np.bincount(along * width + keys, minlength=size * width).reshape(size, len(PARTS), _MEMBERSHIPS)
        found["whole"][plane] = _nonempty_slices(first, _overlap(table.sum(axis=1)))
        for number, part in enumerate(PARTS):
            found[part][plane] = _nonempty_slices(first, _overlap(table[:, number]))
    in_ends = np.zeros(reference.voxels.shape[0], dtype=bool)
    if axis is None:
        return Counts({"whole": found["whole"]}, in_ends, None)
    index, axial = found["whole"]["axial"]
    per_slice = np.zeros(reference.voxels.shape[0], dtype=np.int64)
    per_slice[index] = axial.reference
    in_ends = end_slices(per_slice)
    within = in_ends[indices[0] + first_zyx[0]]
    found["ends"] = {
        plane: _nonempty_slices(first, _counted(along[within], shares[within], size))
        for plane, along, size, first in zip(PLANES, indices, share.shape, first_zyx, strict=True)
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
    return _overlap(
        np.bincount(bins * _MEMBERSHIPS + shares, minlength=size * _MEMBERSHIPS).reshape(size, _MEMBERSHIPS)
    )


def _overlap(table: NDArray[np.int64]) -> Overlap:
    """Return the counts from a table of voxels in neither, reference only, prediction only and both, shape (n, 4)."""
    return Overlap(table[:, 3].copy(), table[:, 1] + table[:, 3], table[:, 2] + table[:, 3])


def _nonempty_slices(first: int, counts: Overlap) -> Slices:
    """Return the slices that contain reference or prediction, from the counts of all slices from `first` on."""
    held = np.flatnonzero(counts.union)
    return held + first, counts.chosen(held)
