"""Find the padding of a CT: the value of voxels that the scanner did not measure.

Padding may have any value. It is found by its frequency: a single value that is far more frequent than its neighbours.
Below air, its frequency is sufficient. A value that tissue can also have must fill a connected region along an edge of
the volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

USUAL_PADDING = (-3024, -2000, -1024)
"""Usual padding values of scanners and programs in HU; a single voxel is sufficient if it is the least value."""

_AIR_HU = -1000
"""No measured value is far below air, so every voxel with a frequent value below it is padding."""

_TISSUE_HU = -950
"""A value above this may be tissue, so it is padding only in a region at the border."""

_SOFT_HU = (-200, 300)
"""Range of soft tissue, whose values are frequent in a CT with little noise; only 0 among them can be padding."""

_SPIKE = 4
"""A value is a spike if it is more than this many times as frequent as its two neighbours together."""

_STEP = 16
"""Largest difference in HU between neighbouring values that occur in a CT."""

_LEAST_COUNT = 20
_LEAST_PART = 5e-4
"""Least number of voxels, and least part of the volume, of padding with an unusual value."""

_LEAST_REGION = 0.01
_MOST_REGION = 0.98
"""Least and largest part of the volume that padding with a value of tissue fills."""

_EDGE_FILLED = 0.5
"""Least part of at least one edge of the volume that padding fills."""

_AT_BORDER = 0.8
"""Least part of the voxels with that value that are in regions at the edges."""

_SAMPLED = 1 << 20
"""Approximate number of voxels that a histogram counts."""

_OFFSET = 1 << 15


@dataclass(frozen=True)
class Histogram:
    """Number of voxels of each int16 value, in all rows of a volume or in every n-th one.

    Attributes:
        counts: The numbers, shape (65536,); the first is that of -32768.
    """

    counts: NDArray[np.int64]

    @classmethod
    def of(cls, hu: NDArray[np.int16]) -> Histogram:
        """Count the values of a volume (z, y, x), in every n-th row of a large volume."""
        step = max(1, hu.size // _SAMPLED)
        axis = 1 if hu.shape[1] >= step * 8 else 0
        rows = hu[:, ::step] if axis else hu[::step]
        counts = np.bincount(np.ascontiguousarray(rows).view(np.uint16).ravel(), minlength=1 << 16)
        return cls(np.roll(counts, _OFFSET))

    @cached_property
    def total(self) -> int:
        """Number of counted voxels."""
        return int(self.counts.sum())

    def at(self, value: int) -> int:
        """Return the number of voxels with a value."""
        return int(self.counts[value + _OFFSET]) if -_OFFSET <= value < _OFFSET else 0

    def between(self, low: float, high: float) -> int:
        """Return the number of voxels from `low` to `high`, without `high`."""
        first, end = (int(np.clip(np.ceil(value), -_OFFSET, _OFFSET)) + _OFFSET for value in (low, high))
        return int(self.counts[first:end].sum())

    def part(self, low: float, high: float) -> float:
        """Return the part of the voxels from `low` to `high`, without `high`; 0 to 1."""
        return self.between(low, high) / max(1, self.total)

    @cached_property
    def limits(self) -> tuple[int, int]:
        """Least and largest value; (0, 0) for a histogram without voxels."""
        there = np.flatnonzero(self.counts)
        return (int(there[0]) - _OFFSET, int(there[-1]) - _OFFSET) if there.size else (0, 0)

    def without(self, values: Sequence[int]) -> Histogram:
        """Return the histogram without some values; a value between others is reduced to the mean of its neighbours."""
        counts = self.counts.copy()
        for value in values:
            place = value + _OFFSET
            near = np.r_[counts[max(0, place - 3) : place], counts[place + 1 : place + 4]]
            counts[place] = min(counts[place], int(near.mean()) if near.all() else 0)
        return Histogram(counts)

    def smoothed(self, low: int, high: int, *, sigma_hu: float = 8.0) -> NDArray[np.float64]:
        """Return the voxels per HU from `low` to `high`, without `high`, smoothed by a Gaussian."""
        import scipy.ndimage

        part = self.counts[low + _OFFSET : high + _OFFSET].astype(float)
        smooth: NDArray[np.float64] = scipy.ndimage.gaussian_filter1d(part, sigma_hu, mode="constant")
        return smooth


@dataclass(frozen=True)
class Padding:
    """The padding of a CT.

    Attributes:
        counts: Each padding value and its number of voxels, sorted by value.
        region_zyx: Voxels of padding whose value also occurs in tissue; None if every voxel with a padding value is
            padding.
    """

    counts: tuple[tuple[int, int], ...] = ()
    region_zyx: NDArray[np.bool_] | None = None

    @property
    def values(self) -> tuple[int, ...]:
        """All padding values."""
        return tuple(value for value, _ in self.counts)

    @property
    def everywhere(self) -> tuple[int, ...]:
        """Values that occur only in padding."""
        return tuple(value for value, _ in self.counts if value <= _AIR_HU)

    def of(self, box: tuple[slice, ...]) -> Padding:
        """Return the padding of a box of the volume, for :meth:`within`; its counts are those of the whole volume."""
        return self if self.region_zyx is None else Padding(self.counts, self.region_zyx[box])

    def within(self, hu_zyx: NDArray[np.int16], mask_zyx: NDArray[np.bool_]) -> int:
        """Return the number of voxels of a mask that are padding."""
        values = hu_zyx[mask_zyx]
        found = sum(int(np.count_nonzero(values == value)) for value in self.everywhere)
        return found if self.region_zyx is None else found + int(np.count_nonzero(self.region_zyx[mask_zyx]))


def find_padding(hu: NDArray[np.int16], histogram: Histogram, minimum: float) -> Padding:
    """Return the padding of a CT.

    A few voxels of air with the value -1024 are not padding.

    Args:
        hu: The CT (z, y, x).
        histogram: Its histogram.
        minimum: Its least value.
    """
    found = {}
    for value in _candidates(histogram, minimum):
        if value <= _AIR_HU:
            count = int(np.count_nonzero(hu == value))
            if count:
                found[value] = count
    regions = None
    for value in _candidates_of_tissue(histogram.without(tuple(found))):
        region = _region_at_border(hu, value)
        if region is not None:
            found[value] = int(np.count_nonzero(region))
            regions = region if regions is None else regions | region
    return Padding(tuple(sorted(found.items())), regions)


def _candidates(histogram: Histogram, minimum: float) -> list[int]:
    counts, total = histogram.counts, histogram.total
    usual = [value for value in USUAL_PADDING if value == minimum or _is_spike(histogram, value)]
    least = max(_LEAST_COUNT, _LEAST_PART * total)
    frequent = np.flatnonzero(counts[: _AIR_HU + _OFFSET] >= least) - _OFFSET
    # In a CT with steps of several HU every value is a spike. Only a few values can be padding.
    spikes = [int(value) for value in frequent if _is_spike(histogram, int(value))]
    return sorted({*usual, *spikes}) if len(spikes) <= 8 else sorted(usual)


def _is_spike(histogram: Histogram, value: int) -> bool:
    """Return True if a value is far more frequent than the nearest values that occur, which may be several HU away."""
    counts, place = histogram.counts, value + _OFFSET
    below = np.flatnonzero(counts[max(0, place - _STEP) : place])
    above = np.flatnonzero(counts[place + 1 : place + 1 + _STEP])
    near = int(counts[max(0, place - _STEP) + below[-1]]) if below.size else 0
    near += int(counts[place + 1 + above[0]]) if above.size else 0
    return histogram.at(value) > _SPIKE * near


def _candidates_of_tissue(histogram: Histogram) -> list[int]:
    """Return values of tissue that are far more frequent than their neighbours, and are not the end of a window."""
    counts = histogram.counts
    if histogram.total < 1000:
        return []
    frequent = np.flatnonzero(counts[_TISSUE_HU + _OFFSET :] >= _LEAST_REGION * histogram.total) + _TISSUE_HU
    spikes = []
    for value in map(int, frequent):
        if value != 0 and _SOFT_HU[0] <= value <= _SOFT_HU[1]:
            continue
        near = histogram.between(value - 5, value + 6) - histogram.at(value)
        if histogram.at(value) > 2 * near and not is_cut(histogram, value):
            spikes.append(value)
    return spikes if len(spikes) <= 2 else []


def is_cut(histogram: Histogram, value: int) -> bool:
    """Return True for an end of a window: the least value, or the largest one with values directly below it."""
    low, high = histogram.limits
    if value == low:
        return value > _TISSUE_HU
    beside, close = histogram.between(high - 30, high), histogram.between(high - 10, high)
    return value == high and beside >= 10 and close >= beside / 10


def _region_at_border(hu: NDArray[np.int16], value: int) -> NDArray[np.bool_] | None:
    """Return the voxels of a value in regions that fill edges of the volume; None unless most voxels are in them.

    Padding fills edges, where two sides of the volume meet. Metal, or bone at the end of a window, reaches only the
    sides.
    """
    import scipy.ndimage

    there = hu == value
    labels, count = scipy.ndimage.label(there)
    edges = [labels[index] for index in _edges()]
    filled = [np.unique(edge) for edge in edges if np.count_nonzero(edge) >= _EDGE_FILLED * edge.size]
    if not filled:
        return None
    kept = np.zeros(count + 1, bool)
    kept[np.concatenate(filled)] = True
    kept[0] = False
    region: NDArray[np.bool_] = kept[labels]
    size = int(np.count_nonzero(region))
    if not _LEAST_REGION <= size / hu.size <= _MOST_REGION or size < _AT_BORDER * np.count_nonzero(there):
        return None
    return region


def _edges() -> list[tuple[slice | int, ...]]:
    """Return the indices of the twelve edges of a volume."""
    found: list[tuple[slice | int, ...]] = []
    for axis in range(3):
        for first in (0, -1):
            for second in (0, -1):
                ends: list[slice | int] = [first, second]
                ends.insert(axis, slice(None))
                found.append(tuple(ends))
    return found
