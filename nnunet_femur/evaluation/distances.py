"""Distances between the surfaces of two masks, surfel by surfel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.surfels import Surface

_MANY = 2000
"""Fewer surfels than this are left to the tree altogether."""

_NEARBY, _TRIAL = 320, 32
"""Places where a nearby surfel is looked for, and how many are tried before it is given up if half have found none."""

_SAMPLE = 256
"""Surfels whose distance tells how far apart two surfaces are; with fewer there is nothing to gain."""

_TREE_US, _TREE_US_PER_STEP, _TRANSFORM_US_PER_VOXEL = 0.4, 0.3, 0.06
"""Microseconds that the search takes per surfel, per surfel and voxel of distance, and the transform per voxel."""

_TRANSFORM_VOXELS = 20_000_000
"""Larger boxes are searched by the tree, since the transform takes 13 bytes per voxel."""


@dataclass(frozen=True)
class SurfaceDistances:
    """The distance of every surfel from the nearest surfel of the other mask.

    Attributes:
        reference_mm: Distances of the reference's surfels in mm, ascending, shape (n,).
        reference_areas_mm2: Areas of these surfels in mm² (in slices lengths in mm), shape (n,).
        prediction_mm: Distances of the prediction's surfels in mm, ascending, shape (m,).
        prediction_areas_mm2: Areas of these surfels, shape (m,).
    """

    reference_mm: NDArray[np.float64]
    reference_areas_mm2: NDArray[np.float64]
    prediction_mm: NDArray[np.float64]
    prediction_areas_mm2: NDArray[np.float64]


@dataclass(frozen=True)
class MatchedSurfaces:
    """Two surfaces that are not empty, with the order that sorts each by distance from the other.

    Attributes:
        reference: Surface of the reference.
        prediction: Surface of the prediction.
        reference_mm: Distance of each of the reference's surfels in mm, in the order of the surface.
        prediction_mm: The same of the prediction.
        reference_order: What sorts the reference's surfels by distance and then by area.
        prediction_order: The same of the prediction.
    """

    reference: Surface
    prediction: Surface
    reference_mm: NDArray[np.float64]
    prediction_mm: NDArray[np.float64]
    reference_order: NDArray[np.int64]
    prediction_order: NDArray[np.int64]

    @classmethod
    def of(cls, reference: Surface, prediction: Surface) -> MatchedSurfaces:
        """Measure both ways."""
        there, back = distances_mm(reference, prediction), distances_mm(prediction, reference)
        return cls(reference, prediction, there, back, _order(there, reference), _order(back, prediction))

    def all(self) -> SurfaceDistances:
        """The distances of all surfels."""
        mine, theirs = self.reference_order, self.prediction_order
        return SurfaceDistances(
            self.reference_mm[mine],
            self.reference.areas_mm2[mine],
            self.prediction_mm[theirs],
            self.prediction.areas_mm2[theirs],
        )

    def part(self, in_reference: NDArray[np.bool_], in_prediction: NDArray[np.bool_]) -> SurfaceDistances:
        """The distances of some surfels from the other surface, which stays whole.

        Args:
            in_reference: Which surfels of the reference, shape (n,).
            in_prediction: Which surfels of the prediction, shape (m,).
        """
        mine, theirs = (
            self.reference_order[in_reference[self.reference_order]],
            self.prediction_order[in_prediction[self.prediction_order]],
        )
        return SurfaceDistances(
            self.reference_mm[mine],
            self.reference.areas_mm2[mine],
            self.prediction_mm[theirs],
            self.prediction.areas_mm2[theirs],
        )


def _order(distances: NDArray[np.float64], surface: Surface) -> NDArray[np.int64]:
    return np.lexsort((surface.areas_mm2, distances))


def distances_mm(surface: Surface, other: Surface) -> NDArray[np.float64]:
    """Distance of each surfel of `surface` from the nearest of `other`, neither empty; shape (n,).

    Most surfels have a neighbour within a few voxels, which is found by looking there. For the others a tree, or a
    distance transform where they are many and far, finds the nearest surfel. All distances are taken from indices:
    exact multiples of the spacing, so that a surface one voxel of 2 mm away is 2 mm away and within 2 mm.
    """
    found = np.zeros(len(surface.corners))
    apart = np.arange(found.size)
    if apart.size >= _MANY:
        apart = _look_nearby(surface, other, found)
    if apart.size:
        nearest = _nearest_by_transform if _are_far_apart(surface, other, apart) else _nearest_by_tree
        found[apart] = _lengths_mm(surface.corners[apart] - nearest(surface, other, apart), surface.spacing_mm)
    return found


def _look_nearby(surface: Surface, other: Surface, found: NDArray[np.float64]) -> NDArray[np.int64]:
    """Look for surfels of `other` at growing distance: the first one met is the nearest.

    Args:
        surface: The surfels whose distance is wanted.
        other: The surfels to look for.
        found: Where the distances of those surfels in mm are written that have one nearby.

    Returns:
        The places of the surfels that have none.
    """
    steps, lengths_mm = _steps_by_length(surface.spacing_mm)
    reach = np.abs(steps).max(axis=0)
    low, shape = _common_box(surface, other)
    padded = tuple((np.array(shape) + 2 * reach).tolist())
    occupied = np.zeros(int(np.prod(padded)), dtype=bool)
    occupied[np.ravel_multi_index((other.corners - low + reach).T, padded)] = True
    strides = np.array([int(np.prod(padded[axis + 1 :])) for axis in range(len(padded))])
    apart = np.arange(found.size)
    places = np.ravel_multi_index((surface.corners - low + reach).T, padded)
    for number, (shift, length_mm) in enumerate(zip(steps @ strides, lengths_mm, strict=True)):
        if number == _TRIAL and 2 * apart.size > found.size:
            break
        met = occupied[places + shift]
        found[apart[met]] = length_mm
        apart, places = apart[~met], places[~met]
        if not apart.size:
            break
    return apart


@lru_cache(maxsize=32)
def _steps_by_length(spacing_mm: tuple[float, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The :data:`_NEARBY` shortest steps on the grid, ascending, and their lengths in mm."""
    # As many voxels as wanted make a box of about this edge; twice that holds every step that may be among them.
    reach_mm = 2 * (_NEARBY * float(np.prod(spacing_mm))) ** (1 / len(spacing_mm))
    ranges = [np.arange(-n, n + 1) for n in (min(int(reach_mm / mm), _NEARBY) + 1 for mm in spacing_mm)]
    steps = np.stack([along.ravel() for along in np.meshgrid(*ranges, indexing="ij")], axis=1)
    lengths_mm = _lengths_mm(steps, spacing_mm)
    # Up to the shortest step that leaves the box, none is missing.
    complete = lengths_mm < min((along[-1] + 1) * mm for along, mm in zip(ranges, spacing_mm, strict=True))
    order = np.argsort(np.where(complete, lengths_mm, np.inf), kind="stable")[: min(_NEARBY, int(complete.sum()))]
    return steps[order], lengths_mm[order]


