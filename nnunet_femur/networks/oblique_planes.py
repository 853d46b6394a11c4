"""Oblique planes of slices: planes through a volume that is rotated by 45 degrees about one of its axes.

Planes have numbers: 0 to 2 are across the spatial axis of this number (0 is z), the numbers of :data:`OBLIQUE` follow.
Normals of oblique planes are 60 or 90 degrees apart from each other, and 45 or 90 degrees from the axes. MPUNet
(Perslev et al., MICCAI 2019) draws the normals of its planes at random, with at least 60 degrees between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = math.sqrt(2)

_GROUP = 16
"""Number of neighbouring slices that are computed with the same columns."""

_MARGIN = 3
"""Pixels beyond the volume that a slice contains, so that each voxel has four neighbouring pixels."""


@dataclass(frozen=True)
class ObliquePlane:
    """A plane whose normal halves the angle between two spatial axes, or between one and the reverse of the other.

    In the rotated volume, the normal replaces the axis `across`, and the direction within the plane replaces `along`.

    Attributes:
        along: The smaller of both spatial axes (0 is z).
        across: The larger one.
        sign: 1 if the normal points along both axes, -1 if it points along `across` and against `along`.
    """

    along: int
    across: int
    sign: int

    @property
    def third(self) -> int:
        """The spatial axis that the volume is rotated about."""
        return 3 - self.along - self.across

    @property
    def has_rows_along(self) -> bool:
        """True if the direction `along` is that of a slice's rows, False if it is that of its columns."""
        return self.along < self.third

    def grid(self, shape: Sequence[int], scale: Sequence[float]) -> ObliqueGrid:
        """Return the slices through a volume.

        Args:
            shape: Size of the volume in voxels along z, y, x.
            scale: Pixels per voxel along z, y, x.
        """
        axes = (self.along, self.across)
        return ObliqueGrid(self, *(int(shape[axis]) for axis in axes), *(float(scale[axis]) for axis in axes))


OBLIQUE = {
    3 + number: ObliquePlane(along, across, sign)
    for number, ((along, across), sign) in enumerate(
        (axes, sign) for axes in combinations(range(3), 2) for sign in (1, -1)
    )
}
"""The oblique planes by their numbers."""


@dataclass(frozen=True)
class ObliqueGrid:
    """Slices of an oblique plane through a volume, one pixel apart.

    The methods take and return arrays of NumPy or PyTorch.

    Attributes:
        plane: The plane.
        rows: Number of voxels along `plane.along`.
        columns: Number of voxels along `plane.across`.
        row_scale: Pixels per voxel along `plane.along`.
        column_scale: Pixels per voxel along `plane.across`.

    Example:
        >>> grid = OBLIQUE[3].grid((30, 40, 20), (1.0, 1.0, 1.0))
        >>> grid.count
        50
        >>> [round(place, 6) for place in grid.pixels(*grid.voxels(12, 25))]
        [12.0, 25.0]
    """

    plane: ObliquePlane
    rows: int
    columns: int
    row_scale: float
    column_scale: float

    @property
    def count(self) -> int:
        """Number of slices, and of pixels of each of them in the direction within the plane."""
        return math.ceil((self._height + self._width) / _ROOT - 1e-9)

    @property
    def _height(self) -> float:
        return self.rows * self.row_scale

    @property
    def _width(self) -> float:
        return self.columns * self.column_scale

    def voxels(self, number: Any, pixel: Any) -> tuple[Any, Any]:
        """Return the places of pixels in voxels along `plane.along` and `plane.across`.

        Args:
            number: Number of the slice, from 0.
            pixel: Number of the pixel in it, from 0.
        """
        normal, within = (n + 0.5 - self.count / 2 for n in (number, pixel))
        sign = self.plane.sign
        row_px, column_px = (within + sign * normal) / _ROOT, (normal - sign * within) / _ROOT
        row = (row_px + self._height / 2) / self.row_scale - 0.5
        return row, (column_px + self._width / 2) / self.column_scale - 0.5

    def pixels(self, row: Any, column: Any) -> tuple[Any, Any]:
        """Return the slices and pixels, as fractional numbers, of places in voxels; the inverse of :meth:`voxels`."""
        row_px = (row + 0.5) * self.row_scale - self._height / 2
        column_px = (column + 0.5) * self.column_scale - self._width / 2
        sign = self.plane.sign
        normal, within = (column_px + sign * row_px) / _ROOT, (row_px - sign * column_px) / _ROOT
        return normal + self.count / 2 - 0.5, within + self.count / 2 - 0.5

    def contains(self, row: Any, column: Any) -> Any:
        """Return True where places in voxels are inside the volume."""
        return (row >= -0.5) & (row <= self.rows - 0.5) & (column >= -0.5) & (column <= self.columns - 0.5)

    def groups(self) -> list[tuple[range, range]]:
        """Return groups of neighbouring slices, each with the pixels that the volume occupies in them."""
        return [self._group(first) for first in range(0, self.count, _GROUP)]

    def _group(self, first: int) -> tuple[range, range]:
        numbers = range(first, min(first + _GROUP, self.count))
        # A pixel is inside if |within + sign normal| <= height / sqrt(2) and |normal - sign within| <= width / sqrt(2).
        ends = []
        for number in numbers:
            normal = self.plane.sign * (number + 0.5 - self.count / 2)
            low = max(-self._height / _ROOT - normal, normal - self._width / _ROOT)
            high = min(self._height / _ROOT - normal, normal + self._width / _ROOT)
            ends.append((low + self.count / 2, high + self.count / 2))
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        return numbers, range(max(0, math.floor(low) - _MARGIN), min(self.count, math.ceil(high) + _MARGIN))


