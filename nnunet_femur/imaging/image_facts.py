"""Measure the values of a CT: range, histogram, padding, metal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.padding import Histogram, Padding, find_padding

if TYPE_CHECKING:
    from numpy.typing import NDArray

METAL_HU = 2500
"""Values of bone are below this; those of a nail or a prosthesis are above."""

JUDGED = 20_000
"""Least number of voxels without padding for which the histogram is examined: a cube of 27 voxels."""

WRAPPED_BELOW_HU = -250
"""Value of voxels darker than fat, which may have wrapped around."""

_WRAPPED_BESIDE_HU, _WRAPPED_REACH = 1000, 3
"""Value of dense bone or metal, and the number of voxels within which it is on both sides of wrapped voxels."""

_ENCLOSED_PART = 0.85
"""Least part of the rim of an enclosed dark area that is as near to bone or metal."""

_WRAPPED_PER_METAL = 0.5
"""Least ratio of enclosed dark voxels to voxels above METAL_HU, of which metal that does not wrap around has more."""

_SEARCHED = 1 << 20
"""Approximate number of voxels that are searched for wrapped values."""

_LARGEST_12_BIT_HU = 3100
"""Largest HU of 12 bits (3071), with a margin for interpolation."""

_LEAST_12_BIT_HU = -1024
"""Least HU of 12 bits."""

_INTERPOLATED_PART = 1e-4
"""Largest part of the measured values below 12 bits; interpolation causes more."""

_SLAB = 16
"""Slices that are converted at a time, which saves memory for volumes in double precision."""


@dataclass(frozen=True)
class ImageFacts:
    """Counts and limits of the values of a CT.

    Attributes:
        stored_as: Name of the stored type.
        minimum: Least value as read.
        maximum: Largest value as read.
        not_finite: Number of values that are NaN or infinite; if there are any, nothing else is counted.
        rounded: Number of values that were not whole numbers.
        clipped: Number of values outside the range of int16.
        padding: The padding.
        padding_hu: Value that replaces the padding, in HU; None if it is kept.
        metal_ml: Volume of voxels denser than bone, in millilitres.
        wrapped: Number of dark voxels within bone or metal.
        measured: Histogram without padding.
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
    """Return the values of a CT as int16, and the facts about them. Padding is not replaced.

    Args:
        values_zyx: The values as read; an int16 array is returned unchanged, and not copied.
        padding_hu: Value that will replace the padding, for the facts.
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
    """Return the values rounded and clipped to int16, the number rounded, and the number clipped."""
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
    """Return True for values of 12 bits. Others were interpolated, which leaves dark rims beside padding."""
    return (
        _WRAPPED_BESIDE_HU < maximum <= _LARGEST_12_BIT_HU
        and measured.total >= JUDGED
        and measured.part(-(1 << 15), _LEAST_12_BIT_HU) < _INTERPOLATED_PART
        and padding.region_zyx is None
    )


def _wrapped(hu: NDArray[np.int16], metal: int) -> int:
    """Return the number of dark voxels in bone or metal, where values beyond 12 bits have wrapped around.

    Such voxels have bone or metal on both sides, or are in an area of a slice that is enclosed by it. In a large
    volume, a part of the slices is searched.
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
    """Return the voxels with a True voxel up to `reach` voxels before them along an axis, and those with one after."""
    before, after = np.zeros_like(there), np.zeros_like(there)
    for step in range(1, min(reach, there.shape[axis] - 1) + 1):
        low = (slice(None),) * axis + (slice(None, -step),)
        high = (slice(None),) * axis + (slice(step, None),)
        before[high] |= there[low]
        after[low] |= there[high]
    return before, after


def _enclosed(dark: NDArray[np.bool_], beside: NDArray[np.bool_]) -> int:
    """Return the number of voxels in areas of slices with most of their rim beside bone or metal, not air outside."""
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
