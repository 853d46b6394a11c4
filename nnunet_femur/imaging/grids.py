"""Relation of a mask's grid to its CT's grid, and transfer of the mask onto the CT's grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import Box, box_at, box_of, is_empty
from nnunet_femur.imaging.geometry import GRID_TOLERANCE_VOXELS, AxisOrder, Geometry, image_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


TRUSTS = ("", "voxels", "headers")
"""Ways to place a mask with its CT's number of voxels on another grid: refuse it, by its voxels, by its header."""


class Relation(Enum):
    """Relation of a mask's grid to its CT's grid, after flips and permutations of the axes."""

    SAME = "the same grid, up to a rounding error"
    SHIFTED = "the same lattice of points, another box of it"
    OTHER = "another lattice"
    APART = "outside the CT"
    DOUBTFUL = "the CT's number of voxels on another grid"


@dataclass(frozen=True)
class Placement:
    """Position of a mask on its CT's grid.

    Attributes:
        relation: Relation of the two grids.
        order: Brings the mask's axes into the order of the CT's axes.
        turned: The mask's geometry in that order.
        offset_zyx: Index in the CT of the turned mask's first voxel, for the relations SAME and SHIFTED.
        trusted: True if the user's choice of :data:`TRUSTS` decided the relation.
    """

    relation: Relation
    order: AxisOrder
    turned: Geometry
    offset_zyx: tuple[int, int, int] = (0, 0, 0)
    trusted: bool = False

    @classmethod
    def of(cls, mask: Geometry, image: Geometry, *, trust: str = "") -> Placement:
        """Return the position of a mask on its CT's grid.

        A mask with the CT's number of voxels on another grid was probably saved without its geometry, or by a program
        that shifts it. Its position is doubtful until the user decides.

        Args:
            mask: The mask's geometry.
            image: The CT's geometry.
            trust: One of :data:`TRUSTS`: "voxels" places such a mask on the CT voxel by voxel, "headers" at the
                position in its header.
        """
        order = AxisOrder.between(mask, image)
        turned = order.of_geometry(mask)
        if not image.differences(turned):
            return cls(Relation.SAME, order, turned)
        stored_alike = mask.size_xyz == image.size_xyz
        doubtful = stored_alike or turned.size_xyz == image.size_xyz
        if doubtful and not trust:
            return cls(Relation.DOUBTFUL, order, turned)
        if doubtful and trust == "voxels":
            return cls(Relation.SAME, _AS_STORED if stored_alike else order, image, trusted=True)
        corners_xyz = image.index_of(turned.corners_mm)
        size = np.array(image.size_xyz)
        if (corners_xyz.max(axis=0) <= -0.5).any() or (corners_xyz.min(axis=0) >= size - 0.5).any():
            return cls(Relation.APART, order, turned, trusted=doubtful)
        first_xyz = np.rint(corners_xyz[0])
        lattice_xyz = first_xyz + np.array(list(np.ndindex(2, 2, 2))) * (np.array(turned.size_xyz) - 1)
        aligned = np.abs(corners_xyz - lattice_xyz).max() <= GRID_TOLERANCE_VOXELS
        x, y, z = (int(number) for number in first_xyz)
        return cls(Relation.SHIFTED if aligned else Relation.OTHER, order, turned, (z, y, x), trusted=doubtful)


_AS_STORED = AxisOrder((0, 1, 2), (False, False, False))


def settled(images: Sequence[Geometry], masks: Sequence[Sequence[Geometry]]) -> tuple[Geometry, tuple[Geometry, ...]]:
    """Return the geometry of a CT and of each of its masks, chosen among those that their headers allow.

    A header without an orientation allows several geometries. The first one with which a mask and the CT have the same
    grid is chosen; without such a pair, the first geometry of each.

    Args:
        images: Possible geometries of the CT, the assumed one first.
        masks: The same for each mask.
    """
    image = next(
        (one for one in images if any(_same(other, one) for candidates in masks for other in candidates)), images[0]
    )
    return image, tuple(next((one for one in candidates if _same(one, image)), candidates[0]) for candidates in masks)


def _same(mask: Geometry, image: Geometry) -> bool:
    return Placement.of(mask, image).relation is Relation.SAME


@dataclass(frozen=True)
class Femur:
    """The voxels of a femur: a box of them and its position in the CT, both in the CT's stored order of axes.

    Attributes:
        voxels_zyx: The box; the femur touches each of its six faces.
        start_zyx: Index of the box's first voxel in the CT.
        outside: Part of the femur's volume that is outside the CT, 0 to 1.
    """

    voxels_zyx: NDArray[np.bool_]
    start_zyx: tuple[int, int, int]
    outside: float = 0.0

    @classmethod
    def empty(cls, outside: float = 0.0) -> Femur:
        """Return a femur without voxels in the CT."""
        return cls(np.zeros((0, 0, 0), bool), (0, 0, 0), outside)

    @property
    def slices(self) -> Box:
        """Position of the box as slices of the CT's array."""
        return box_at(self.start_zyx, self.voxels_zyx.shape)


