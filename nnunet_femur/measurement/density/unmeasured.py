"""Voxels of a CT that contain no measured bone: metal with its margin, padding, and values that are not numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.image_facts import METAL_HU, ImageFacts, hounsfield
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.imaging.geometry import Geometry

LEAST_METAL_ML = 0.05
"""Least volume of a connected piece above METAL_HU that counts as metal; single bright voxels are noise."""

METAL_MARGIN_MM = 5.0
METAL_MARGIN_VOXELS = 3
"""Distance from metal, in mm and in voxels along the coarsest axis, within which blur and streaks are strongest.

The larger one is excluded. At a nail in a CT of 3 mm, the standard deviation in bone fell from 490 HU at 4 mm to 180 HU
at 10 mm.
"""

_BLANK_HU = -1024
"""Value that replaces those that are not numbers."""

NEAR_MM = 15.0
"""Distance from the box of the mask within which metal is searched."""


@dataclass(frozen=True, eq=False)
class MeasuredCt:
    """A CT without values that are not numbers, with the facts about its values.

    Attributes:
        hu_zyx: HU; -1024 where the value was not a number.
        not_finite_zyx: Voxels whose value was not a number; None if there are none.
        facts: Range, histogram and padding.
    """

    hu_zyx: NDArray
    not_finite_zyx: NDArray[np.bool_] | None
    facts: ImageFacts

    @classmethod
    def of(cls, values_zyx: NDArray, geometry: Geometry) -> MeasuredCt:
        """Return the CT of values as read: integers or floating point."""
        lost = None
        if not np.issubdtype(values_zyx.dtype, np.integer):
            finite = np.isfinite(values_zyx)
            if not finite.all():
                lost = ~finite
                values_zyx = np.where(finite, values_zyx, _BLANK_HU)
        _, facts = hounsfield(values_zyx, padding_hu=None, voxel_volume_ml=geometry.voxel_volume_ml)
        return cls(values_zyx, lost, facts)

    def blank(self, box: Box) -> NDArray[np.bool_]:
        """Return the voxels of a box without a measured value: padding, and values that are not numbers."""
        part, padding = self.hu_zyx[box], self.facts.padding.of(box)
        blank = np.isin(part, padding.everywhere) if padding.everywhere else np.zeros(part.shape, bool)
        if padding.region_zyx is not None:
            blank |= padding.region_zyx
        return blank if self.not_finite_zyx is None else blank | self.not_finite_zyx[box]


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


def find_unmeasured(ct: MeasuredCt, mask_zyx: NDArray[np.bool_], geometry: Geometry, case: str) -> Unmeasured:
    """Return the voxels near a mask that contain no measured bone.

    Args:
        ct: The CT, with its padding.
        mask_zyx: Mask of the femur on the same grid; not empty.
        geometry: Geometry of both.
        case: Name of the case, for findings.

    Example:
        >>> from nnunet_femur.imaging import Geometry
        >>> hu = np.random.default_rng(0).integers(100, 1000, (20, 20, 20), np.int16)
        >>> hu[9:11, 9:11, :] = 3071
        >>> grid = Geometry((20, 20, 20), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> found = find_unmeasured(MeasuredCt.of(hu, grid), np.ones(hu.shape, bool), grid, "L1")
        >>> round(found.metal_ml, 3), [each.code for each in found.findings]
        (0.08, ['metal'])
    """
    spacing = np.asarray(geometry.spacing_mm_zyx)
    margin = int(np.ceil(NEAR_MM / spacing.min()))
    box = box_of(mask_zyx, margin=margin)
    mask, blank = mask_zyx[box], ct.blank(box)
    metal, metal_ml = _metal((ct.hu_zyx[box] > METAL_HU) & ~blank, spacing)
    margin_mm = max(METAL_MARGIN_MM, METAL_MARGIN_VOXELS * float(spacing.max()))
    near = _within(metal, margin_mm, spacing)
    findings = []
    lost_metal, lost_blank, whole = (int(np.count_nonzero(each)) for each in (near & mask, blank & mask, mask))
    if lost_metal:
        problem = (
            f"contains {metal_ml:.2f} ml of metal above {METAL_HU} HU near the femur; "
            f"{lost_metal * geometry.voxel_volume_ml:.1f} ml ({lost_metal / whole:.1%}) of the mask within "
            f"{margin_mm:g} mm of it were excluded from HU, density and cortex."
        )
        findings.append(finding("metal", case, problem, "Streaks reach farther: check the values of parts beside it."))
    if lost_blank:
        problem = f"covers {lost_blank} voxels without a measured value ({lost_blank / whole:.1%}); they were excluded."
        findings.append(finding("mask-padding", case, problem))
    return Unmeasured(box, near, blank, metal_ml, tuple(findings))


def _metal(bright: NDArray[np.bool_], spacing: NDArray[np.float64]) -> tuple[NDArray[np.bool_], float]:
    """Return connected pieces of sufficient volume, and their volume in ml."""
    import scipy.ndimage

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
