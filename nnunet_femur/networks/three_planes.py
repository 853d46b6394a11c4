"""Wrapper that runs a two-dimensional network over a volume, plane by plane, and averages the probabilities."""

from __future__ import annotations

import math
from contextlib import nullcontext
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from nnunet_femur.networks.oblique_planes import OBLIQUE, add_oblique, oblique_slices
from nnunet_femur.networks.precision import calculates_in_bfloat16

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    _TotalOf = Callable[[torch.Tensor], torch.Tensor]
    # Function that takes probabilities of slices and returns the total of a volume to add them to.


SMALLEST_PROBABILITY = 1e-6
"""Lower bound of probabilities before the logarithm, since nnU-Net adds up predictions in half precision."""

SLICE_PIXELS = 256 * 256
"""Pixels of the slices that `slices_at_once` counts; fewer larger slices go together, and more smaller ones."""

_SAME = 1e-5
"""Largest difference of equal normalized values: resampling rounds a constant to neighbouring numbers."""


class ThreePlaneNetwork(nn.Module):
    """A network of slices that nnU-Net can use as a network of volumes.

    For slices, shape (batch, channels, rows, columns), it returns the logits of the network itself. Volumes, shape
    (batch, channels, z, y, x), are cut into slices of each plane in turn. The softmax of the planes is averaged, and
    its logarithm is returned, which nnU-Net's softmax turns back into the average. Volumes have no gradient. Borders
    that are zero throughout, with which nnU-Net pads small volumes, are skipped: there all classes are equally likely.
    Of equal slices at either end of an axis, such as the air beside a patient, one is computed. Planes of weight 0 are
    not computed.

    Besides the volume and the output (4 bytes for each class and voxel), it needs the memory of one pass of slices,
    independent of the size of the volume.

    Args:
        network: The network of slices.
        axes: The planes that a volume is cut into: spatial axes (0 is z) that slices are across, or numbers of oblique
            planes (:mod:`~nnunet_femur.networks.oblique_planes`).
        weights: Weight of each plane in the average, in the order of `axes`. None: equal weights.
        learns_weights: True to keep the weights of the planes among the network's own, in its state. They are set by
            :meth:`set_weights`.
        stride: Rows and columns are padded with zeros to a multiple of this number, and the padding is cut off again.
        slices_at_once: Number of slices of 256 x 256 pixels in one pass, or as many pixels in slices of another size.
        in_bfloat16: True to predict in bfloat16 on processors, as nnU-Net does in float16 on graphics cards. None: on
            processors with instructions for it.
        scale: Pixels per voxel along each spatial axis (0 is z). Slices are resampled to this scale for the network,
            and its probabilities are resampled back.
        neighbours: Number of slices on either side that the network takes as further channels, before and behind its
            own. At the ends of the volume the last slice is repeated. Neighbouring oblique slices are one pixel apart.

    Raises:
        ValueError: No axis is given, a weight is negative, or all weights are 0.

    Example:
        >>> network = ThreePlaneNetwork(nn.Conv2d(1, 2, 3, padding=1), stride=1)
        >>> probabilities = network(torch.zeros(1, 1, 5, 6, 7)).exp()
        >>> probabilities.shape
        torch.Size([1, 2, 5, 6, 7])
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        axes: Sequence[int] = (0, 1, 2),
        weights: Sequence[float] | None = None,
        learns_weights: bool = False,
        stride: int = 32,
        slices_at_once: int = 16,
        in_bfloat16: bool | None = None,
        scale: Sequence[float] = (1.0, 1.0, 1.0),
        neighbours: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.axes = tuple(axes)
        self._weights = self._shares([1.0] * len(axes) if weights is None else weights)
        self.learned_weights: torch.Tensor | None
        self.register_buffer("learned_weights", torch.tensor(self._weights) if learns_weights else None)
        self.stride = stride
        self.slices_at_once = slices_at_once
        self.in_bfloat16 = calculates_in_bfloat16() if in_bfloat16 is None else in_bfloat16
        self.scale = tuple(scale)
        self.neighbours = neighbours

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of slices, or the logarithm of the averaged softmax of volumes, in the spatial shape of `x`."""
        if x.ndim == 4:
            if torch.is_grad_enabled():
                return self._logits(x)
            with self._precision(x):
                return self._logits(x).to(x.dtype)
        with torch.no_grad(), self._precision(x):
            average = self._averaged(x, zip(self.axes, self.weights, strict=True))
            return average.clamp_min_(SMALLEST_PROBABILITY).log_()

    @property
    def weights(self) -> tuple[float, ...]:
        """Weight of each plane in the average, in the order of `axes`; their sum is 1."""
        return self._weights if self.learned_weights is None else tuple(self.learned_weights.tolist())

    def set_weights(self, weights: Sequence[float]) -> None:
        """Set the weights of the planes of a network that learns them.

        Args:
            weights: Weight of each plane, 0 or more.

        Raises:
            ValueError: The network does not learn its weights, a weight is negative, or all weights are 0.
        """
        if self.learned_weights is None:
            msg = "the weights of the planes of this network are fixed."
            raise ValueError(msg)
        self.learned_weights.copy_(torch.tensor(self._shares(weights)))

    def probabilities_of_plane(self, volumes: torch.Tensor, axis: int) -> torch.Tensor:
        """Return the probabilities of one plane, shape (batch, classes, z, y, x).

        Args:
            volumes: Volumes, shape (batch, channels, z, y, x).
            axis: The plane, one of `axes`.
        """
        with torch.no_grad(), self._precision(volumes):
            return self._averaged(volumes, [(axis, 1.0)])

    def _shares(self, weights: Sequence[float]) -> tuple[float, ...]:
        """Return weights with a sum of 1."""
        total = sum(weights)
        if not self.axes or len(weights) != len(self.axes) or min(weights) < 0 or not total > 0:
            msg = f"weights must be 0 or more for each of the axes {self.axes}, and one above 0, got {weights}."
            raise ValueError(msg)
        return tuple(weight / total for weight in weights)

    def _averaged(self, volumes: torch.Tensor, weights: Iterable[tuple[int, float]]) -> torch.Tensor:
        """Return the weighted mean of the planes' probabilities, shape (batch, classes, z, y, x)."""
        inside = (slice(None), slice(None), *_content(volumes))
        total = _Total(volumes, inside)
        for axis, weight in weights:
            add = self._add_oblique_plane if axis in OBLIQUE else self._add_plane
            for which, volume in enumerate(volumes[inside]):
                if weight > 0:
                    add(volume, axis, weight, partial(total.of, which))
        assert total.tensor is not None  # noqa: S101 - no axis of a volume is empty
        return total.tensor

    def _add_plane(self, volume: torch.Tensor, axis: int, weight: float, total: _TotalOf) -> None:
        """Add the weighted probabilities of the slices across an axis to those of a volume."""
        slices = volume.movedim(1 + axis, 0)
        pixels = self._pixels(slices.shape[-2:], axis)
        at_once = self._at_once(pixels)
        distinct = _distinct(slices, self.neighbours)
        for first in range(distinct.start, distinct.stop, at_once):
            part = slice(first, min(first + at_once, distinct.stop))
            probabilities = self._probabilities(self._with_neighbours(slices, part), pixels)
            of_plane = total(probabilities).movedim(1 + axis, 0)
            of_plane[part].add_(probabilities, alpha=weight)
            if part.start == distinct.start:
                of_plane[: distinct.start].add_(probabilities[:1], alpha=weight)
            if part.stop == distinct.stop:
                of_plane[distinct.stop :].add_(probabilities[-1:], alpha=weight)

    def _add_oblique_plane(self, volume: torch.Tensor, axis: int, weight: float, total: _TotalOf) -> None:
        """Add the weighted probabilities of oblique slices to those of a volume."""
        plane = OBLIQUE[axis]
        grid = plane.grid(volume.shape[1:], self.scale)
        third = max(1, round(volume.shape[1 + plane.third] * self.scale[plane.third]))
        for group, within in grid.groups():
            pixels = [len(within), third] if plane.has_rows_along else [third, len(within)]
            at_once = self._at_once(pixels)
            for first in range(group.start, group.stop, at_once):
                numbers = range(first, min(first + at_once, group.stop))
                reach = self.neighbours
                around = torch.arange(numbers.start - reach, numbers.stop + reach, device=volume.device)
                cut = oblique_slices(volume, grid, around.clamp(0, grid.count - 1), within)
                slices = self._with_neighbours(cut, slice(reach, reach + len(numbers)))
                probabilities = self._probabilities(slices, pixels)
                add_oblique(total(probabilities), probabilities, grid, numbers, within, weight=weight)

    def _at_once(self, pixels: Sequence[int]) -> int:
        """Return the number of slices of a size in pixels that go through the network together."""
        padded = math.prod(_rounded_up(n, self.stride) for n in pixels)
        return max(1, self.slices_at_once * SLICE_PIXELS // padded)

    def _pixels(self, size: Sequence[int], axis: int) -> list[int]:
        """Return rows and columns, in pixels of the network, of a slice of `size` voxels across `axis`."""
        scale = [self.scale[other] for other in range(3) if other != axis]
        return [max(1, round(n * s)) for n, s in zip(size, scale, strict=True)]

    def _with_neighbours(self, slices: torch.Tensor, part: slice) -> torch.Tensor:
        """Return a part of a volume's slices, shape (slices, channels, rows, columns), with neighbours as channels."""
        if not self.neighbours:
            return slices[part]
        places = torch.arange(len(slices), device=slices.device)[part]
        reach = torch.arange(-self.neighbours, self.neighbours + 1, device=slices.device)
        around = (places[:, None] + reach).clamp(0, len(slices) - 1)
        # The order of training: every slice of the first channel, then of the next.
        return slices[around].transpose(1, 2).flatten(1, 2)

    def _probabilities(self, slices: torch.Tensor, pixels: list[int]) -> torch.Tensor:
        """Return the softmax of slices in their own size, computed by the network at a size of `pixels`."""
        size = list(slices.shape[-2:])
        if pixels == size:
            return self._logits(slices).float().softmax(1)
        resized = functional.interpolate(slices, pixels, mode="bilinear", align_corners=False)
        probabilities = self._logits(resized).float().softmax(1)
        return functional.interpolate(probabilities, size, mode="bilinear", align_corners=False)

    def _logits(self, slices: torch.Tensor) -> torch.Tensor:
        rows, columns = slices.shape[-2:]
        size = [_rounded_up(n, self.stride) for n in (rows, columns)]
        padded = slices
        if size != [rows, columns]:
            padded = slices.new_zeros((*slices.shape[:2], *size))
            padded[..., :rows, :columns] = slices
        with self._float32_if_narrow(padded):
            return self.network(padded)[..., :rows, :columns]

    def _float32_if_narrow(self, padded: torch.Tensor) -> AbstractContextManager:
        """Return a context that computes slices as narrow as the stride in float32.

        Their deepest features are one column wide. For these, oneDNN's bfloat16 convolutions of stride 2 (PyTorch 2.15,
        processors with AMX) return memory that was never written.
        """
        if padded.device.type == "cpu" and padded.shape[-1] <= self.stride and torch.is_autocast_enabled("cpu"):
            return torch.autocast("cpu", enabled=False)
        return nullcontext()

    def _precision(self, x: torch.Tensor) -> AbstractContextManager:
        """Return an autocast to bfloat16 on processors; on graphics cards nnU-Net has set its own."""
        if x.device.type == "cpu" and self.in_bfloat16 and not self.training:
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return nullcontext()


class _Total:
    """Sum of the probabilities of planes, made when the number of classes is known.

    Args:
        volumes: The volumes, shape (batch, channels, z, y, x).
        inside: The part of them that is predicted; outside, all classes are equally likely.
    """

    def __init__(self, volumes: torch.Tensor, inside: tuple[slice, ...]) -> None:
        self.tensor: torch.Tensor | None = None
        self._volumes = volumes
        self._inside = inside

    def of(self, which: int, probabilities: torch.Tensor) -> torch.Tensor:
        """Return the sum of a volume, shape (classes, z, y, x), for probabilities of shape (slices, classes, ...)."""
        if self.tensor is None:
            classes = probabilities.shape[1]
            shape = (len(self._volumes), classes, *self._volumes.shape[2:])
            self.tensor = torch.full(shape, 1 / classes, device=self._volumes.device)
            self.tensor[self._inside].zero_()
        return self.tensor[self._inside][which]


def _content(volumes: torch.Tensor) -> list[slice]:
    """Return the smallest box along z, y and x outside of which all is zero; the whole volume if all is zero."""
    filled = (volumes != 0).flatten(0, 1).any(0)
    box = []
    for axis in range(3):
        places = filled.any([other for other in range(3) if other != axis]).nonzero()
        box.append(slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(None))
    return box


def _distinct(slices: torch.Tensor, neighbours: int) -> slice:
    """Return the slices without repetitions of the first and of the last one, as outside of a patient.

    Args:
        slices: Slices of a volume, shape (slices, channels, rows, columns).
        neighbours: Number of slices on either side that the network sees besides its own.
    """

    def repeated(indices: range) -> int:
        """Return the number of slices in a row that are equal to the first of them but for rounding."""
        end = slices[indices[0]]
        same = takewhile(lambda index: torch.allclose(slices[index], end, rtol=0, atol=_SAME), indices)
        return sum(1 for _ in same)

    count = len(slices)
    leading = repeated(range(count))
    if leading == count:
        return slice(0, 1)
    trailing = repeated(range(count - 1, -1, -1))
    first = max(0, leading - 1 - neighbours)
    # Both ends can overlap where slices change very slowly.
    return slice(first, max(first + 1, min(count, count - trailing + 1 + neighbours)))


def _rounded_up(size: int, stride: int) -> int:
    return -(-size // stride) * stride
