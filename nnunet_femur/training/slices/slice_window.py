"""The window of a training slice: its place in a volume, its pixels, and its neighbouring slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTSIDE = -1
"""Label of pixels outside the image, which nnU-Net's losses and transforms ignore."""


@dataclass(frozen=True, kw_only=True)
class SliceWindow:
    """Size, scale and neighbours of a training slice.

    Attributes:
        size: Rows and columns that the network sees, in pixels.
        margin: Further rows and columns, cut out for the transforms to rotate and scale.
        scale: Pixels per voxel along each spatial axis (0 is z); above 1 where voxels are coarser than pixels.
        neighbours: Number of slices on either side, as further channels.
        reversed_neighbours: True to swap the slices before and behind in half of the draws, as a mirroring of the
            volume across the slice does.

    Example:
        >>> SliceWindow(size=(256, 256), scale=(2.0, 1.0, 1.0)).voxels((256, 256), axis=1)
        (128, 256)
    """

    size: tuple[int, int]
    margin: tuple[int, int] = (0, 0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    neighbours: int = 0
    reversed_neighbours: bool = False

    @property
    def pixels(self) -> tuple[int, int]:
        """Rows and columns before the transforms, margin included."""
        return self.size[0] + self.margin[0], self.size[1] + self.margin[1]

    def voxels(self, pixels: tuple[int, int], axis: int) -> tuple[int, int]:
        """Return rows and columns in voxels, at least 1, of so many pixels of a slice across `axis`."""
        scale = [self.scale[other] for other in range(3) if other != axis]
        rows, columns = (max(1, round(n / s)) for n, s in zip(pixels, scale, strict=True))
        return rows, columns

    def cut(
        self, volume: Any, mask: Any, axis: int, index: int, femur: NDArray[np.int64] | None, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut a slice out of a volume, at a random place.

        Args:
            volume: The image, shape (channels, z, y, x), as an array or a file that can be sliced like one.
            mask: The mask, shape (1, z, y, x).
            axis: The spatial axis (0 is z) that the slice is across.
            index: Index of the slice along this axis.
            femur: Box of the femur in the slice (first row, row behind the last, first column, column behind the last),
                which the window shows as far as it can. None: the window is anywhere in the slice.
            rng: Source of randomness.

        Returns:
            The image, shape (channels, rows, columns), and the mask, shape (1, rows, columns), with -1 outside the
            volume.
        """
        shape = tuple(n for place, n in enumerate(volume.shape[1:]) if place != axis)
        seen = self.voxels(self.size, axis)
        wanted = self.voxels(self.pixels, axis)
        shown = (None, None) if femur is None else ((femur[0], femur[1]), (femur[2], femur[3]))
        # The part that the network sees is placed. The margin around it may reach beyond the image, so that the network
        # sees the borders of the image too.
        starts = [
            place_window(n, s, part, rng) - (w - s) // 2
            for n, s, w, part in zip(shape, seen, wanted, shown, strict=True)
        ]
        inside = [slice(max(0, start), min(n, start + w)) for start, n, w in zip(starts, shape, wanted, strict=True)]
        padding = [
            bound
            for start, n, w in zip(reversed(starts), reversed(shape), reversed(wanted), strict=True)
            for bound in (max(0, -start), max(0, start + w - n))
        ]
        place: list[Any] = [slice(None), *inside]
        place.insert(1 + axis, index)
        labels = torch.from_numpy(np.asarray(mask[tuple(place)]).astype(np.int16))
        backwards = self.reversed_neighbours and bool(rng.integers(2))
        image = torch.from_numpy(self._with_neighbours(volume, place, axis, index, backwards=backwards))
        if any(padding):
            image = functional.pad(image, padding)
            labels = functional.pad(labels, padding, value=OUTSIDE)
        if wanted != self.pixels:
            image = functional.interpolate(image[None], self.pixels, mode="bilinear", align_corners=False)[0]
            labels = functional.interpolate(labels[None].float(), self.pixels, mode="nearest-exact")[0].short()
        return image, labels

    def _with_neighbours(
        self, volume: Any, place: list[Any], axis: int, index: int, *, backwards: bool
    ) -> NDArray[np.float32]:
        """Return the slice, or it and its neighbours as channels; at the volume's ends the last slice is repeated."""
        reach = self.neighbours
        if not reach:
            return np.asarray(volume[tuple(place)], dtype=np.float32)
        first, last = max(0, index - reach), min(volume.shape[1 + axis], index + reach + 1)
        place = [*place]
        place[1 + axis] = slice(first, last)
        slab = np.moveaxis(np.asarray(volume[tuple(place)], dtype=np.float32), 1 + axis, 1)
        order = np.arange(index - reach, index + reach + 1)[:: -1 if backwards else 1]
        stack = slab[:, np.clip(order, first, last - 1) - first]
        return np.ascontiguousarray(stack.reshape(-1, *stack.shape[2:]))


def place_window(length: int, window: int, shown: tuple[int, int] | None, rng: np.random.Generator) -> int:
    """Return a random start of a window along one axis.

    The window is within the image, or around it if the window is longer. If it has to show an interval, it covers as
    much of the interval as its length allows.

    Args:
        length: Length of the image.
        window: Length of the window.
        shown: First index of the interval and the index behind its last; None for no interval.
        rng: Source of randomness.

    Example:
        >>> place_window(100, 10, (90, 100), np.random.default_rng(0))
        90
    """
    low, high = sorted((0, length - window))
    if shown is not None:
        first, last = sorted((shown[1] - window, shown[0]))
        low, high = max(low, first), min(high, last)
    return int(rng.integers(low, high + 1))
