"""Slices that contain femur in the training cases, and the order in which batches take them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.networks.oblique_planes import OBLIQUE
from nnunet_femur.training.slices.oblique_cuts import oblique_shadows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class SliceTable:
    """Table of the slices that contain femur, a row for each.

    Attributes:
        case: Number of the case, shape (n,).
        axis: The spatial axis (0 is z) that the slice is across, or the number of an oblique plane, shape (n,).
        index: Index of the slice along this axis, or number of the oblique slice, shape (n,).
        box: First row, row behind the last, first column, column behind the last of the femur, shape (n, 4).
    """

    case: NDArray[np.int64]
    axis: NDArray[np.int64]
    index: NDArray[np.int64]
    box: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index)


def find_slices(
    masks: Iterable[NDArray[np.bool_]], axes: Sequence[int], scale: Sequence[float] = (1.0, 1.0, 1.0)
) -> SliceTable:
    """Return the slices across `axes` that contain femur, also those with a single voxel of it.

    The result is not cached: a mask of 300 x 336 x 256 voxels takes 0.01 s after it is read.

    Args:
        masks: A mask of each case, shape (z, y, x).
        axes: The spatial axes (0 is z) to cut across, and numbers of oblique planes.
        scale: Pixels per voxel along z, y, x; only for oblique planes.

    Example:
        >>> mask = np.zeros((6, 4, 8), dtype=bool)
        >>> mask[2, 1:3, 3:6] = True
        >>> table = find_slices([mask], axes=(0,))
        >>> table.index.tolist(), table.box.tolist()
        ([2], [[1, 3, 3, 6]])
    """
    rows: list[NDArray[np.int64]] = [np.empty((0, 7), dtype=np.int64)]
    for case, mask in enumerate(masks):
        # shadows[k] is the projection of the mask along axis k. Two projections give the extent of every slice.
        shadows: list[NDArray[np.bool_]] = [np.any(mask, axis=axis) for axis in range(3)]
        for axis in axes:
            if axis in OBLIQUE:
                rows.append(_oblique_rows(mask, case, axis, scale))
                continue
            first, second = (other for other in range(3) if other != axis)
            along_rows = shadows[second] if axis < first else shadows[second].T
            along_columns = shadows[first] if axis < second else shadows[first].T
            index = np.flatnonzero(np.any(along_rows, axis=1))
            box = (*_extent(along_rows[index]), *_extent(along_columns[index]))
            place = (np.full_like(index, case), np.full_like(index, axis), index)
            rows.append(np.stack((*place, *box), axis=1))
    table = np.concatenate(rows)
    return SliceTable(table[:, 0], table[:, 1], table[:, 2], table[:, 3:])


def _oblique_rows(mask: NDArray[np.bool_], case: int, axis: int, scale: Sequence[float]) -> NDArray[np.int64]:
    """Return the rows of the table for the slices of an oblique plane."""
    grid = OBLIQUE[axis].grid(mask.shape, scale)
    along, third = oblique_shadows(mask, grid)
    index = np.flatnonzero(along.any(axis=1))
    boxes = [_extent(along[index]), _extent(third[index])]
    first, second = boxes if grid.plane.has_rows_along else reversed(boxes)
    return np.stack((np.full_like(index, case), np.full_like(index, axis), index, *first, *second), axis=1)


def slices_of_ends(table: SliceTable, count: Sequence[int]) -> SliceTable:
    """Return the first and the last slices of every case and axis, which the study calls femur heads.

    Args:
        table: Slices in rising order, as :func:`find_slices` returns them.
        count: Number of slices at either end of each case.
    """
    kept = np.zeros(len(table), dtype=bool)
    for case, axis in np.unique(np.stack((table.case, table.axis), axis=1), axis=0):
        rows = np.flatnonzero((table.case == case) & (table.axis == axis))
        number = count[case]
        kept[rows[:number]] = kept[rows[max(0, len(rows) - number) :]] = True
    return SliceTable(table.case[kept], table.axis[kept], table.index[kept], table.box[kept])


@dataclass
class SliceOrder:
    """Order of training on the slices that contain femur.

    They are shuffled for each pass, and a pass contains each slice once. With `iterations` None, an epoch is exactly
    one pass, in batches whose sizes differ by at most 1. Otherwise batches are filled from one pass after another.

    Batches are those of all processes together. Each process takes its share of them with :func:`share_of_rank`, so
    the number of steps does not depend on the number of processes.

    Args:
        slices: Number of slices that contain femur.
        per_batch: Number of these slices in a batch.
        iterations: Number of batches in an epoch; None for one pass.
        seed: Seed of the order.

    Example:
        >>> order = SliceOrder(slices=10, per_batch=4, iterations=None, seed=0)
        >>> order.batches_per_epoch
        3
        >>> sorted(int(place) for number in range(3) for place in order.batch(number)) == list(range(10))
        True
    """

    slices: int
    per_batch: int
    iterations: int | None
    seed: int
    _pass: tuple[int, NDArray[np.int64]] = field(init=False, repr=False, default=(-1, np.empty(0, dtype=np.int64)))

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        if self.iterations is not None:
            return self.iterations
        return max(1, math.ceil(self.slices / max(1, self.per_batch)))

    @property
    def smallest_batch(self) -> int:
        """Number of slices in the smallest batch."""
        return self.per_batch if self.iterations is not None else self.slices // self.batches_per_epoch

    def batch(self, number: int) -> NDArray[np.int64]:
        """Return the slices of a batch, as indices from 0 to `slices` - 1.

        Args:
            number: Number of the batch, from 0 at the start of the training.
        """
        if self.iterations is None:
            epoch, place = divmod(number, self.batches_per_epoch)
            return np.array_split(self._shuffled(epoch), self.batches_per_epoch)[place]
        if not self.slices:
            return np.empty(0, dtype=np.int64)
        start = number * self.per_batch
        places = range(start, start + self.per_batch)
        return np.array([self._shuffled(place // self.slices)[place % self.slices] for place in places], dtype=np.int64)

    def _shuffled(self, number: int) -> NDArray[np.int64]:
        if self._pass[0] != number:
            self._pass = number, np.random.default_rng((self.seed, number)).permutation(self.slices)
        return self._pass[1]


def share_of_rank(size: int, *, rank: int, ranks: int) -> range:
    """Return the places of a batch that one of several processes trains on.

    The processes take places in turn. So the sizes of their shares differ by at most 1, and each share has its part of
    the slices with femur, which come first in a batch.

    Args:
        size: Number of slices in the batch.
        rank: Number of the process, from 0.
        ranks: Number of processes.

    Example:
        >>> list(share_of_rank(5, rank=1, ranks=2))
        [1, 3]
    """
    return range(rank, size, ranks)


def _extent(lines: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first true index of each line, shape (n, length), and the index behind the last."""
    return lines.argmax(axis=1), lines.shape[1] - lines[:, ::-1].argmax(axis=1)