def oblique_slices(volume: torch.Tensor, grid: ObliqueGrid, numbers: torch.Tensor, pixels: range) -> torch.Tensor:
    """Return oblique slices through a volume, interpolated linearly, with 0 outside the volume.

    Args:
        volume: The volume, shape (channels, z, y, x).
        grid: The slices.
        numbers: Numbers of the slices to return, shape (n,).
        pixels: Pixels in the direction within the plane; along the third axis, slices have voxels.

    Returns:
        The slices, shape (n, channels, rows, columns).
    """
    plane = grid.plane
    lines = volume.movedim((1 + plane.along, 1 + plane.across), (0, 1))
    within = torch.arange(pixels.start, pixels.stop, device=volume.device)
    row, column = grid.voxels(numbers[:, None], within[None])
    inside = grid.contains(row, column)
    cut = volume.new_zeros((*inside.shape, *lines.shape[2:]))
    row, column = row.clamp(0, grid.rows - 1), column.clamp(0, grid.columns - 1)
    for i, weight_i in _neighbours(row, grid.rows - 1):
        for j, weight_j in _neighbours(column, grid.columns - 1):
            weight = (weight_i * weight_j * inside).to(volume.dtype)
            cut.addcmul_(lines[i, j], weight[..., None, None])
    return cut.movedim(1, 2 if plane.has_rows_along else 3)


def add_oblique(
    total: torch.Tensor, slices: torch.Tensor, grid: ObliqueGrid, numbers: range, pixels: range, *, weight: float
) -> None:
    """Add the values of oblique slices to the voxels between them, interpolated linearly, in place.

    After all slices of a grid, each voxel has got `weight` times an average of four pixels.

    Args:
        total: The volume to add to, shape (channels, z, y, x).
        slices: The values, shape (n, channels, rows, columns).
        grid: The slices.
        numbers: Numbers of the n slices.
        pixels: Their pixels in the direction within the plane.
        weight: Factor of the values.
    """
    plane = grid.plane
    lines = slices.movedim(2 if plane.has_rows_along else 3, 1)
    target = total.movedim((1 + plane.along, 1 + plane.across), (0, 1))
    rows, columns = (torch.arange(n, device=total.device) for n in (grid.rows, grid.columns))
    number, pixel = (place.clamp(0, grid.count - 1) for place in grid.pixels(rows[:, None], columns[None]))
    for k, weight_k in _neighbours(number, grid.count - 1):
        row, column = ((k >= numbers.start) & (k < numbers.stop)).nonzero(as_tuple=True)
        if not len(row):
            continue
        for j, weight_j in _neighbours(pixel[row, column], grid.count - 1):
            found = lines[k[row, column] - numbers.start, (j - pixels.start).clamp(0, len(pixels) - 1)]
            share = (weight * weight_k[row, column] * weight_j).to(total.dtype)
            target[row, column] += share[:, None, None] * found


def _neighbours(place: torch.Tensor, last: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return both whole numbers around fractional ones, with their weights in a linear interpolation."""
    below = place.floor()
    share = place - below
    first = below.long()
    return [(first, 1 - share), ((first + 1).clamp_max(last), share)]
