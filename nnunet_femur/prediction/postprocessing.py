"""Postprocessing of a mask: keep its largest piece, fill its cavities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_pieces(mask_zyx: NDArray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Label the pieces of a mask; voxels that share a face, an edge or a corner belong to one piece.

    Args:
        mask_zyx: The mask (z, y, x), not 0 inside.

    Returns:
        The number of the piece in each voxel, from 1, and the number of voxels of each piece.
    """
    from scipy import ndimage

    labels, count = ndimage.label(mask_zyx, structure=np.ones((3, 3, 3)))
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]


def keep_largest(mask_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mask without all pieces but the largest.

    Args:
        mask_zyx: The mask (z, y, x), 0 and 1. It is returned itself if it has one piece.
    """
    box = box_of(mask_zyx)
    labels, sizes = label_pieces(mask_zyx[box])
    if len(sizes) < 2:
        return mask_zyx
    kept = np.zeros_like(mask_zyx)
    kept[box] = labels == 1 + int(np.argmax(sizes))
    return kept


def fill_holes(mask_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mask with its cavities filled.

    A cavity is background that no path over faces of voxels connects with the outside. Background at the border of the
    volume is not a cavity.

    Args:
        mask_zyx: The mask (z, y, x), 0 and 1.
    """
    from scipy import ndimage

    box = box_of(mask_zyx)
    outside, _ = ndimage.label(np.pad(mask_zyx[box] == 0, 1, constant_values=True))
    filled = mask_zyx.copy()
    filled[box] = (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled
