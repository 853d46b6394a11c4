"""A CT's grid divided into blocks of a few millimetres, on which distances and pieces are computed fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import Box, box_of, is_empty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BLOCK_MM = 4.5
"""Largest edge of a block in mm, unless the voxels are larger."""


@dataclass(frozen=True)
class Blocks:
    """Blocks of voxels; those at the end of an axis can be smaller.

    Attributes:
        shape: Number of voxels along each axis.
        spacing_mm: Spacing of the voxels along each axis in mm.

    Example:
        >>> blocks = Blocks((10, 6, 4), (1.5, 1.5, 6.0))
        >>> blocks.steps, blocks.counts
        ((3, 3, 1), (4, 2, 4))
        >>> femur = np.zeros(blocks.counts, bool)
        >>> femur[0, 0, 0] = True
        >>> blocks.dilated(femur, 5.0).sum(axis=(1, 2)).tolist()
        [4, 4, 4, 0]
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """Voxels of a block along each axis."""
        return tuple(max(1, int(BLOCK_MM / spacing + 1e-6)) for spacing in self.spacing_mm)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        return tuple(-(-length // step) for length, step in zip(self.shape, self.steps, strict=True))

    @property
    def edges_mm(self) -> tuple[float, ...]:
        """Edges of a whole block in mm."""
        return tuple(step * spacing for step, spacing in zip(self.steps, self.spacing_mm, strict=True))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml."""
        return float(np.prod(self.spacing_mm)) / 1000

    def of_box(self, box: Box) -> Box:
        """Return the blocks that a box of voxels touches."""
        return tuple(
            slice(part.start // step, -(-part.stop // step)) for part, step in zip(box, self.steps, strict=True)
        )

    def counted(self, mask: NDArray[np.bool_], box: Box) -> NDArray[np.int32]:
        """Return the number of voxels of a mask in each block that a box touches.

        Args:
            mask: The mask in the box.
            box: Place of the mask in the grid.
        """
        counted = mask.view(np.uint8)
        # The last axis first: it makes the array small at once.
        for axis in reversed(range(mask.ndim)):
            part, step = box[axis], self.steps[axis]
            if step > 1:
                next_block = -(-part.start // step) * step
                starts = [
                    *([0] if next_block > part.start else []),
                    *range(next_block - part.start, mask.shape[axis], step),
                ]
                counted = np.add.reduceat(counted, starts, axis=axis, dtype=np.int32)
        return counted.astype(np.int32, copy=False)

    def lengths(self, box: Box) -> NDArray[np.int32]:
        """Return the number of voxels of a box in each block that it touches."""
        total = np.ones((1,) * len(box), np.int32)
        for axis, (part, blocks, step) in enumerate(zip(box, self.of_box(box), self.steps, strict=True)):
            starts = np.arange(blocks.start, blocks.stop) * step
            along = np.minimum(starts + step, part.stop) - np.maximum(starts, part.start)
            total = total * along.reshape([-1 if other == axis else 1 for other in range(len(box))])
        return total.astype(np.int32)

    def pieces(self, voxels: NDArray, *, smallest_ml: float) -> NDArray[np.bool_]:
        """Return the blocks of pieces of at least some volume; blocks that share a face, edge or corner are connected.

        Args:
            voxels: Number of voxels that count in each block; it need not be whole.
            smallest_ml: Volume of these voxels in ml below which a piece is left out.
        """
        from scipy import ndimage

        labels, count = ndimage.label(voxels > 0, structure=np.ones((3,) * voxels.ndim))
        volumes_ml = np.bincount(labels.ravel(), weights=voxels.ravel(), minlength=count + 1) * self.voxel_ml
        large = volumes_ml >= smallest_ml
        large[0] = False
        return np.asarray(large[labels])

    def dilated(self, blocks: NDArray[np.bool_], margin_mm: float) -> NDArray[np.bool_]:
        """Return the blocks that contain a point within a margin of some blocks.

        Args:
            blocks: The blocks to dilate.
            margin_mm: The margin in mm.
        """
        from scipy import ndimage

        reach = [int(margin_mm / edge) + 2 for edge in self.edges_mm]
        tight = box_of(blocks)
        if is_empty(tight):
            return np.zeros_like(blocks)
        box = tuple(
            slice(max(0, part.start - more), min(length, part.stop + more))
            for part, more, length in zip(tight, reach, blocks.shape, strict=True)
        )
        # Between the nearest points of two blocks there is one block less, along each axis, than between their centres.
        near = ndimage.binary_dilation(blocks[box], np.ones((3,) * blocks.ndim))
        distance_mm = ndimage.distance_transform_edt(~near, sampling=self.edges_mm)
        dilated = np.zeros_like(blocks)
        dilated[box] = distance_mm <= margin_mm
        return dilated

    def touching(self, blocks: NDArray[np.bool_], boxes: Sequence[Box]) -> list[int]:
        """Return the numbers of the boxes of voxels that touch any of some blocks.

        Args:
            blocks: The blocks.
            boxes: The boxes.
        """
        return [number for number, inside in enumerate(self.sums(blocks, boxes)) if inside]

    def sums(self, blocks: NDArray, boxes: Sequence[Box]) -> NDArray[np.int64]:
        """Return the sum of values of blocks over all blocks that each box of voxels touches.

        Args:
            blocks: Values of the blocks.
            boxes: The boxes.
        """
        table = np.zeros([length + 1 for length in blocks.shape], np.int64)
        table[(slice(1, None),) * blocks.ndim] = blocks
        for axis in range(blocks.ndim):
            np.cumsum(table, axis=axis, out=table)
        ends = np.array([[(part.start, part.stop) for part in self.of_box(box)] for box in boxes])
        total = np.zeros(len(boxes), np.int64)
        # Inclusion and exclusion of the corners of each box.
        for corner in np.ndindex((2,) * blocks.ndim):
            sign = (-1) ** (blocks.ndim - sum(corner))
            total += sign * table[tuple(ends[:, axis, side] for axis, side in enumerate(corner))]
        return total

    def voxels(self, blocks: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
        """Return blocks as a mask of the voxels in a box.

        Args:
            blocks: The blocks.
            box: The box of voxels.
        """
        return blocks[
            np.ix_(*(np.arange(part.start, part.stop) // step for part, step in zip(box, self.steps, strict=True)))
        ]

    def box_of_voxels(self, blocks: NDArray[np.bool_]) -> Box:
        """Return the smallest box of voxels that contains some blocks.

        Args:
            blocks: The blocks.
        """
        return tuple(
            slice(part.start * step, min(length, part.stop * step))
            for part, step, length in zip(box_of(blocks), self.steps, self.shape, strict=True)
        )
