"""Check the values of a CT: the scale, which must be HU, and padding, metal and windows.

`convert`, `predict` and `baseline` share these checks. The scale is judged by the measured values, without padding:
air has -1000 HU, fat about -100, muscle about 50, and bone more than 200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.image_facts import JUDGED, METAL_HU, WRAPPED_BELOW_HU, ImageFacts, hounsfield
from nnunet_femur.imaging.padding import is_cut
from nnunet_femur.kinds import Checks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.padding import Histogram

__all__ = ["IMAGE_CHECKS", "hounsfield", "image_findings"]

IMAGE_CHECKS = Checks()
"""Checks of the values of a CT."""

_METAL_ML = 0.05
"""Least volume that is reported as metal."""

_BONE_HU = 300
"""Value that cortical bone exceeds by far in every CT of a femur."""

_NARROW = 50
"""Largest range of the values of a normalised volume; that of a CT is more than a thousand."""

_SOFT_HU = (-200, 150)
"""Range of fat, marrow and muscle without contrast medium."""

_BODY_HU = -300
"""Value between the body, which is above it, and air and lungs, which are below."""

_LEAST_SOFT = 0.25
"""Least part of the body that is fat, marrow or muscle, even in a CT that is cropped to the bone."""

_FAT_HU = (-140, -60)
"""Range of fat."""

_LEAST_AIR, _LEAST_FAT = 0.005, 0.02
"""Parts of the voxels that are air and fat; at least one of them is larger in a CT."""

_BACKGROUND_HU = 20
"""Largest distance from 0 of the background of other modalities; muscle is farther away."""

_MOST_BONE = 0.28
"""Largest part of bone, even in a CT that is cropped to the bone."""

_AIR_OFF_HU = 60
"""Largest difference of air from -1000 HU in a calibrated scanner."""

_LEAST_WRAPPED = 25
"""Least number of voxels that have probably wrapped around; noise and dark streaks beside metal cause fewer."""


def image_findings(values_zyx: NDArray, file: Path | str, *, voxel_volume_ml: float) -> list[Finding]:
    """Return the findings about the values of a CT, for commands that use the values unchanged.

    Args:
        values_zyx: The values as read.
        file: The CT, as the findings name it.
        voxel_volume_ml: Volume of a voxel in millilitres.

    Example:
        >>> normalised = np.linspace(0, 1, 27000).reshape(30, 30, 30)
        >>> [finding.code for finding in image_findings(normalised, "ct.nrrd", voxel_volume_ml=0.001)]
        ['image-normalised', 'image-rounded']
    """
    _, facts = hounsfield(values_zyx, padding_hu=None, voxel_volume_ml=voxel_volume_ml)
    return IMAGE_CHECKS.run(facts, file)


@IMAGE_CHECKS.register("not-finite")
def _finite(image: ImageFacts) -> str | None:
    return f"contains {image.not_finite} values that are NaN or infinite." if image.not_finite else None


def _scale_problem(image: ImageFacts) -> str | None:
    """Return the code of the first reason for which the values are not HU; None for HU."""
    low, high = image.measured.limits
    holds = {
        "not-finite": image.not_finite > 0,
        "image-constant": image.minimum == image.maximum or not image.measured.total,
        "image-normalised": high - low <= _NARROW,
        "image-8bit": image.stored_as in ("uint8", "int8") or (low >= 0 and high <= 255),
        "image-positive": low >= 0 or _is_raw(image.measured) or _is_positive(image.measured),
        "image-below-air": _is_shifted_twice(image.measured),
        "image-range": high < _BONE_HU,
    }
    return next((code for code, there in holds.items() if there), None)


def _is_positive(values: Histogram) -> bool:
    """Return True for values without air and fat, apart from a few voxels that are below 0 by interpolation."""
    return values.total >= JUDGED and values.part(-(1 << 15), -50) < 2e-4


def _is_raw(values: Histogram) -> bool:
    """Return True for HU with 1000 or 1024 added: most values are those of shifted fat and muscle."""
    if values.total < JUDGED or values.part(-(1 << 15), -250) > 0.02:
        return False
    tissue = values.part(800, 1250)
    return tissue > 0.25 and tissue > 2 * values.part(300, 800) and tissue > values.part(1250, 1 << 15)


def _is_shifted_twice(values: Histogram) -> bool:
    """Return True for HU with 1000 or 1024 subtracted: many values are below air, and few are soft tissue."""
    if values.total < JUDGED or values.part(-(1 << 15), -1150) < 0.05:
        return False
    return values.between(*_SOFT_HU) < 0.05 * values.between(-1150, 1 << 15)


def _limits(image: ImageFacts) -> str:
    """Return the range of the measured values as text; without padding, the range of the values as read."""
    low, high = image.measured.limits
    if image.padding.counts:
        return f"{low} to {high} without its padding"
    return f"{image.minimum:.6g} to {image.maximum:.6g}"


def _scale_check(code: str) -> Callable[[Callable[[ImageFacts], str]], Callable[[ImageFacts], str]]:
    """Return a decorator that registers the text of a problem, for CTs in which it is the first one of the scale."""

    def add(describe: Callable[[ImageFacts], str]) -> Callable[[ImageFacts], str]:
        """Register a text and return it unchanged."""
        IMAGE_CHECKS.register(code)(lambda image: describe(image) if _scale_problem(image) == code else None)
        return describe

    return add


@_scale_check("image-constant")
def _constant(image: ImageFacts) -> str:
    return f"has the value {image.maximum:.6g} everywhere."


@_scale_check("image-normalised")
def _normalised(image: ImageFacts) -> str:
    return f"contains values of {_limits(image)}, so it was normalised; expected HU."


@_scale_check("image-8bit")
def _eight_bits(image: ImageFacts) -> str:
    return f"contains 8-bit values of {_limits(image)}, so it is a picture of a CT; expected HU."


@_scale_check("image-positive")
def _positive(image: ImageFacts) -> str:
    if _is_raw(image.measured):
        tissue = _mode(image.measured, 700, 1300)
        return (
            f"contains values of {_limits(image)}, most of them near {tissue}, so they are raw values instead of HU; "
            "fat has -100 HU and muscle 50."
        )
    return (
        f"contains values of {_limits(image)}, without air (-1000 HU) or fat (-100 HU), so they are not HU: raw values "
        "of a CT, or another modality."
    )


@_scale_check("image-below-air")
def _below_air(image: ImageFacts) -> str:
    part = image.measured.part(-(1 << 15), -1150)
    return (
        f"has {part:.0%} of its values far below air (-1000 HU) and few values of fat or muscle, so an offset of -1000 "
        "or -1024 was applied twice."
    )


@_scale_check("image-range")
def _low(image: ImageFacts) -> str:
    return f"contains values of {_limits(image)}, none as high as bone."


@IMAGE_CHECKS.register("image-windowed")
def _windowed(image: ImageFacts) -> str | None:
    if _scale_problem(image) not in (None, "image-range"):
        return None
    values = image.measured
    low, high = values.limits
    # Usual CTs end at -1000 or -1024, and metal has the scanner's largest value.
    cut_low = low > -950 and _is_end_of_window(values, low, least=max(20, 0.002 * values.total))
    cut_high = high < 2000 and _is_end_of_window(values, high, least=max(20, 2e-4 * values.total))
    if cut_low and cut_high:
        return f"was clipped to a window of {low} to {high} HU."
    if cut_low:
        return f"was clipped at {low} HU: {values.at(low) / values.total:.0%} of its voxels have this value, none less."
    return f"was clipped at {high} HU: many voxels have this value, none more." if cut_high else None


def _is_end_of_window(values: Histogram, end: int, *, least: float) -> bool:
    near = values.between(end - 10, end + 11) - values.at(end)
    return values.at(end) >= least and values.at(end) > near and is_cut(values, end)


@IMAGE_CHECKS.register("image-air")
def _air(image: ImageFacts) -> str | None:
    if not _is_judged(image):
        return None
    values = image.measured
    air = values.between(-1300, -400)
    if air < 0.05 * values.total:
        return None
    peak = _mode(values, -1300, -400)
    # The wide peak of the lungs is not that of air.
    if abs(peak + 1000) <= _AIR_OFF_HU or values.between(peak - 40, peak + 41) < 0.6 * air:
        return None
    return f"has air at {peak} HU instead of -1000, so its scale may be shifted, as in cone-beam CT."


@IMAGE_CHECKS.register("image-tissue")
def _tissue(image: ImageFacts) -> str | None:
    if not _is_judged(image):
        return None
    values = image.measured
    body = values.between(_BODY_HU, 1 << 15)
    soft = values.between(*_SOFT_HU)
    if values.part(-(1 << 15), _BODY_HU) < _LEAST_AIR and values.part(*_FAT_HU) < _LEAST_FAT:
        background = abs(_mode(values, -1000, 2000)) < _BACKGROUND_HU
        if background or values.part(_BONE_HU, 1 << 15) > _MOST_BONE:
            return "contains neither air nor fat, like other modalities."
    if soft >= _LEAST_SOFT * body:
        return None
    return (
        f"has only {soft / max(1, body):.0%} of its values above {_BODY_HU} HU in the range of fat and muscle "
        f"({_SOFT_HU[0]} to {_SOFT_HU[1]} HU)."
    )


def _is_judged(image: ImageFacts) -> bool:
    return _scale_problem(image) in (None, "image-range") and image.measured.total >= JUDGED


def _mode(values: Histogram, low: int, high: int) -> int:
    """Return the most frequent value of a smoothed histogram."""
    return low + int(np.argmax(values.smoothed(low, high)))


@IMAGE_CHECKS.register("image-rounded")
def _rounded(image: ImageFacts) -> str | None:
    if not image.rounded:
        return None
    return f"contains fractions of HU; {image.rounded} voxels were rounded to whole numbers."


@IMAGE_CHECKS.register("image-clipped")
def _clipped(image: ImageFacts) -> str | None:
    if not image.clipped:
        return None
    limits = np.iinfo(np.int16)
    return f"contains {image.clipped} values outside {limits.min} to {limits.max}, the range of 16 bits."


@IMAGE_CHECKS.register("padding")
def _padded(image: ImageFacts) -> str | None:
    if not image.padding.counts:
        return None
    values = " and ".join(str(value) for value in image.padding.values)
    count = sum(count for _, count in image.padding.counts)
    done = "kept" if image.padding_hu is None else f"set to {image.padding_hu} HU"
    return f"is padded with {values}; {count} voxels were {done}."


@IMAGE_CHECKS.register("metal")
def _metal(image: ImageFacts) -> str | None:
    if image.metal_ml < _METAL_ML:
        return None
    return f"contains {image.metal_ml:.2f} ml above {METAL_HU} HU, probably metal (up to {image.maximum:.6g} HU)."


@IMAGE_CHECKS.register("image-wrapped")
def _wrapped_around(image: ImageFacts) -> str | None:
    if image.wrapped < _LEAST_WRAPPED:
        return None
    return (
        f"has {image.wrapped} voxels below {WRAPPED_BELOW_HU} HU within bone or metal; values beyond 12 bits (3071 HU) "
        "have probably wrapped around to -1024."
    )
