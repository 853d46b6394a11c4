"""Runs a two-dimensional network over a volume, plane by plane, and averages what it says."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

SMALLEST_PROBABILITY = 1e-6
"""What a probability of zero becomes before its logarithm: nnU-Net adds predictions up in half precision."""

SLICE_PIXELS = 256 * 256
"""The size of slice that numbers of slices are said for; of larger ones fewer go together, of smaller ones more."""


class ThreePlaneNetwork(nn.Module):
    """A network of slices that nnU-Net can treat as a network of volumes.

    Slices, shape (batch, channels, rows, columns), give the logits of the network itself. Volumes, shape (batch,
    channels, z, y, x), are cut into slices across each axis in turn; the softmax of the planes is averaged, and its
    logarithm returned, which nnU-Net's softmax turns back into the average. Volumes carry no gradient.

    Beside the volume and its answer (4 bytes for each class and voxel), memory holds one pass of slices, whatever the
    size of the volume.

    Args:
        network: The network of slices.
        axes: The spatial axes (0 is z) that a volume is cut across.
        weights: What each plane counts in the average, in the order of `axes`; default: all the same.
        stride: Rows and columns are padded with zeros to a multiple of this, and the padding is cut off again.
        slices_at_once: Slices of 256 x 256 pixels, or as many pixels in slices of another size, in one pass.
        in_bfloat16: Whether processors that calculate in bfloat16 do so at prediction, as graphics cards do in float16;
            None for those with instructions for it.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        axes: Sequence[int] = (0, 1, 2),
        weights: Sequence[float] | None = None,
        stride: int = 32,
        slices_at_once: int = 16,
        in_bfloat16: bool | None = None,
    ) -> None:
        super().__init__()
        given = [1.0] * len(axes) if weights is None else list(weights)
        if not axes or len(given) != len(axes) or min(given) < 0 or not sum(given) > 0:
            msg = f"Every plane needs a weight of at least 0, and one more than 0: axes {axes}, weights {weights}."
            raise ValueError(msg)
        self.network = network
        self.axes = tuple(axes)
        self.weights = tuple(weight / sum(given) for weight in given)
        self.stride = stride
        self.slices_at_once = slices_at_once
        self.in_bfloat16 = _calculates_in_bfloat16() if in_bfloat16 is None else in_bfloat16

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of slices, or the logarithm of the averaged softmax of volumes; same spatial shape as `x`."""
        if x.ndim == 4:
            if torch.is_grad_enabled():
                return self._logits(x)
            with self._precision(x):
                return self._logits(x).to(x.dtype)
        with torch.no_grad(), self._precision(x):
            return self._averaged(x).clamp_min_(SMALLEST_PROBABILITY).log_()

    def _averaged(self, volumes: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor | None = None
        for axis, weight in zip(self.axes, self.weights, strict=True):
            slices = volumes.movedim(2 + axis, 1)
            rows, columns = (_up(size, self.stride) for size in slices.shape[-2:])
            at_once = max(1, self.slices_at_once * SLICE_PIXELS // (rows * columns))
            for which in range(len(volumes)):
                for first in range(0, slices.shape[1], at_once):
                    part = slice(first, first + at_once)
                    probabilities = self._logits(slices[which, part]).float().softmax(1)
                    if total is None:
                        shape = (len(volumes), probabilities.shape[1], *volumes.shape[2:])
                        total = torch.zeros(shape, device=volumes.device)
                    total.movedim(2 + axis, 1)[which, part].add_(probabilities, alpha=weight)
        assert total is not None  # noqa: S101 - no axis of a volume is empty
        return total

    def _logits(self, slices: torch.Tensor) -> torch.Tensor:
        rows, columns = slices.shape[-2:]
        padded = slices.new_zeros((*slices.shape[:2], _up(rows, self.stride), _up(columns, self.stride)))
        padded[..., :rows, :columns] = slices
        return self.network(padded)[..., :rows, :columns]

    def _precision(self, x: torch.Tensor) -> AbstractContextManager:
        """Lower precision on processors; on graphics cards nnU-Net has chosen it already."""
        if x.device.type == "cpu" and self.in_bfloat16 and not self.training:
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return nullcontext()


def _up(size: int, stride: int) -> int:
    return -(-size // stride) * stride


def _calculates_in_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16; without them it is slower than float32."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict[str, bool])()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
