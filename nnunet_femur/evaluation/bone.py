"""A mask and everything that is derived from it once: its box, surface, contours and long axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.surfels import Surface, extract_surface, unravelled
from nnunet_femur.imaging.boxes import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Bone:
    """A mask on its grid. Derived properties are computed once, so many predictions share those of one reference.

    Attributes:
        voxels: True where the bone is, shape (z, y, x), axes leading to superior, anterior and right.
        spacing_mm_zyx: Voxel spacing in mm along z, y, x.

    Example:
        >>> voxels = np.zeros((30, 10, 10), dtype=bool)
        >>> voxels[3:27, 2:8, 2:8] = True
        >>> bone = Bone(voxels, spacing_mm_zyx=(2.0, 1.0, 1.0))
        >>> bone.box
        (slice(3, 27, None), slice(2, 8, None), slice(2, 8, None))
        >>> round(bone.surface.areas_mm2.sum().item())    # the box has 1224 mm², and its edges are cut
        1148
    """

    voxels: NDArray[np.bool_]
    spacing_mm_zyx: tuple[float, float, float]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of a voxel in ml."""
        return float(np.prod(self.spacing_mm_zyx)) / 1000.0

    @cached_property
    def box(self) -> tuple[slice, ...]:
        """The smallest box of the grid that contains all voxels of the bone; empty slices for an empty mask."""
        return box_of(self.voxels)

    @property
    def empty(self) -> bool:
        """True if no voxel is set."""
        return self.box[0].stop == 0

    @cached_property
    def surface(self) -> Surface:
        """Surfels between the bone and its surroundings."""
        return extract_surface(self.voxels, self.box, self.spacing_mm_zyx)

    def contour(self, axis: int, index: int) -> Surface:
        """Return the contour of the bone in one slice.

        Args:
            axis: Array axis perpendicular to the slice.
            index: Index of the slice along this axis.
        """
        across = [other for other in range(3) if other != axis]
        box = [self.box[other] for other in across]
        spacing_mm = tuple(self.spacing_mm_zyx[other] for other in across)
        return extract_surface(np.take(self.voxels, index, axis=axis), box, spacing_mm)

    @cached_property
    def axis(self) -> BoneAxis | None:
        """The long axis; None for an empty mask.

        Its direction is that of the largest spread of the voxels in mm. Its proximal end is the superior one; of a
        horizontal axis the anterior one, then the right one. Moments are sums of integers, so the axis does not depend
        on the position of the bone in the volume.
        """
        if self.empty:
            return None
        cropped = self.voxels[self.box]
        indices = [along.astype(np.int64) for along in unravelled(np.flatnonzero(cropped), cropped.shape)]
        count = indices[0].size
        sums = [along.sum() for along in indices]
        products = [[one @ other for other in indices] for one in indices]
        # Sums of millions of squares may exceed the integers that a float represents exactly; Python's do not.
        spread = [[int(products[i][j]) * count - int(sums[i]) * int(sums[j]) for j in range(3)] for i in range(3)]
        scale = np.array(self.spacing_mm_zyx)
        direction = np.linalg.eigh(np.array(spread, dtype=float) * np.outer(scale, scale))[1][:, -1]
        leading = direction[np.flatnonzero(np.abs(direction) > 1e-9)[0]]
        weights = direction * np.sign(leading) * scale
        tables = [weight * np.arange(part.stop - part.start) for weight, part in zip(weights, self.box, strict=True)]
        positions = tables[0][indices[0]] + tables[1][indices[1]] + tables[2][indices[2]]
        low, high = float(positions.min()), float(positions.max())
        length = high - low if high > low else 1.0
        z, y, x = (part.start for part in self.box)
        per_voxel = weights / length
        return BoneAxis((z, y, x), (float(per_voxel[0]), float(per_voxel[1]), float(per_voxel[2])), -low / length)


@dataclass(frozen=True)
class BoneAxis:
    """The long axis of a bone: the principal axis of its voxels, from its distal to its proximal end.

    Attributes:
        first_zyx: Voxel at which `weights_per_voxel` start to count.
        weights_per_voxel: Change of the position along the axis per voxel along z, y, x.
        offset: Position of `first_zyx`; 0 is the most distal voxel of the bone, 1 the most proximal.
    """

    first_zyx: tuple[int, int, int]
    weights_per_voxel: tuple[float, float, float]
    offset: float

    def position(self, *indices: NDArray) -> NDArray[np.float64]:
        """Return the positions of points along the axis: 0 at the distal end of the bone, 1 at its proximal end.

        Args:
            indices: Voxel indices along z, y and x, shape (n,) each. Positions beyond the bone's ends are below 0 or
                above 1.
        """
        z, y, x = (
            (along - first) * weight
            for along, first, weight in zip(indices, self.first_zyx, self.weights_per_voxel, strict=True)
        )
        return z + y + x + self.offset
