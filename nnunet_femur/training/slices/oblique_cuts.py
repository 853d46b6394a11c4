"""Oblique slices of preprocessed volumes on disk: the part that a window shows, and the slices that contain femur."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.networks.oblique_planes import ObliqueGrid

_PIECE = 32
"""Pixels within the plane that are read together. A box around a long oblique line would be large."""


def cut_oblique(
    volume: Any,
    grid: ObliqueGrid,
    numbers: NDArray[np.int64],
    rows: slice,
    columns: slice,
    *,
    outside: int | None = None,
) -> NDArray[Any]:
    """Return a part of oblique slices through a volume.

    Args:
        volume: The volume, shape (channels, z, y, x), as an array or a file that can be sliced like one.
        grid: The slices.
        numbers: Numbers of the slices, shape (n,).
        rows: Rows of the part: pixels within the plane, or voxels along the third axis.
        columns: Columns of the part, likewise.
        outside: The value outside a volume of labels, which are those of the nearest voxels. None: the volume is an
            image, which is interpolated linearly, and 0 outside.

    Returns:
        The part, shape (channels, n, rows, columns): float32, or int16 for labels.
    """
    plane = grid.plane
    within, third = (rows, columns) if plane.has_rows_along else (columns, rows)
    count = within.stop - within.start
    shape = (volume.shape[0], len(numbers), count, third.stop - third.start)
    cut = np.full(shape, outside or 0, dtype=np.float32 if outside is None else np.int16)
    for first in range(0, count, _PIECE):
        pixels = np.arange(first, min(first + _PIECE, count))
        row, column = grid.voxels(numbers[:, None], within.start + pixels[None])
        inside = grid.contains(row, column)
        if not inside.any():
            continue
        row, column = row.clip(0, grid.rows - 1), column.clip(0, grid.columns - 1)
        place: list[slice] = [slice(None)] * 4
        place[1 + plane.along] = slice(int(row.min()), int(np.ceil(row.max())) + 1)
        place[1 + plane.across] = slice(int(column.min()), int(np.ceil(column.max())) + 1)
        place[1 + plane.third] = third
        block = np.moveaxis(np.asarray(volume[tuple(place)]), (1 + plane.along, 1 + plane.across), (1, 2))
        row, column = row - int(row.min()), column - int(column.min())
        found = _linear(block, row, column) if outside is None else _of_nearest(block, row, column)
        target = cut[:, :, first : first + len(pixels)]
        target[:, inside] = found[:, inside]
    return cut if plane.has_rows_along else np.ascontiguousarray(cut.swapaxes(2, 3))


def oblique_shadows(mask: NDArray[np.bool_], grid: ObliqueGrid) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where each oblique slice contains femur, of the labels that :func:`cut_oblique` returns.

    Args:
        mask: The mask, shape (z, y, x).
        grid: The slices.

    Returns:
        The pixels in the direction within the plane, shape (slices, slices), and the voxels along the third axis, shape
        (slices, voxels).
    """
    plane = grid.plane
    lines = np.moveaxis(mask, (plane.along, plane.across), (0, 1))
    numbers = np.arange(grid.count)
    row, column = grid.voxels(numbers[:, None], numbers[None])
    inside = grid.contains(row, column)
    row, column = _nearest(row.clip(0, grid.rows - 1), column.clip(0, grid.columns - 1))
    along: NDArray[np.bool_] = np.any(lines, axis=2)[row, column] & inside
    third = np.zeros((grid.count, lines.shape[2]), dtype=bool)
    for number in np.flatnonzero(along.any(axis=1)):
        filled = along[number]
        third[number] = lines[row[number, filled], column[number, filled]].any(axis=0)
    return along, third


def _nearest(*places: NDArray[np.float64]) -> tuple[NDArray[np.int64], ...]:
    return tuple(np.floor(place + 0.5).astype(np.int64) for place in places)


def _of_nearest(block: NDArray[Any], row: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[Any]:
    """Return the values of the voxels nearest to places of a block, shape (channels, rows, columns, voxels)."""
    rows, columns = _nearest(row, column)
    nearest: NDArray[Any] = block[:, rows, columns]
    return nearest


def _linear(block: NDArray[Any], row: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return values at fractional places of a block, shape (channels, rows, columns, voxels), by interpolation."""
    found = np.zeros((block.shape[0], *row.shape, block.shape[3]), dtype=np.float32)
    for i, weight_i in _neighbours(row, block.shape[1] - 1):
        for j, weight_j in _neighbours(column, block.shape[2] - 1):
            found += (weight_i * weight_j)[..., None].astype(np.float32) * block[:, i, j]
    return found


def _neighbours(place: NDArray[np.float64], last: int) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    below = np.floor(place).astype(np.int64)
    share = place - below
    return [(below, 1 - share), (np.minimum(below + 1, last), share)]
