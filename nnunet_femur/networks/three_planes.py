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
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        axes: Sequence[int] = (0, 1, 2),
        stride: int = 32,
        slices_at_once: int = 16,
    ) -> None:
        super().__init__()
        self.network = network
        self.axes = tuple(axes)
        self.stride = stride
        self.slices_at_once = slices_at_once

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
        parts = [self._padded(part).float().softmax(1) for part in slices.flatten(0, 1).split(self.slices_at_once)]
        return torch.cat(parts).unflatten(0, (batch, count)).movedim(1, 2 + axis)

    def _padded(self, slices: torch.Tensor) -> torch.Tensor:
        rows, columns = slices.shape[-2:]
        padding = (0, -columns % self.stride, 0, -rows % self.stride)
        return self.network(functional.pad(slices, padding))[..., :rows, :columns]
