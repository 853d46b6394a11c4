"""Masks of random phantom legs and of what is wrong with masks: cuts, joined bones, noise.

The frame is that of the leg, which is a right one in LPS: x medial, y posterior, z upwards.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.testing.anatomy import draw_leg
from nnunet_femur.testing.shapes import Points, union

if TYPE_CHECKING:
    from nnunet_femur.testing.leg import Leg

SPACING_MM = np.array([2.0, 2.0, 3.0])
LOW_MM, SIZE_XYZ = np.array([-110.0, -70.0, -20.0]), (120, 70, 180)
GRID = Geometry(SIZE_XYZ, tuple(SPACING_MM.tolist()), tuple(LOW_MM.tolist()), (1, 0, 0, 0, 1, 0, 0, 0, 1))
UP = np.array([0.0, 0.0, 1.0])


@cache
def leg(seed: int) -> Leg:
    return draw_leg(np.random.default_rng(seed))


def points() -> Points:
    x, y, z = (
        (low + step * np.arange(n)).astype(np.float32)
        for low, step, n in zip(LOW_MM, SPACING_MM, SIZE_XYZ, strict=True)
    )
    shape = (1, len(y), len(x))
    return Points(np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape), z[:, None, None])


@cache
def femur(seed: int) -> np.ndarray:
    """The whole femur."""
    mask = leg(seed).femur_distance(points()) < 0
    mask.setflags(write=False)
    return mask


def pelvis(seed: int) -> np.ndarray:
    """The half of a pelvis at that femur, without the gap of the joint."""
    return union(leg(seed).adjacent[0].parts, points()) < 0


def cut(mask: np.ndarray, share: float, normal=UP) -> np.ndarray:
    """The mask without a part of its extent along a direction, at the end that the direction points to."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    index_zyx = np.argwhere(mask)
    heights = (index_zyx[:, ::-1] * SPACING_MM + LOW_MM) @ normal
    rest = np.zeros_like(mask)
    kept = index_zyx[heights < heights.max() - share * np.ptp(heights)]
    rest[tuple(kept.T)] = True
    return rest


def ball(center_mm, radius_mm: float) -> np.ndarray:
    at = points()
    x, y, z = (axis - np.float32(c) for axis, c in zip((at.x, at.y, at.z), center_mm, strict=True))
    return x**2 + y**2 + z**2 < radius_mm**2


def without_head(seed: int) -> np.ndarray:
    """The femur after its head was resected at the neck."""
    return femur(seed) & ~ball(leg(seed).head_mm, 1.15 * leg(seed).head_radius_mm)


def noisy(mask: np.ndarray, share: float) -> np.ndarray:
    """The mask with a share of the voxels at its surface flipped."""
    edge = ndimage.binary_dilation(mask) & ~ndimage.binary_erosion(mask)
    labels, _ = ndimage.label(mask ^ (edge & (np.random.default_rng(5).random(mask.shape) < share)))
    return labels == np.bincount(labels.ravel())[1:].argmax() + 1


def holed(mask: np.ndarray) -> np.ndarray:
    """The mask with cavities of 6 mm, some of which open to the outside."""
    rng = np.random.default_rng(6)
    centers = rng.permutation(np.argwhere(mask))[:60]
    cavities = np.zeros_like(mask)
    cavities[tuple(centers.T)] = True
    return mask & ~ndimage.binary_dilation(cavities, iterations=1)


def mirrored_beside(mask: np.ndarray, overlap_voxels: int = 4) -> np.ndarray:
    """The mask and its mirror image beside it, which touch each other; the array grows along x."""
    filled = np.flatnonzero(mask.any(axis=(0, 1)))
    part = mask[:, :, filled[0] : filled[-1] + 1]
    width = part.shape[2]
    both = np.zeros((*mask.shape[:2], 2 * width - overlap_voxels + 4), bool)
    both[:, :, 2 : 2 + width] = part
    both[:, :, 2 + width - overlap_voxels : 2 + 2 * width - overlap_voxels] |= part[:, :, ::-1]
    return both


def grid_of(mask: np.ndarray) -> Geometry:
    """A grid of the same spacing for an array of another shape."""
    return Geometry(mask.shape[::-1], GRID.spacing_mm_xyz, GRID.origin_mm_xyz, GRID.direction)
