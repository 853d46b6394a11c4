"""Small corrections of a mask: its largest piece, and its cavities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_pieces(mask_zyx: NDArray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Pieces of a mask; voxels that touch by a face, an edge or a corner are one piece.

    Returns:
        The piece's number in each voxel, from 1, and the number of voxels of each piece.
    """
    from scipy import ndimage

    labels, count = ndimage.label(mask_zyx, structure=np.ones((3, 3, 3)))
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]


def keep_largest(mask_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mask without all pieces but the largest."""
    box = box_of(mask_zyx)
    labels, sizes = label_pieces(mask_zyx[box])
    if len(sizes) < 2:
        return mask_zyx
    kept = np.zeros_like(mask_zyx)
    kept[box] = labels == 1 + int(np.argmax(sizes))
    return kept


def fill_holes(mask_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mask with its cavities: background from which no way over faces of voxels leads outside.

    What is open at the border of the volume is no cavity.
    """
    from scipy import ndimage

    box = box_of(mask_zyx)
    outside, _ = ndimage.label(np.pad(mask_zyx[box] == 0, 1, constant_values=True))
    filled = mask_zyx.copy()
    filled[box] = (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled
