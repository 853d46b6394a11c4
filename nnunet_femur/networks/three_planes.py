"""Runs a two-dimensional network over a volume, plane by plane, and averages what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALLEST_PROBABILITY = 1e-6
"""What a probability of zero becomes before its logarithm: nnU-Net adds predictions up in half precision."""


class ThreePlaneNetwork(nn.Module):
    """A network of slices that nnU-Net can treat as a network of volumes.

    Slices, shape (batch, channels, rows, columns), give the logits of the network itself. Volumes, shape (batch,
    channels, z, y, x), are cut into slices across each axis in turn; the softmax of the planes is averaged, and its
    logarithm returned, which nnU-Net's softmax turns back into the average.

    Args:
        network: The network of slices.
        axes: The spatial axes (0 is z) that a volume is cut across.
        stride: Rows and columns are padded to a multiple of this, and the padding is cut off again.
        slices_at_once: Slices in one pass; bounds the memory.
        scale: Pixels per voxel along each spatial axis (0 is z): slices are resized for the network, its answer back.
        neighbours: Slices on either side that the network takes as further channels, before and behind its own; at
            the volume's ends the last slice is repeated.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        axes: Sequence[int] = (0, 1, 2),
        stride: int = 32,
        slices_at_once: int = 16,
        scale: Sequence[float] = (1.0, 1.0, 1.0),
        neighbours: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.axes = tuple(axes)
        self.stride = stride
        self.slices_at_once = slices_at_once
        self.scale = tuple(scale)
        self.neighbours = neighbours

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of slices, or the logarithm of the averaged softmax of volumes; same spatial shape as `x`."""
        if x.ndim == 4:
            return self._padded(x)
        total: torch.Tensor | None = None
        for axis in self.axes:
            probabilities = self._across(x, axis)
            total = probabilities if total is None else total.add_(probabilities)
        assert total is not None  # noqa: S101 - a recipe names at least one plane
        return total.div_(len(self.axes)).clamp_min_(SMALLEST_PROBABILITY).log_()

    def _across(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        slices = x.movedim(2 + axis, 1)
        batch, count = slices.shape[:2]
        scale = [self.scale[other] for other in range(3) if other != axis]
        volumes = []
        for volume in slices:
            parts = []
            for places in torch.arange(count, device=x.device).split(self.slices_at_once):
                parts.append(self._probabilities(self._stacked(volume, places), scale))
            volumes.append(torch.cat(parts))
        return torch.stack(volumes).movedim(1, 2 + axis)

    def _stacked(self, volume: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Slices of a volume, shape (slices, channels, rows, columns), with their neighbours as channels."""
        if not self.neighbours:
            return volume[places]
        reach = torch.arange(-self.neighbours, self.neighbours + 1, device=places.device)
        around = (places[:, None] + reach).clamp(0, len(volume) - 1)
        # The loader's order of channels: every slice of the first channel, then of the next.
        return volume[around].transpose(1, 2).flatten(1, 2)

    def _probabilities(self, slices: torch.Tensor, scale: Sequence[float]) -> torch.Tensor:
        size = slices.shape[-2:]
        resized = [max(1, round(n * s)) for n, s in zip(size, scale, strict=True)]
        if resized == list(size):
            return self._padded(slices).float().softmax(1)
        larger = functional.interpolate(slices, resized, mode="bilinear", align_corners=False)
        probabilities = self._padded(larger).float().softmax(1)
        return functional.interpolate(probabilities, size, mode="bilinear", align_corners=False)

    def _padded(self, slices: torch.Tensor) -> torch.Tensor:
        rows, columns = slices.shape[-2:]
        padding = (0, -columns % self.stride, 0, -rows % self.stride)
        return self.network(functional.pad(slices, padding))[..., :rows, :columns]
