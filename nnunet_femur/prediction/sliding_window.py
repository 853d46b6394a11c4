"""nnU-Net's sliding window over any subset of its windows: the grid, mirroring, and weighted sums in float16.

If all windows are added in the order of the grid, the logits are those of nnU-Net's own predictor, bit for bit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nnunet_femur.imaging.boxes import Box


class Network(Protocol):
    """The network of one fold: a callable from windows to logits, such as a backend.

    It can have an attribute ``batch``, the number of windows to give at once.
    """

    def __call__(self, windows: torch.Tensor, /) -> torch.Tensor:
        """Return the logits of windows, in a new tensor.

        Args:
            windows: Shape (n, channels of the CT, *window). A network of slices has two spatial axes.

        Returns:
            Shape (n, channels, *window), float32 or float16, on any device.
        """


@dataclass(frozen=True)
class Grid:
    """The windows that nnU-Net computes for a CT.

    Attributes:
        shape: Shape of the CT, padded to at least the size of a window, along the axes of the plans.
        inside: The CT within its padding.
        patch: Size of a window; two numbers for networks of slices.
        windows: The windows in nnU-Net's order, as boxes of three axes in the padded CT. Slices have a depth of 1.

    Example:
        >>> grid = plan_grid((10, 8, 4), (4, 4, 6), step_size=1)
        >>> grid.shape, len(grid.windows), grid.windows[-1]
        ((10, 8, 6), 6, (slice(6, 10, None), slice(4, 8, None), slice(0, 6, None)))
    """

    shape: tuple[int, ...]
    inside: Box
    patch: tuple[int, ...]
    windows: tuple[Box, ...]

    @property
    def of_slices(self) -> bool:
        """True if the windows are slices of two axes."""
        return len(self.patch) < len(self.shape)

    @property
    def whole(self) -> Box:
        """The box of the padded CT."""
        return tuple(slice(0, length) for length in self.shape)

    def padded(self, data: torch.Tensor) -> torch.Tensor:
        """Return a CT with zeros around it where it is smaller than a window.

        Args:
            data: The preprocessed CT, shape (channels, *axes of the plans).
        """
        if data.shape[1:] == self.shape:
            return data
        padded = data.new_zeros((len(data), *self.shape))
        padded[(slice(None), *self.inside)] = data
        return padded


def plan_grid(shape: Sequence[int], patch: Sequence[int], *, step_size: float) -> Grid:
    """Return nnU-Net's grid of windows.

    Args:
        shape: Shape of the preprocessed CT along the axes of the plans, without channels.
        patch: Size of a window; two numbers for networks of slices, whose windows are cut across the first axis.
        step_size: Distance between neighbouring windows as a fraction of the window, above 0 up to 1.
    """
    from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window

    patch = tuple(int(length) for length in patch)
    windowed = (*[1] * (len(shape) - len(patch)), *patch)
    padded = tuple(max(int(n), p) for n, p in zip(shape, windowed, strict=True))
    # The smaller half of the padding comes first, as in nnU-Net.
    inside = tuple(slice((p - n) // 2, (p - n) // 2 + n) for n, p in zip(shape, padded, strict=True))
    steps = compute_steps_for_sliding_window(padded[-len(patch) :], patch, step_size)
    if len(patch) < len(shape):
        steps = [list(range(padded[0])), *steps]
    windows = tuple(
        tuple(slice(start, start + length) for start, length in zip(corner, windowed, strict=True))
        for corner in itertools.product(*steps)
    )
    return Grid(padded, inside, patch, windows)


def window_logits(
    network: Network, data: torch.Tensor, grid: Grid, numbers: Iterable[int], *, mirror_axes: Sequence[int] = ()
) -> Iterator[tuple[int, torch.Tensor]]:
    """Compute windows, and yield the number of each with its logits, shape (channels, *window of three axes).

    Args:
        network: The network with the weights of one fold.
        data: The padded CT of :meth:`Grid.padded`.
        grid: The grid.
        numbers: Numbers of the windows in the order in which they are computed.
        mirror_axes: Axes of the window along which mirrored passes are averaged, as nnU-Net does.
    """
    order = iter(numbers)
    while group := list(itertools.islice(order, getattr(network, "batch", 1))):
        windows = torch.stack([data[(slice(None), *grid.windows[number])] for number in group])
        logits = mirrored(network, windows[:, :, 0] if grid.of_slices else windows, mirror_axes)
        for number, each in zip(group, logits, strict=True):
            yield number, each[:, None] if grid.of_slices else each


def mirrored(network: Network, windows: torch.Tensor, axes: Sequence[int] = ()) -> torch.Tensor:
    """Return the logits of windows, averaged over all combinations of mirrored axes in nnU-Net's order.

    Args:
        network: The network.
        windows: Shape (n, channels, *window).
        axes: Spatial axes, from 0.
    """
    total = network(windows)
    shifted = [axis + 2 for axis in axes]
    combinations = [c for count in range(len(axes)) for c in itertools.combinations(shifted, count + 1)]
    for each in combinations:
        total += torch.flip(network(torch.flip(windows, each)), each)
    if combinations:
        total /= len(combinations) + 1
    return total


class LogitSums:
    """Sums of the logits of windows, weighted by a Gaussian and kept in float16, as in nnU-Net.

    Args:
        grid: The grid.
        device: Device of the sums; the CPU takes over if its memory is too small. On the CPU, the memory of places that
            no window covers is not used.

    Attributes:
        added: Numbers of the windows that were added.
    """

    def __init__(self, grid: Grid, *, device: torch.device | None = None) -> None:
        from nnunetv2.inference.sliding_window_prediction import compute_gaussian

        self.grid = grid
        self.added: set[int] = set()
        self._device = device or torch.device("cpu")
        weights = compute_gaussian(grid.patch, sigma_scale=1.0 / 8, value_scaling_factor=10, device=self._device)
        self._gaussian = weights[None] if grid.of_slices else weights
        self._single = self._gaussian.float()
        self._sums: torch.Tensor | None = None
        self._weights = torch.empty(0)

    def add(self, number: int, logits: torch.Tensor) -> None:
        """Add the logits of a window, which are not changed.

        Args:
            number: Number of the window.
            logits: Its logits, shape (channels, *window of three axes).
        """
        try:
            self._add(number, logits)
        except torch.OutOfMemoryError:
            if not self.move_to_cpu():
                raise
            self._add(number, logits)
        self.added.add(number)

    def _add(self, number: int, logits: torch.Tensor) -> None:
        if self._sums is None:
            self._weights = _zeros(self.grid.shape, self._device)
            self._sums = _zeros((len(logits), *self.grid.shape), self._device)
        window = self.grid.windows[number]
        place = (slice(None), *window)
        # Products and sums are rounded where nnU-Net rounds them.
        if self._device.type == "cpu":
            _add_weighted(self._sums[place], logits.cpu(), self._single)
        else:
            self._sums[place] += logits.to(self._device) * self._gaussian
        self._weights[window] += self._gaussian

    def move_to_cpu(self) -> bool:
        """Keep the sums in main memory from now on; return False if they are there already."""
        if self._device.type == "cpu":
            return False
        self._device = torch.device("cpu")
        self._sums = None if self._sums is None else self._sums.cpu()
        self._weights, self._gaussian = self._weights.cpu(), self._gaussian.cpu()
        self._single = self._single.cpu()
        return True

    @property
    def sums(self) -> torch.Tensor:
        """The weighted sums, shape (channels, *padded CT); their signs and order are those of the logits.

        Raises:
            ValueError: No window was added.
        """
        if self._sums is None:
            msg = "no window was added"
            raise ValueError(msg)
        return self._sums

    def logits(self, box: Box | None = None) -> torch.Tensor:
        """Return the weighted means, 0 where no window was added; they take the place of the sums.

        Args:
            box: Part of the padded CT to return. Default: all of it.

        Raises:
            InputError: The network's output is infinite or not a number (code "invalid-model").
        """
        place = box or self.grid.whole
        sums, weights = self.sums[(slice(None), *place)], self._weights[place]
        divisors = torch.where(weights == 0, 1, weights).float()
        finite = True
        for channel in sums:
            means = channel.float().div_(divisors)
            finite = finite and bool(means.sum().isfinite())
            channel.copy_(means)
        if not finite:
            msg = (
                "The network's output is infinite, not a number, or too large for float16. Use another checkpoint, or "
                "--precision float32 in place of float16."
            )
            raise InputError(msg, code="invalid-model")
        return sums


def _add_weighted(sums: torch.Tensor, logits: torch.Tensor, weights: torch.Tensor) -> None:
    """Add logits times weights to sums in float16.

    Operations of two types, as in ``sums += logits * weights``, take five times as long on processors.

    Args:
        sums: Shape (channels, *window).
        logits: Shape (channels, *window).
        weights: Shape (*window), float32.
    """
    product, total = torch.empty_like(weights), torch.empty_like(weights)
    for channel, values in zip(sums, logits, strict=True):
        product.copy_(values).mul_(weights)
        channel.copy_(total.copy_(channel).add_(product))


def _zeros(shape: Sequence[int], device: torch.device) -> torch.Tensor:
    if device.type == "cpu":
        # numpy's zeros use memory only where they are written, PyTorch's everywhere.
        return torch.from_numpy(np.zeros(shape, np.float16))
    return torch.zeros(tuple(shape), dtype=torch.half, device=device)


def mirror_axes_of(predictor: Any) -> tuple[int, ...]:
    """Return the axes that a predictor of nnU-Net mirrors windows along."""
    return tuple(predictor.allowed_mirroring_axes or ()) if predictor.use_mirroring else ()
