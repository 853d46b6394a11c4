"""Separate the bones of a mask: one femur, both femurs of a patient, or pieces of a broken mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of, is_empty
from nnunet_femur.measurement.landmarks import unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

BONE_SHARE = 0.2
"""Smallest volume of a further bone, as a share of the largest piece; smaller pieces are fragments."""

_SIDE_BY_SIDE = 0.5
"""Smallest overlap of two bones along the longer one, as a share of the shorter; pieces of one bone overlap less."""


_ACROSS = 0.8
"""Cosine between the patient's left-right axis and the line between two bones, above which they are side by side."""


def separate_bones(mask_zyx: NDArray, geometry: Geometry) -> list[NDArray[np.bool_]]:
    """Return the bones of a mask, the largest first, without fragments.

    Pieces that are connected by a face, an edge or a corner of voxels are one bone. Two pieces of similar volume that
    are side by side are two bones. Pieces behind one another along the bone are one broken femur; they are returned
    together.

    Args:
        mask_zyx: The mask (z, y, x), not 0 in bone.
        geometry: Geometry of its voxels.

    Returns:
        A mask of the same shape for each bone; none for an empty mask.

    Example:
        >>> from nnunet_femur.imaging import Geometry
        >>> legs = np.zeros((40, 5, 20), bool)
        >>> legs[2:38, 1:4, 2:5] = legs[4:36, 1:4, 12:15] = legs[39, 4, 19] = True
        >>> grid = Geometry((20, 5, 40), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> [int(bone.sum()) for bone in separate_bones(legs, grid)]
        [324, 288]
    """
    from scipy import ndimage

    box = box_of(mask_zyx)
    if is_empty(box):
        return []
    labels, _ = ndimage.label(mask_zyx[box], structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    large = [int(place) + 1 for place in np.argsort(-sizes, kind="stable") if sizes[place] >= BONE_SHARE * sizes.max()]
    pieces = [labels == number for number in large]
    if len(pieces) > 1 and not _are_side_by_side(pieces, geometry):
        pieces = [np.logical_or.reduce(pieces)]
    bones = []
    for piece in pieces:
        bone = np.zeros(mask_zyx.shape, bool)
        bone[box] = piece
        bones.append(bone)
    return bones


def _are_side_by_side(pieces: list[NDArray[np.bool_]], geometry: Geometry) -> bool:
    """Return True if the pieces are beside each other: along the largest one, or from left to right of the patient.

    The long axis of a stub, such as the proximal ends of a pelvis CT, may be across the patient.
    """
    steps = geometry.steps_mm.T
    points = [np.argwhere(piece)[:, ::-1] @ steps for piece in pieces]
    first, *others = (each.mean(axis=0) for each in points)
    if all(abs(float(unit(other - first)[0])) > _ACROSS for other in others):
        return True
    axis = np.linalg.eigh(np.cov(points[0].T))[1][:, -1]
    extents = [(float((each @ axis).min()), float((each @ axis).max())) for each in points]
    low, high = max(each[0] for each in extents), min(each[1] for each in extents)
    return high - low >= _SIDE_BY_SIDE * min(end - start for start, end in extents)
