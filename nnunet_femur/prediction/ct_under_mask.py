"""Checks of a predicted mask against the CT: HU in the mask, in its outermost voxels, and just outside of it.

A mask exists only after the network has run. Until then a sample of the CT is kept instead of the CT: every n-th voxel
along each axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of, is_empty
from nnunet_femur.prediction.prediction_kinds import predicted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding

_MOST_SAMPLES = 8_000_000
"""Largest number of voxels that a sample keeps, 16 MB."""

_LEAST_SAMPLES = 100
"""Least number of voxels of the mask's surface in the sample; fewer are not checked."""

_LAYER_MM = 1.0
"""Approximate thickness of the layers inside and outside of the mask's surface; at least one voxel."""

_BONE_HU, _OUTSIDE_HU = 100, -200
"""Least HU of bone with partial volume; largest HU of what is in no bone: air, gas, padding. Marrow fat is above it."""

_QUARTERS = 4
"""Parts of the bone along its longest extent. A shift along the bone is visible only at its ends."""

_LEAST_BONE = 0.55
"""Smallest share of bone in the outermost layer of each quarter.

Exact masks of synthetic CTs have 0.99 and more, masks of two real CTs 0.66 to 0.74. A shift of 20 mm leaves at most
0.42 across the bone, and 0.31 to 0.59 along it.
"""

_MOST_OUTSIDE = 0.05
"""Largest share of air in the mask; a nail's dark streaks make 0.04."""

_BESIDE = 0.75
"""Largest ratio of the median HU outside of the surface to that inside of it.

Exact masks of synthetic CTs have 0.14 to 0.50, masks of two real CTs 0.19 to 0.40; without their outermost layer, 0.8
and more.
"""


@dataclass(frozen=True, eq=False)
class CtSample:
    """Every n-th voxel of a CT.

    Attributes:
        hu_zyx: The values (z, y, x).
        steps_zyx: Distance of the samples in voxels along each axis.
        spacing_mm_zyx: Spacing of the CT.
    """

    hu_zyx: NDArray
    steps_zyx: tuple[int, int, int]
    spacing_mm_zyx: tuple[float, float, float]

    @classmethod
    def of(cls, hu_zyx: NDArray, spacing_mm_zyx: Sequence[float], *, most: int = _MOST_SAMPLES) -> CtSample:
        """Copy every n-th voxel of a CT, as densely as a number of voxels allows.

        Args:
            hu_zyx: The CT (z, y, x).
            spacing_mm_zyx: Its spacing.
            most: Largest number of voxels to keep.
        """
        steps = [1, 1, 1]
        while np.prod([-(-count // step) for count, step in zip(hu_zyx.shape, steps, strict=True)]) > most:
            # The finest axis first, so that the samples become equally dense along all axes.
            steps[int(np.argmin(np.multiply(steps, spacing_mm_zyx)))] += 1
        z, y, x = steps
        first, second, third = spacing_mm_zyx
        return cls(hu_zyx[::z, ::y, ::x].copy(), (z, y, x), (first, second, third))


@dataclass(frozen=True)
class HuUnderMask:
    """HU of a CT in a mask and at its surface.

    Attributes:
        median_hu: Median in the mask.
        surface_median_hu: Median of the outermost layer in the mask.
        beside_median_hu: Median of the first layer outside of the mask.
        surface_bone: Share of the outermost layer that is as dense as bone, 0 to 1, in the quarter of the bone where it
            is smallest.
        outside: Share of the mask below -200 HU, 0 to 1.
    """

    median_hu: float
    surface_median_hu: float
    beside_median_hu: float
    surface_bone: float
    outside: float


def hu_under_mask(ct: CtSample, mask_zyx: NDArray) -> HuUnderMask | None:
    """Return the HU of a sampled CT in a mask and at its surface; None if the sample has too few voxels of it.

    The border of the volume is not a surface of the mask.

    Args:
        ct: The sample.
        mask_zyx: The mask on the CT's grid (z, y, x), not 0 in the femur.
    """
    depth = [max(1, round(_LAYER_MM / spacing)) for spacing in ct.spacing_mm_zyx]
    box = box_of(mask_zyx, margin=max(depth))
    if is_empty(box):
        return None
    inside = mask_zyx[box] > 0
    # Indices of the sampled voxels within the box.
    picked = [
        np.arange(-each.start % step, each.stop - each.start, step)
        for each, step in zip(box, ct.steps_zyx, strict=True)
    ]
    here = inside[np.ix_(*picked)]
    near_other = np.zeros_like(here)
    for axis, count in enumerate(depth):
        for shift in (-count, count):
            moved = list(picked)
            moved[axis] = np.clip(picked[axis] + shift, 0, inside.shape[axis] - 1)
            near_other |= inside[np.ix_(*moved)] != here
    hu = ct.hu_zyx[
        tuple(
            slice(-(-each.start // step), -(-each.start // step) + len(indices))
            for each, step, indices in zip(box, ct.steps_zyx, picked, strict=True)
        )
    ]
    at_surface = here & near_other
    values, beside = hu[here], hu[~here & near_other]
    if min(int(np.count_nonzero(at_surface)), len(beside)) < _LEAST_SAMPLES:
        return None
    return HuUnderMask(
        float(np.median(values)),
        float(np.median(hu[at_surface])),
        float(np.median(beside)),
        _least_bone(hu, at_surface, ct),
        float((values < _OUTSIDE_HU).mean()),
    )


def _least_bone(hu_zyx: NDArray, at_surface: NDArray[np.bool_], ct: CtSample) -> float:
    """Return the share of bone in the quarter of a surface with the least of it."""
    indices = np.nonzero(at_surface)
    extent_mm = [
        np.ptp(index) * step * spacing
        for index, step, spacing in zip(indices, ct.steps_zyx, ct.spacing_mm_zyx, strict=True)
    ]
    along = indices[int(np.argmax(extent_mm))]
    quarter = (along - along.min()) * _QUARTERS // (np.ptp(along) + 1)
    count = np.bincount(quarter, minlength=_QUARTERS)
    bone = np.bincount(quarter, hu_zyx[indices] > _BONE_HU, minlength=_QUARTERS)
    enough = count >= _LEAST_SAMPLES / _QUARTERS
    return float((bone[enough] / count[enough]).min())


def check_hu(ct: CtSample, mask_zyx: NDArray, case: str) -> list[Finding]:
    """Return findings about a mask that the HU under it contradict.

    Args:
        ct: A sample of the CT in HU.
        mask_zyx: The mask on the CT's grid (z, y, x), not 0 in the femur.
        case: Name of the case.
    """
    found = hu_under_mask(ct, mask_zyx)
    if found is None:
        return []
    findings = []
    if found.outside > _MOST_OUTSIDE:
        problem = f"{found.outside:.0%} of the mask is below {_OUTSIDE_HU} HU, where no bone is."
        findings.append(predicted("air-inside", case, problem))
    if found.surface_bone < _LEAST_BONE:
        problem = (
            f"only {found.surface_bone:.0%} of the outermost voxels in a quarter of the mask are bone, above "
            f"{_BONE_HU} HU."
        )
        findings.append(predicted("surface-off-bone", case, problem))
    elif found.beside_median_hu > max(_BONE_HU, _BESIDE * found.surface_median_hu):
        problem = (
            f"bone continues outside of the mask: median {found.beside_median_hu:.0f} HU just outside, "
            f"{found.surface_median_hu:.0f} HU just inside."
        )
        findings.append(predicted("bone-beside", case, problem))
    return findings
