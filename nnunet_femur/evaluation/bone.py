"""One mask and what is derived from it once: its box, its surface and its long axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.surfels import Surface, extract_surface, unravelled

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class BoneAxis:
    """The long axis of a bone: the principal axis of its voxels, from its distal to its proximal end.

    Attributes:
        first_zyx: The voxel that `weights` count from.
        weights_per_voxel: Change of the position along the axis per voxel along z, y, x.
        offset: Position of `first_zyx`, where 0 is the most distal voxel of the bone and 1 the most proximal.
    """

    first_zyx: tuple[int, int, int]
    weights_per_voxel: tuple[float, float, float]
    offset: float

    def position(self, *indices: NDArray) -> NDArray[np.float64]:
        """Position along the axis of points, from 0 at the distal to 1 at the proximal end of the bone.

        Args:
            indices: Voxel indices along z, y and x, shape (n,) each; beyond the bone's ends the position is below 0
                or above 1.
        """
        z, y, x = (
            (along - first) * weight
            for along, first, weight in zip(indices, self.first_zyx, self.weights_per_voxel, strict=True)
        )
        return z + y + x + self.offset


@dataclass(frozen=True)
class Bone:
    """A mask on its grid. What is derived of it is computed once, so that many predictions share a reference's.

    Attributes:
        voxels: True where the bone is, shape (z, y, x), axes leading to superior, anterior and right.
        spacing_mm_zyx: Voxel spacing in mm along z, y, x.
    """

    voxels: NDArray[np.bool_]
    spacing_mm_zyx: tuple[float, float, float]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return float(np.prod(self.spacing_mm_zyx)) / 1000.0

    @cached_property
    def box(self) -> tuple[slice, slice, slice]:
        """The smallest part of the grid that holds every voxel; empty slices if there is none."""
        rows = np.array([plane.any() for plane in self.voxels], dtype=bool)
        if not rows.any():
            return (slice(0, 0), slice(0, 0), slice(0, 0))
        first, last = _ends(rows)
        seen_from_above: NDArray[np.bool_] = np.logical_or.reduce(self.voxels[first:last], axis=0)
        return (
            slice(first, last),
            slice(*_ends(np.logical_or.reduce(seen_from_above, axis=1))),
            slice(*_ends(np.logical_or.reduce(seen_from_above, axis=0))),
        )

    @property
    def empty(self) -> bool:
        """Whether no voxel is set."""
        return self.box[0].stop == 0

    @cached_property
    def surface(self) -> Surface:
        """The surfels between the bone and the rest."""
        return extract_surface(self.voxels, self.box, self.spacing_mm_zyx)

    @cached_property
    def axis(self) -> BoneAxis | None:
        """The long axis; None for an empty mask.

        Its direction is that of the largest spread of the voxels in mm, and its proximal end the superior one (of an
        axis that lies flat the anterior one, then the right one). Moments are sums of integers, so the axis of a bone
        does not depend on where in the volume it lies.
        """
        if self.empty:
            return None
        cropped = self.voxels[self.box]
        indices = [along.astype(np.int64) for along in unravelled(np.flatnonzero(cropped), cropped.shape)]
        count = indices[0].size
        sums = [along.sum() for along in indices]
        products = [[one @ other for other in indices] for one in indices]
        # Sums of millions of squares may exceed what a float holds exactly, so Python's integers are divided last.
        spread = [[int(products[i][j]) * count - int(sums[i]) * int(sums[j]) for j in range(3)] for i in range(3)]
        scale = np.array(self.spacing_mm_zyx)
        direction = np.linalg.eigh(np.array(spread, dtype=float) * np.outer(scale, scale))[1][:, -1]
        leading = direction[np.flatnonzero(np.abs(direction) > 1e-9)[0]]
        weights = direction * np.sign(leading) * scale
        tables = [weight * np.arange(part.stop - part.start) for weight, part in zip(weights, self.box, strict=True)]
        positions = tables[0][indices[0]] + tables[1][indices[1]] + tables[2][indices[2]]
        low, high = float(positions.min()), float(positions.max())
        length = high - low if high > low else 1.0
        first_zyx = (self.box[0].start, self.box[1].start, self.box[2].start)
        per_voxel = weights / length
        return BoneAxis(first_zyx, (float(per_voxel[0]), float(per_voxel[1]), float(per_voxel[2])), -low / length)


def _ends(held: NDArray[np.bool_]) -> tuple[int, int]:
    """First index that holds anything, and the one behind the last."""
    places = np.flatnonzero(held)
    return int(places[0]), int(places[-1]) + 1
