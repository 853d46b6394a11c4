"""The bounding box of a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def box_of(mask_zyx: NDArray, *, margin: int = 0) -> tuple[slice, ...]:
    """The smallest box that holds the mask, and a margin of voxels where there are any; empty for an empty mask."""
    box = []
    for axis in range(mask_zyx.ndim):
        found = np.flatnonzero(mask_zyx.any(axis=tuple(other for other in range(mask_zyx.ndim) if other != axis)))
        if not len(found):
            return (slice(0, 0),) * mask_zyx.ndim
        box.append(slice(max(0, int(found[0]) - margin), min(mask_zyx.shape[axis], int(found[-1]) + 1 + margin)))
    return tuple(box)
