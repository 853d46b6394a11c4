"""Bounding boxes of masks, as slices of their arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Box = tuple[slice, ...]
"""A slice with start and stop for each axis of an array."""


def box_of(mask: NDArray, *, margin: int = 0) -> Box:
    """Return the smallest box that contains every voxel other than 0.

    Args:
        mask: An array of any number of axes.
        margin: Voxels to add on each side; the box stays within the array.

    Returns:
        The box. All its slices are empty for an empty mask, see :func:`is_empty`.

    Example:
        >>> mask = np.zeros((4, 5, 6), bool)
        >>> mask[1:3, 2, 3:5] = True
        >>> box_of(mask)
        (slice(1, 3, None), slice(2, 3, None), slice(3, 5, None))
        >>> mask[box_of(mask)].shape
        (2, 1, 2)
        >>> box_of(mask, margin=2)[0]
        slice(0, 4, None)
    """
    box: list[slice] = []
    part = mask
    # Each axis is searched only in what the axes before it have left.
    for axis in range(mask.ndim):
        filled = np.flatnonzero(part.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not filled.size:
            return (slice(0, 0),) * mask.ndim
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
        part = part[(*[slice(None)] * axis, box[-1])]
    return tuple(
        slice(max(0, each.start - margin), min(length, each.stop + margin))
        for each, length in zip(box, mask.shape, strict=True)
    )


def is_empty(box: Box) -> bool:
    """Return True for a box without voxels, such as that of an empty mask.

    Example:
        >>> is_empty(box_of(np.zeros((4, 5, 6))))
        True
    """
    return any(each.stop <= each.start for each in box)


def start_of(box: Box) -> tuple[int, ...]:
    """Return the index of the first voxel of a box."""
    return tuple(each.start for each in box)


def box_at(start: Sequence[int], shape: Sequence[int]) -> Box:
    """Return the box of a shape whose first voxel has an index.

    Example:
        >>> box_at((1, 2), (3, 4))
        (slice(1, 4, None), slice(2, 6, None))
    """
    return tuple(slice(first, first + length) for first, length in zip(start, shape, strict=True))


def box_within(outer: Box, inner: Box) -> Box:
    """Return a box that was found within another one, as slices of the whole array.

    Args:
        outer: A box of an array.
        inner: A box of the part of the array in `outer`.

    Example:
        >>> box_within((slice(10, 20),), (slice(2, 5),))
        (slice(12, 15, None),)
    """
    return tuple(
        slice(first.start + each.start, first.start + each.stop) for first, each in zip(outer, inner, strict=True)
    )