def onto_image(box_zyx: NDArray[np.bool_], start_zyx: tuple[int, ...], placement: Placement, image: Geometry) -> Femur:
    """Return a femur on its CT's grid: copied where the lattice is the same, else resampled by nearest neighbour.

    Args:
        box_zyx: The femur in the smallest box of the turned mask that contains it.
        start_zyx: Index of the box's first voxel in the turned mask.
        placement: Position of the mask on the CT's grid; not APART or DOUBTFUL.
        image: The CT's geometry.
    """
    if placement.relation is Relation.SAME:
        return _femur_at(box_zyx, start_zyx)
    if placement.relation is Relation.SHIFTED:
        shifted = tuple(start + offset for start, offset in zip(start_zyx, placement.offset_zyx, strict=True))
        return _cropped(box_zyx, shifted, image, int(np.count_nonzero(box_zyx)))
    return _resampled(box_zyx, start_zyx, placement.turned, image)


def _femur_at(box_zyx: NDArray[np.bool_], start_zyx: Sequence[int], outside: float = 0.0) -> Femur:
    z, y, x = start_zyx
    return Femur(box_zyx, (z, y, x), outside)


def _cropped(box_zyx: NDArray[np.bool_], start_zyx: tuple[int, ...], image: Geometry, whole: int) -> Femur:
    """Return the part of a box that is within the CT."""
    inside = tuple(
        slice(max(0, -start), max(0, min(length, end - start)))
        for start, length, end in zip(start_zyx, box_zyx.shape, image.shape_zyx, strict=True)
    )
    kept = box_zyx[inside]
    first = [max(0, start) for start in start_zyx]
    return _in_smallest_box(kept, first, outside=1 - int(np.count_nonzero(kept)) / whole)


def _in_smallest_box(voxels_zyx: NDArray[np.bool_], start_zyx: Sequence[int], *, outside: float) -> Femur:
    """Return the femur in a part of the CT, in the smallest box that contains it."""
    box = box_of(voxels_zyx)
    if is_empty(box):
        return Femur.empty(outside)
    return _femur_at(voxels_zyx[box], [start + each.start for start, each in zip(start_zyx, box, strict=True)], outside)


def _resampled(box_zyx: NDArray[np.bool_], start_zyx: tuple[int, ...], mask: Geometry, image: Geometry) -> Femur:
    """Return the femur resampled onto the CT's grid by nearest neighbour, within the box that it can reach."""
    import SimpleITK as sitk

    mask_box = _part(mask, start_zyx, box_zyx.shape)
    index_xyz = image.index_of(_voxels_mm(mask_box, box_zyx))
    outside = ((index_xyz < -0.5) | (index_xyz >= np.array(image.size_xyz) - 0.5)).any(axis=1)
    corners_xyz = image.index_of(mask_box.corners_mm)
    # A voxel of the mask extends half its size beyond its centre.
    reach = math.ceil(max(mask.spacing_mm_xyz) / min(image.spacing_mm_xyz)) + 1
    first = np.maximum(np.floor(corners_xyz.min(axis=0)).astype(int) - reach, 0)
    last = np.minimum(np.ceil(corners_xyz.max(axis=0)).astype(int) + reach, np.array(image.size_xyz) - 1)
    if (last < first).any():
        return Femur.empty(1.0)
    first_zyx = tuple(int(number) for number in first[::-1])
    image_box = _part(image, first_zyx, tuple(int(n) for n in (last - first + 1)[::-1]))
    resampled = sitk.Resample(
        image_of(box_zyx.astype(np.uint8), mask_box),
        image_box.size_xyz,
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
        image_box.origin_mm_xyz,
        image_box.spacing_mm_xyz,
        image_box.direction,
        0,
        sitk.sitkUInt8,
    )
    return _in_smallest_box(sitk.GetArrayViewFromImage(resampled) > 0, first_zyx, outside=float(outside.mean()))


def _voxels_mm(geometry: Geometry, voxels_zyx: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the centres of the voxels that are True, in mm, shape (n, 3)."""
    return np.argwhere(voxels_zyx)[:, ::-1] @ geometry.steps_mm.T + geometry.origin_mm_xyz


def _part(geometry: Geometry, start_zyx: tuple[int, ...], shape_zyx: tuple[int, ...]) -> Geometry:
    """Return the geometry of a box of a volume."""
    origin = geometry.steps_mm @ np.array(start_zyx[::-1]) + geometry.origin_mm_xyz
    return Geometry(
        tuple(int(n) for n in shape_zyx[::-1]),
        geometry.spacing_mm_xyz,
        tuple(float(o) for o in origin),
        geometry.direction,
    )
