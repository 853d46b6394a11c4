"""Check the values of a CT: whether they are HU, and what was not measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.kinds import Checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_CHECKS = Checks()
"""Checks of the values of a CT."""

PADDING_VALUES = (-3024, -2000, -1024)
"""What scanners and programs write where nothing was measured, in HU."""

METAL_HU = 2500
"""Bone stays below this; a nail or a prosthesis does not."""

_METAL_ML = 0.05
_BONE_HU = 300
"""Cortical bone is far above this in every CT of a femur."""

_NARROW = 50
"""Values of a normalised volume span less than this; those of a CT more than a thousand."""

_SPIKE = 4
"""A padding value above the least value counts if it is this many times as frequent as its neighbours together."""

_SLAB = 16
"""Slices that are converted at a time, so that a volume of double precision needs little memory."""


@dataclass(frozen=True)
class ImageFacts:
    """What was counted in the values of a CT.

    Attributes:
        stored_as: Name of the stored type.
        minimum: Least value as read.
        maximum: Largest value as read.
        not_finite: Number of values that are NaN or infinite; with any, nothing else was counted.
        rounded: Number of values that were no whole numbers.
        clipped: Number of values beyond int16.
        padding: Number of voxels of each padding value.
        padding_hu: What padding becomes; None leaves it.
        metal_ml: Volume of what is denser than bone in millilitres.
    """

    stored_as: str
    minimum: float
    maximum: float
    not_finite: int = 0
    rounded: int = 0
    clipped: int = 0
    padding: tuple[tuple[int, int], ...] = ()
    padding_hu: int | None = None
    metal_ml: float = 0.0


def hounsfield(
    values_zyx: NDArray, *, padding_hu: int | None, voxel_volume_ml: float
) -> tuple[NDArray[np.int16], ImageFacts]:
    """The values of a CT as int16, and what was counted in them; padding is still there.

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
    metal = np.count_nonzero(hu > METAL_HU) if maximum > METAL_HU else 0
    return hu, ImageFacts(
        stored_as,
        minimum,
        maximum,
        rounded=rounded,
        clipped=clipped,
        padding=_padding(hu, minimum),
        padding_hu=padding_hu,
        metal_ml=float(metal) * voxel_volume_ml,
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


def _padding(hu: NDArray[np.int16], minimum: float) -> tuple[tuple[int, int], ...]:
    """The padding values of a CT: the least value, or one that is much more frequent than its neighbours.

    A voxel of air that happens to have the value -1024 is none.
    """
    found = []
    for value in PADDING_VALUES:
        if value < minimum:
            continue
        count = int(np.count_nonzero(hu == value))
        if value > minimum and count:
            near = sum(int(np.count_nonzero(hu == neighbour)) for neighbour in (value - 1, value + 1))
            if count <= _SPIKE * near:
                continue
        if count:
            found.append((value, count))
    return tuple(found)


@IMAGE_CHECKS.register("not-finite")
def _finite(image: ImageFacts) -> str | None:
    return f"holds {image.not_finite} values that are NaN or infinite." if image.not_finite else None


def _scale(image: ImageFacts) -> str | None:
    """The code of what keeps the values from being HU; the first that holds."""
    if image.not_finite:
        return None
    if image.minimum == image.maximum:
        return "image-constant"
    if image.maximum - image.minimum <= _NARROW:
        return "image-normalised"
    if image.stored_as in ("uint8", "int8") or (image.minimum >= 0 and image.maximum <= 255):
        return "image-8bit"
    if image.minimum >= 0:
        return "image-positive"
    return "image-range" if image.maximum < _BONE_HU else None


def _range(image: ImageFacts) -> str:
    return f"{image.minimum:.6g} to {image.maximum:.6g}"


@IMAGE_CHECKS.register("image-constant")
def _constant(image: ImageFacts) -> str | None:
    return f"holds the value {image.minimum:.6g} everywhere." if _scale(image) == "image-constant" else None


@IMAGE_CHECKS.register("image-normalised")
def _normalised(image: ImageFacts) -> str | None:
    if _scale(image) != "image-normalised":
        return None
    return f"holds values of {_range(image)}, so it was normalised; HU are needed."


@IMAGE_CHECKS.register("image-8bit")
def _eight_bits(image: ImageFacts) -> str | None:
    if _scale(image) != "image-8bit":
        return None
    return f"holds 8-bit values of {_range(image)}, so it is a picture of a CT; HU are needed."


@IMAGE_CHECKS.register("image-positive")
def _positive(image: ImageFacts) -> str | None:
    if _scale(image) != "image-positive":
        return None
    return f"holds values of {_range(image)}, none below 0, so they are not HU: air has -1000 and fat -100."


@IMAGE_CHECKS.register("image-range")
def _low(image: ImageFacts) -> str | None:
    return f"holds values of {_range(image)}, none as high as bone." if _scale(image) == "image-range" else None


@IMAGE_CHECKS.register("image-rounded")
def _rounded(image: ImageFacts) -> str | None:
    if not image.rounded:
        return None
    return f"holds fractions of HU; {image.rounded} voxels were rounded to whole numbers."


@IMAGE_CHECKS.register("image-clipped")
def _clipped(image: ImageFacts) -> str | None:
    if not image.clipped:
        return None
    limits = np.iinfo(np.int16)
    return f"holds values beyond {limits.min} to {limits.max}; {image.clipped} voxels were clipped."


@IMAGE_CHECKS.register("padding")
def _padded(image: ImageFacts) -> str | None:
    if not image.padding:
        return None
    values = " and ".join(str(value) for value, _ in image.padding)
    count = sum(count for _, count in image.padding)
    done = "left as they are" if image.padding_hu is None else f"set to {image.padding_hu} HU"
    return f"is padded with {values}; {count} voxels were {done}."


@IMAGE_CHECKS.register("metal")
def _metal(image: ImageFacts) -> str | None:
    if image.metal_ml < _METAL_ML:
        return None
    return f"holds {image.metal_ml:.2f} ml above {METAL_HU} HU, as metal does (up to {image.maximum:.6g} HU)."
