"""Count what is in the values of a CT: range, histogram, padding, metal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.padding import Histogram, Padding, find_padding

if TYPE_CHECKING:
    from numpy.typing import NDArray

METAL_HU = 2500
"""Bone stays below this; a nail or a prosthesis does not."""

JUDGED = 20_000
"""Voxels without padding that are enough to look for air and tissue in the histogram: a cube of 27 voxels."""

WRAPPED_BELOW_HU = -250
_WRAPPED_BESIDE_HU = 1000
_WRAPPED_REACH = 3
"""Voxels darker than fat with dense bone or metal at both sides within three voxels have probably wrapped around."""

_ENCLOSED_PART = 0.85
"""A dark area is enclosed if this part of its rim has bone or metal so near."""

_WRAPPED_PER_METAL = 0.5
"""Metal that wraps around leaves few values above METAL_HU; other metal has more of them than dark streaks."""

_SEARCHED = 1 << 20
"""About how many voxels are searched for those."""

_LARGEST_12_BIT_HU = 3100
"""Largest HU of 12 bits (3071), and a little more for what a program has interpolated."""

_LEAST_12_BIT_HU = -1024
"""Least HU of 12 bits."""

_INTERPOLATED_PART = 1e-4
"""A larger part of the measured values is below 12 bits only where interpolation has left it there."""

_SLAB = 16
"""Slices that are converted at a time, so that a volume of double precision needs little memory."""


@dataclass(frozen=True)
class ImageFacts:
    """Counts and limits of the values of a CT.

    Attributes:
        stored_as: Name of the stored type.
        minimum: Least value as read.
        maximum: Largest value as read.
        not_finite: Number of values that are NaN or infinite; with any, nothing else was counted.
        rounded: Number of values that were no whole numbers.
        clipped: Number of values beyond int16.
        padding: The padding.
        padding_hu: What padding becomes; None leaves it.
        metal_ml: Volume of what is denser than bone in millilitres.
        wrapped: Number of dark voxels within bone or metal.
        measured: The histogram without padding.
    """

    stored_as: str
    minimum: float
    maximum: float
    not_finite: int = 0
    rounded: int = 0
    clipped: int = 0
    padding: Padding = field(default_factory=Padding)
    padding_hu: int | None = None
    metal_ml: float = 0.0
    wrapped: int = 0
    measured: Histogram = field(default_factory=lambda: Histogram(np.zeros(1 << 16, np.int64)))


def hounsfield(
    values_zyx: NDArray, *, padding_hu: int | None, voxel_volume_ml: float
) -> tuple[NDArray[np.int16], ImageFacts]:
    """Return the values of a CT as int16, and what was counted in them; padding is still there.

    Args:
        values_zyx: The values as read; int16 is given back as it is.
        padding_hu: What padding will become, for the facts.
        voxel_volume_ml: Volume of a voxel in millilitres.
    """
    stored_as = str(values_zyx.dtype)
    rounded = clipped = 0
    if values_zyx.dtype == np.int16:
        hu: NDArray[np.int16] = values_zyx
        minimum, maximum = float(hu.min()), float(hu.max())
    else:
        not_finite = _not_finite(values_zyx)
        if not_finite:
            return np.zeros(values_zyx.shape, np.int16), ImageFacts(stored_as, np.nan, np.nan, not_finite)
        minimum, maximum = float(values_zyx.min()), float(values_zyx.max())
        hu, rounded, clipped = _whole(values_zyx)
    histogram = Histogram.of(hu)
    padding = find_padding(hu, histogram, minimum)
    metal = np.count_nonzero(hu > METAL_HU) if maximum > METAL_HU else 0
    metal -= sum(count for value, count in padding.counts if value > METAL_HU)
    measured = histogram.without(padding.values)
    wrapped = _wrapped(hu, int(metal)) if _may_have_wrapped(measured, maximum, padding) else 0
    return hu, ImageFacts(
        stored_as,
        minimum,
        maximum,
        rounded=rounded,
        clipped=clipped,
        padding=padding,
        padding_hu=padding_hu,
        metal_ml=float(metal) * voxel_volume_ml,
        wrapped=wrapped,
        measured=measured,
    )


def _not_finite(values_zyx: NDArray) -> int:
    if np.issubdtype(values_zyx.dtype, np.integer):
        return 0
    return sum(int(np.count_nonzero(~np.isfinite(part))) for part in values_zyx)


def _whole(values_zyx: NDArray) -> tuple[NDArray[np.int16], int, int]:
    """Values rounded and clipped to int16, and how many were."""
    limits = np.iinfo(np.int16)
    hu = np.empty(values_zyx.shape, np.int16)
    rounded = clipped = 0
    for start in range(0, len(values_zyx), _SLAB):
        slab = slice(start, start + _SLAB)
        whole = values_zyx[slab]
        if not np.issubdtype(whole.dtype, np.integer):
            whole = np.rint(whole)
            rounded += int(np.count_nonzero(whole != values_zyx[slab]))
        clipped += int(np.count_nonzero((whole < limits.min) | (whole > limits.max)))
        hu[slab] = np.clip(whole, limits.min, limits.max)
    return hu, rounded, clipped


def _may_have_wrapped(measured: Histogram, maximum: float, padding: Padding) -> bool:
    """Return True for values of 12 bits; others were interpolated, which leaves dark rims beside padding."""
    return (
        _WRAPPED_BESIDE_HU < maximum <= _LARGEST_12_BIT_HU
        and measured.total >= JUDGED
        and measured.part(-(1 << 15), _LEAST_12_BIT_HU) < _INTERPOLATED_PART
        and padding.region_zyx is None
    )


def _wrapped(hu: NDArray[np.int16], metal: int) -> int:
    """Number of dark voxels in bone or metal, where values beyond 12 bits started again below.

    These have bone or metal at both sides, or are in an area of a slice that is enclosed by it. They are counted in a
    part of the slices if the volume is large.
    """
    part = hu[:: max(1, hu.size // _SEARCHED)]
    bright, dark = part > _WRAPPED_BESIDE_HU, (part < WRAPPED_BELOW_HU) & (part >= _LEAST_12_BIT_HU)
    (left, right), (front, back) = (_within_reach(bright, axis, _WRAPPED_REACH) for axis in (2, 1))
    between = left & right | front & back
    beside = dark & (left | right | front | back)
    enclosed = _enclosed(dark, beside) * len(hu) // len(part) if beside.any() else 0
    found = int(np.count_nonzero(dark & between)) * len(hu) // len(part)
    return max(found, enclosed if enclosed >= _WRAPPED_PER_METAL * metal else 0)


def _within_reach(there: NDArray[np.bool_], axis: int, reach: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where something is at most so many voxels before along an axis, and where it is behind."""
    before, after = np.zeros_like(there), np.zeros_like(there)
    for step in range(1, min(reach, there.shape[axis] - 1) + 1):
        low = (slice(None),) * axis + (slice(None, -step),)
        high = (slice(None),) * axis + (slice(step, None),)
        before[high] |= there[low]
        after[low] |= there[high]
    return before, after


def _enclosed(dark: NDArray[np.bool_], beside: NDArray[np.bool_]) -> int:
    """Number of voxels in areas of slices most of whose rim is beside bone or metal; air around the body is not."""
    import scipy.ndimage

    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1] = [[False, True, False], [True, True, True], [False, True, False]]
    labels, count = scipy.ndimage.label(dark, in_plane)
    inner = scipy.ndimage.binary_erosion(dark, in_plane, border_value=1)
    sizes, rims, held = (np.bincount(labels[where], minlength=count + 1) for where in (dark, dark & ~inner, beside))
    enclosed = held >= _ENCLOSED_PART * np.maximum(rims, 1)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        enclosed[np.unique(edge)] = False
    enclosed[0] = False
    return int(sizes[enclosed].sum())
