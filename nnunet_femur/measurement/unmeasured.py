"""Voxels of a CT that contain no measured bone: metal with its margin, padding, and values that are not numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.image_facts import METAL_HU
from nnunet_femur.imaging.padding import Histogram, find_padding
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.boxes import Box

LEAST_METAL_ML = 0.05
"""Least volume of a connected piece above METAL_HU that counts as metal; single bright voxels are noise."""

METAL_MARGIN_MM = 5.0
METAL_MARGIN_VOXELS = 3
"""Distance from metal, in mm and in voxels along the coarsest axis, within which blur and streaks change the values most.

The larger one is excluded. At a nail in a CT of 3 mm, the standard deviation in bone fell from 490 HU at 4 mm to 180 HU
at 10 mm.
"""

_NEAR_MM = 15.0
"""Distance from the box of the mask within which metal is searched."""


@dataclass(frozen=True, eq=False)
class Unmeasured:
    """Voxels that are excluded from all values, in a box around the mask.

    Attributes:
        box: The box in the volume.
        metal_zyx: Metal and its margin, in the box.
        blank_zyx: Padding and values that are not numbers, in the box.
        metal_ml: Volume of the metal in the box in ml, without its margin.
        findings: Findings about the excluded voxels of the mask.
    """

    box: Box
    metal_zyx: NDArray[np.bool_]
    blank_zyx: NDArray[np.bool_]
    metal_ml: float
    findings: tuple[Finding, ...] = ()

    @property
    def excluded_zyx(self) -> NDArray[np.bool_]:
        """All excluded voxels, in the box."""
        return self.metal_zyx | self.blank_zyx


def find_unmeasured(
    ct_hu_zyx: NDArray, mask_zyx: NDArray[np.bool_], spacing_mm_zyx: tuple[float, float, float], case: str
) -> Unmeasured:
    """Return the voxels near a mask that contain no measured bone.

    Args:
        ct_hu_zyx: CT in HU; integers, or floating point with NaN where nothing was measured.
        mask_zyx: Mask of the femur on the same grid; not empty.
        spacing_mm_zyx: Distance between voxel centres in mm.
        case: Name of the case, for findings.

    Example:
        >>> ct = np.full((20, 20, 20), 300, np.int16)
        >>> ct[9:11, 9:11, :] = 3071
        >>> found = find_unmeasured(ct, np.ones(ct.shape, bool), (1.0, 1.0, 1.0), "L1")
        >>> round(found.metal_ml, 3), [each.code for each in found.findings]
        (0.08, ['metal'])
    """
    spacing = np.asarray(spacing_mm_zyx)
    margin = int(np.ceil(_NEAR_MM / spacing.min()))
    box = box_of(mask_zyx, margin=margin)
    part, mask = ct_hu_zyx[box], mask_zyx[box]
    blank = _blank(ct_hu_zyx, box)
    metal, metal_ml = _metal(np.where(blank, -1024, part) if blank.any() else part, spacing)
    margin_mm = max(METAL_MARGIN_MM, METAL_MARGIN_VOXELS * float(spacing.max()))
    near = _within(metal, margin_mm, spacing)
    voxel_ml = float(spacing.prod()) / 1000
    findings = []
    lost_metal, lost_blank, whole = (int(np.count_nonzero(each)) for each in (near & mask, blank & mask, mask))
    if lost_metal:
        problem = (
            f"contains {metal_ml:.2f} ml of metal above {METAL_HU} HU near the femur; {lost_metal * voxel_ml:.1f} ml "
            f"({lost_metal / whole:.1%}) of the mask within {margin_mm:g} mm of it were excluded from HU, "
            "density and cortex."
        )
        findings.append(finding("metal", case, problem, "Streaks reach farther: check the values of parts beside it."))
    if lost_blank:
        problem = f"covers {lost_blank} voxels without a measured value ({lost_blank / whole:.1%}); they were excluded."
        findings.append(finding("mask-padding", case, problem))
    return Unmeasured(box, near, blank, metal_ml, tuple(findings))


def _blank(ct_hu_zyx: NDArray, box: Box) -> NDArray[np.bool_]:
    """Return padding and values that are not numbers within a box."""
    part = ct_hu_zyx[box]
    if np.issubdtype(ct_hu_zyx.dtype, np.integer):
        whole, blank = ct_hu_zyx, np.zeros(part.shape, bool)
    else:
        finite = np.isfinite(ct_hu_zyx)
        blank = ~finite[box]
        whole = np.where(finite, ct_hu_zyx, 0)
    limits = np.iinfo(np.int16)
    hu = whole if whole.dtype == np.int16 else np.clip(np.rint(whole), limits.min, limits.max).astype(np.int16)
    padding = find_padding(hu, Histogram.of(hu), float(hu.min()))
    for value in padding.everywhere:
        blank |= hu[box] == value
    if padding.region_zyx is not None:
        blank |= padding.region_zyx[box]
    return blank


def _metal(hu: NDArray, spacing: NDArray[np.float64]) -> tuple[NDArray[np.bool_], float]:
    """Return connected pieces of metal of sufficient volume, and their volume in ml."""
    import scipy.ndimage

    bright = hu > METAL_HU
    if not bright.any():
        return bright, 0.0
    labels, _ = scipy.ndimage.label(bright, np.ones((3, 3, 3), bool))
    volumes_ml = np.bincount(labels.ravel()) * spacing.prod() / 1000
    kept = volumes_ml >= LEAST_METAL_ML
    kept[0] = False
    return kept[labels], float(volumes_ml[kept].sum())


def _within(there: NDArray[np.bool_], distance_mm: float, spacing: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the voxels within a distance of some voxels."""
    import scipy.ndimage

    if not there.any():
        return there
    box = box_of(there, margin=int(np.ceil(distance_mm / spacing.min())))
    near = np.zeros_like(there)
    near[box] = scipy.ndimage.distance_transform_edt(~there[box], sampling=spacing) <= distance_mm
    return near