def _nearest_by_tree(surface: Surface, other: Surface, of: NDArray[np.int64]) -> NDArray[np.int64]:
    return other.corners[other.tree.query(surface.points_mm[of])[1]]


def _nearest_by_transform(surface: Surface, other: Surface, of: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same by a Euclidean distance transform of the box around both, whose time does not depend on distances."""
    from scipy.ndimage import distance_transform_edt

    low, shape = _common_box(surface, other)
    away = np.ones(shape, dtype=bool)
    away[tuple((other.corners - low).T)] = False
    nearest = distance_transform_edt(away, sampling=surface.spacing_mm, return_distances=False, return_indices=True)
    return np.stack([along[tuple((surface.corners[of] - low).T)] for along in nearest], axis=1) + low


def _are_far_apart(surface: Surface, other: Surface, of: NDArray[np.int64]) -> bool:
    """Whether the transform is faster than the tree, which looks the farther around the farther apart surfaces are.

    The times are those of a femur of 65 000 surfels; a sample tells how far the tree has to look.
    """
    if of.size < _SAMPLE:
        return False
    voxels = float(np.prod(_common_box(surface, other)[1], dtype=float))
    if voxels > _TRANSFORM_VOXELS:
        return False
    sample = other.tree.query(surface.points_mm[of[:: of.size // _SAMPLE]])[0]
    steps = float(sample.mean()) / float(np.prod(surface.spacing_mm)) ** (1 / len(surface.spacing_mm))
    return of.size * (_TREE_US + _TREE_US_PER_STEP * steps) > voxels * _TRANSFORM_US_PER_VOXEL


def _lengths_mm(steps: NDArray[np.int64], spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    along = steps.T * np.array(spacing_mm)[:, None]
    return np.sqrt(np.add.reduce(along * along, axis=0))


def _common_box(surface: Surface, other: Surface) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """First corner and shape of the box around two surfaces."""
    low = np.minimum(surface.low, other.low)
    return low, tuple((np.maximum(surface.high, other.high) - low + 1).tolist())
