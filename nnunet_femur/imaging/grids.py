"""How a mask lies on its CT, and the way of its voxels onto the CT's grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import GRID_TOLERANCE_VOXELS, AxisOrder, Geometry, image_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


TRUSTS = ("", "voxels", "headers")
"""Ways to settle a mask with as many voxels as its CT on another grid: none, by its voxels, by its header."""


class Relation(Enum):
    """How the grid of a mask lies on its CT's, after flips and permutations."""

    SAME = "one grid, up to a rounding error"
    SHIFTED = "the same lattice of points, another box of it"
    OTHER = "another lattice"
    APART = "nowhere on the CT"
    DOUBTFUL = "the CT's number of voxels on another grid"


@dataclass(frozen=True)
class Placement:
    """The way of a mask onto its CT's grid.

    Attributes:
        relation: How the two grids lie.
        order: Turns the mask's axes to the CT's.
        turned: The mask's geometry after that.
        offset_zyx: Index in the CT of the turned mask's first voxel, for the relations SAME and SHIFTED.
        trusted: The relation holds because of `trust`.
    """

    relation: Relation
    order: AxisOrder
    turned: Geometry
    offset_zyx: tuple[int, int, int] = (0, 0, 0)
    trusted: bool = False

    @classmethod
    def of(cls, mask: Geometry, image: Geometry, *, trust: str = "") -> Placement:
        """Return how a mask lies on a CT.

        A mask with the CT's number of voxels on another grid was most likely saved without its geometry, or by a
        program that shifts it. Its place is doubtful until the user settles it.

        Args:
            mask: The mask's geometry.
            image: The CT's geometry.
            trust: One of :data:`TRUSTS`: "voxels" lays such a mask on the CT voxel by voxel, "headers" where its
                header says.
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
    """Return the geometry of a CT and of its masks among those that their headers allow.

    Where a header leaves the orientation open, the first one counts in which mask and CT have the same grid. Without
    such a pair, the first geometry of each counts.

    Args:
        images: The geometries of the CT, the assumed one first.
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
    """The voxels of a femur: a box of them and its place in the CT, both in the CT's stored order of axes.

    Attributes:
        voxels_zyx: The box; it touches the femur on all sides.
        start_zyx: Index of the box's first voxel in the CT.
        outside: Part of the femur's volume that lies beyond the CT's end, 0 to 1.
    """

    voxels_zyx: NDArray[np.bool_]
    start_zyx: tuple[int, int, int]
    outside: float = 0.0

    @classmethod
    def empty(cls, outside: float = 0.0) -> Femur:
        """No femur at all, or none within the CT."""
        return cls(np.zeros((0, 0, 0), bool), (0, 0, 0), outside)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box's place as slices of the CT's array."""
        z, y, x = (
            slice(start, start + length) for start, length in zip(self.start_zyx, self.voxels_zyx.shape, strict=True)
        )
        return z, y, x


def bounding_box(values: NDArray) -> tuple[slice, slice, slice] | None:
    """The smallest box (z, y, x) that holds everything but 0; None if there is nothing else."""
    extents: list[slice] = []
    box = values
    # One axis after the other, each on what the ones before have left.
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        (filled,) = np.nonzero(box.any(axis=others))
        if not filled.size:
            return None
        extents.append(slice(int(filled[0]), int(filled[-1]) + 1))
        kept = [slice(None)] * 3
        kept[axis] = extents[-1]
        box = box[tuple(kept)]
    return extents[0], extents[1], extents[2]


def onto_image(box_zyx: NDArray[np.bool_], start_zyx: tuple[int, int, int], way: Placement, image: Geometry) -> Femur:
    """A box of a turned mask on its CT's grid: placed where the lattice is the same, else by nearest neighbour.

    Args:
        box_zyx: Where the femur is, in the turned mask; it touches the femur on all sides.
        start_zyx: Index of the box's first voxel in the turned mask.
        way: How the mask lies on the CT; not apart.
        image: The CT's geometry.
    """
    if way.relation is Relation.SAME:
        return Femur(box_zyx, start_zyx)
    if way.relation is Relation.SHIFTED:
        z, y, x = (start + offset for start, offset in zip(start_zyx, way.offset_zyx, strict=True))
        return _cut(box_zyx, (z, y, x), image, int(np.count_nonzero(box_zyx)))
    return _resampled(box_zyx, start_zyx, way.turned, image)


def _cut(box_zyx: NDArray[np.bool_], start_zyx: tuple[int, int, int], image: Geometry, whole: int) -> Femur:
    """What of a box lies within the CT."""
    inside = tuple(
        slice(max(0, -start), max(0, min(length, end - start)))
        for start, length, end in zip(start_zyx, box_zyx.shape, image.shape_zyx, strict=True)
    )
    kept = box_zyx[inside]
    box = bounding_box(kept)
    if box is None:
        return Femur.empty(1.0)
    z, y, x = (max(0, start) + extent.start for start, extent in zip(start_zyx, box, strict=True))
    return Femur(kept[box], (z, y, x), 1 - int(np.count_nonzero(kept)) / whole)


def _resampled(box_zyx: NDArray[np.bool_], start_zyx: tuple[int, int, int], mask: Geometry, image: Geometry) -> Femur:
    import SimpleITK as sitk

    there = _part(mask, start_zyx, box_zyx.shape)
    points_mm = _voxels_mm(there, box_zyx)
    index_xyz = image.index_of(points_mm)
    outside = ((index_xyz < -0.5) | (index_xyz >= np.array(image.size_xyz) - 0.5)).any(axis=1)
    corners_xyz = image.index_of(there.corners_mm)
    # A voxel of the mask reaches half its size further than its centre.
    reach = math.ceil(max(mask.spacing_mm_xyz) / min(image.spacing_mm_xyz)) + 1
    first = np.maximum(np.floor(corners_xyz.min(axis=0)).astype(int) - reach, 0)
    last = np.minimum(np.ceil(corners_xyz.max(axis=0)).astype(int) + reach, np.array(image.size_xyz) - 1)
    if (last < first).any():
        return Femur.empty(1.0)
    x, y, z = (int(number) for number in first)
    here = _part(image, (z, y, x), tuple(int(n) for n in (last - first + 1)[::-1]))
    resampled = sitk.Resample(
        image_of(box_zyx.astype(np.uint8), there),
        here.size_xyz,
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
        here.origin_mm_xyz,
        here.spacing_mm_xyz,
        here.direction,
        0,
        sitk.sitkUInt8,
    )
    voxels = sitk.GetArrayViewFromImage(resampled) > 0
    box = bounding_box(voxels)
    if box is None:
        return Femur.empty(float(outside.mean()))
    z, y, x = (start + extent.start for start, extent in zip((z, y, x), box, strict=True))
    return Femur(voxels[box], (z, y, x), float(outside.mean()))


def _voxels_mm(geometry: Geometry, voxels_zyx: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centres of the voxels that are set."""
    return np.argwhere(voxels_zyx)[:, ::-1] @ geometry.steps_mm.T + geometry.origin_mm_xyz


def _part(geometry: Geometry, start_zyx: tuple[int, int, int], shape_zyx: tuple[int, ...]) -> Geometry:
    """The geometry of a box of a volume."""
    origin = geometry.steps_mm @ np.array(start_zyx[::-1]) + geometry.origin_mm_xyz
    return Geometry(
        tuple(int(n) for n in shape_zyx[::-1]),
        geometry.spacing_mm_xyz,
        tuple(float(o) for o in origin),
        geometry.direction,
    )
