"""Which slices of the training cases hold femur, and where in them it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class SliceTable:
    """Slices that hold femur, one row each.

    Attributes:
        case: Number of the case, shape (n,).
        axis: The spatial axis (0 is z) that the slice lies across, shape (n,).
        index: Index of the slice along this axis, shape (n,).
        box: First row, row behind the last, first column, column behind the last of the femur, shape (n, 4).
    """

    case: NDArray[np.int64]
    axis: NDArray[np.int64]
    index: NDArray[np.int64]
    box: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index)


def find_slices(masks: Iterable[NDArray[np.bool_]], axes: Sequence[int]) -> SliceTable:
    """The slices across `axes` that hold femur, from the masks themselves: no slice of a bone's tips is missed.

    Not cached: a mask of 300 x 336 x 256 voxels takes 0.01 s after its reading.

    Args:
        masks: A mask of three dimensions for each case.
        axes: The spatial axes (0 is z) to cut across.
    """
    rows: list[NDArray[np.int64]] = [np.empty((0, 7), dtype=np.int64)]
    for case, mask in enumerate(masks):
        # shadows[k] is the mask seen along axis k; the extent of every slice can be read from two of them.
        shadows: list[NDArray[np.bool_]] = [np.any(mask, axis=axis) for axis in range(3)]
        for axis in axes:
            first, second = (other for other in range(3) if other != axis)
            along_rows = shadows[second] if axis < first else shadows[second].T
            along_columns = shadows[first] if axis < second else shadows[first].T
            index = np.flatnonzero(np.any(along_rows, axis=1))
            box = (*_extent(along_rows[index]), *_extent(along_columns[index]))
            place = (np.full_like(index, case), np.full_like(index, axis), index)
            rows.append(np.stack((*place, *box), axis=1))
    table = np.concatenate(rows)
    return SliceTable(table[:, 0], table[:, 1], table[:, 2], table[:, 3:])


def _extent(lines: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each line, shape (n, length), the first place that is true and the place behind the last."""
    return lines.argmax(axis=1), lines.shape[1] - lines[:, ::-1].argmax(axis=1)


def ends_only(table: SliceTable, count: Sequence[int]) -> SliceTable:
    """The first and the last slices of every case and axis, as the study cuts out the heads.

    Args:
        table: Slices in rising order, as :func:`find_slices` gives them.
        count: For each case, how many slices at either end.
    """
    kept = np.zeros(len(table), dtype=bool)
    for case, axis in np.unique(np.stack((table.case, table.axis), axis=1), axis=0):
        rows = np.flatnonzero((table.case == case) & (table.axis == axis))
        number = count[case]
        kept[rows[:number]] = kept[rows[max(0, len(rows) - number) :]] = True
    return SliceTable(table.case[kept], table.axis[kept], table.index[kept], table.box[kept])
