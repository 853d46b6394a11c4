"""Measure a femur in its CT: HU and density of its parts, cortex along the shaft, and metal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.findings import Severity
from nnunet_femur.imaging.boxes import box_of, is_empty, start_of
from nnunet_femur.imaging.hounsfield import IMAGE_CHECKS
from nnunet_femur.imaging.image_facts import METAL_HU
from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.density.bone_parts import heights_mm, parts_of, shaft_levels
from nnunet_femur.measurement.density.cortex import SLAB_MM, CorticalSection, cortical_section
from nnunet_femur.measurement.density.ct_quantities import (
    CT_QUANTITIES,
    LEVELS_PERCENT,
    LEVELS_R,
    METAL_QUANTITY,
    level_name,
    section_keys,
    section_values,
)
from nnunet_femur.measurement.density.density import density_values, outermost
from nnunet_femur.measurement.density.unmeasured import MeasuredCt, find_unmeasured
from nnunet_femur.measurement.femur_measurements import Missing
from nnunet_femur.measurement.landmarks import Anatomy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.measurement.density.calibration import Calibration
    from nnunet_femur.measurement.femur_measurements import FemurMeasurements
    from nnunet_femur.measurement.landmarks import Point


_OWN_FINDINGS = ("metal", "padding")
"""Findings about the whole CT, which those about the mask replace."""

_LEAST_CLIPPED, _LEAST_CLIPPED_SHARE = 20, 0.002
"""Least number and share of the bone's voxels with its largest value, in a CT that was clipped to a window."""


def measure_ct(
    ct_hu_zyx: NDArray,
    mask_zyx: NDArray,
    geometry: Geometry,
    measurements: FemurMeasurements,
    *,
    calibration: Calibration | None = None,
) -> tuple[dict[str, float], dict[str, Missing], tuple[Finding, ...]]:
    """Return HU, density and cortex of one femur.

    Args:
        ct_hu_zyx: CT in HU, int16 or floating point; padding and NaN are recognised.
        mask_zyx: Mask of this femur alone on the CT's grid, other than 0 in the bone.
        geometry: Geometry of both, in any direction.
        measurements: Measurements of the mask; their landmarks define the parts.
        calibration: Calibration to mg/cm3 of K2HPO4; None without one.

    Returns:
        Value of each quantity of :data:`CT_QUANTITIES` that could be measured, the reason for each of the others, both
        in the order of that table, and findings: warnings about the values of the CT, and metal and padding in the
        mask. All are missing if the values are not HU, or were clipped below those of bone.

    Raises:
        InputError: CT, mask and geometry differ in shape ("grid-differs").
    """
    if ct_hu_zyx.shape != mask_zyx.shape or mask_zyx.shape != tuple(geometry.shape_zyx):
        msg = (
            f"{measurements.case}: CT and mask must have the same grid, got {ct_hu_zyx.shape}, {mask_zyx.shape} and "
            f"{tuple(geometry.shape_zyx)} voxels (z, y, x)."
        )
        raise InputError(msg, code="grid-differs")
    mask = np.ascontiguousarray(mask_zyx != 0)
    if is_empty(box_of(mask)):
        return _nothing(Missing("empty-mask", "No voxel of the mask is femur."), ())
    ct = MeasuredCt.of(ct_hu_zyx, geometry)
    checked = tuple(each for each in IMAGE_CHECKS.run(ct.facts, measurements.case) if each.code not in _OWN_FINDINGS)
    errors = tuple(each for each in checked if each.severity is Severity.ERROR)
    if errors:
        return _nothing(Missing(errors[0].code, f"The CT {errors[0].problem}"), errors)
    unmeasured = find_unmeasured(ct, mask, geometry, measurements.case)
    findings = (*(each for each in checked if each.severity is Severity.WARNING), *unmeasured.findings)
    part = mask[unmeasured.box]
    hu = ct.hu_zyx[unmeasured.box][part]
    excluded = {"metal": unmeasured.metal_zyx[part], "padding": unmeasured.blank_zyx[part]}
    clipped = _clipped(hu[~(excluded["metal"] | excluded["padding"])])
    if clipped is not None and any(each.code == clipped.code for each in findings):
        return _nothing(clipped, findings)
    anatomy = measurements.anatomy or Anatomy(Surface(np.empty((0, 3)), np.empty((0, 3), np.int64)))
    points_mm = _centers_mm(part, unmeasured.box, geometry)
    parts = parts_of(points_mm, anatomy, measurements.missing)
    values, missing = density_values(
        hu, outermost(part)[part], excluded, parts, voxel_ml=geometry.voxel_volume_ml, calibration=calibration
    )
    values[METAL_QUANTITY.key] = unmeasured.metal_ml
    levels = _levels(anatomy, points_mm, measurements.missing)
    of_cortex, without_cortex = _cortex_values(ct.hu_zyx, mask, geometry, points_mm, excluded, levels)
    values |= of_cortex
    missing |= without_cortex
    return (
        {key: values[key] for key in CT_QUANTITIES if key in values},
        {key: missing[key] for key in CT_QUANTITIES if key in missing},
        findings,
    )


def _nothing(
    reason: Missing, findings: tuple[Finding, ...]
) -> tuple[dict[str, float], dict[str, Missing], tuple[Finding, ...]]:
    """Return a result in which every quantity is missing for the same reason."""
    return {}, dict.fromkeys(CT_QUANTITIES, reason), findings


def _clipped(hu: NDArray) -> Missing | None:
    """Return the reason for which a bone whose values end at one value cannot be measured; None for other bones."""
    if not hu.size or hu.max() > METAL_HU:
        return None
    count = int(np.count_nonzero(hu == hu.max()))
    if count < max(_LEAST_CLIPPED, _LEAST_CLIPPED_SHARE * hu.size):
        return None
    text = f"The CT was clipped: {count / hu.size:.1%} of the bone's voxels have its largest value, {hu.max():g} HU."
    return Missing("image-windowed", text)


def _centers_mm(part_zyx: NDArray[np.bool_], box: Box, geometry: Geometry) -> NDArray[np.float64]:
    """Return the centres of the voxels of a mask that is given in a box, in LPS mm, shape (n, 3)."""
    index_xyz = np.stack(np.nonzero(part_zyx)[::-1]).astype(np.float64) + np.array(start_of(box)[::-1])[:, None]
    return np.asarray((geometry.steps_mm @ index_xyz).T + geometry.origin_mm_xyz)


@dataclass(frozen=True)
class _Level:
    """A cross-section: its name in keys, its axis, and the height of each voxel above it, or the reason without it."""

    name: str
    axis: Point | None = None
    heights_mm: NDArray[np.float64] | None = None
    reason: Missing | None = None


def _cortex_values(
    ct_hu_zyx: NDArray,
    mask_zyx: NDArray[np.bool_],
    geometry: Geometry,
    points_mm: NDArray[np.float64],
    excluded: Mapping[str, NDArray[np.bool_]],
    levels: list[_Level],
) -> tuple[dict[str, float], dict[str, Missing]]:
    """Return the cortex at all levels."""
    values: dict[str, float] = {}
    missing: dict[str, Missing] = {}
    for level in levels:
        found = level.reason
        if level.axis is not None and level.heights_mm is not None:
            center = _center(level.axis, level.heights_mm, points_mm, excluded, max(geometry.spacing_mm_xyz))
            found = center if isinstance(center, Missing) else None
            if not isinstance(center, Missing):
                section = cortical_section(ct_hu_zyx, mask_zyx, geometry, center, level.axis)
                if isinstance(section, CorticalSection):
                    values |= section_values(section, level.name)
                    continue
                found = section
        missing |= dict.fromkeys(section_keys(level.name), found or _OUTSIDE)
    return values, missing


def _levels(anatomy: Anatomy, points_mm: NDArray[np.float64], reasons: Mapping[str, Missing]) -> list[_Level]:
    """Return all levels, those in % of the length first."""
    found = []
    whole = shaft_levels(anatomy)
    depths = whole.depths_mm(points_mm) if whole is not None else points_mm[:0, 0]
    for percent in LEVELS_PERCENT:
        name = level_name(percent, in_radii=False)
        if whole is None:
            found.append(_Level(name, reason=reasons.get("length_mechanical_mm", _NO_LENGTH)))
        else:
            found.append(_Level(name, whole.axis.direction, percent / 100 * whole.length_mm - depths))
    head, axis = anatomy.head, anatomy.proximal_shaft
    for radii in LEVELS_R:
        name = level_name(radii, in_radii=True)
        if head is None or axis is None:
            found.append(_Level(name, reason=reasons.get("proximal_shaft_axis_lps", _NO_SHAFT)))
        else:
            level_mm = head.center_mm - radii * head.radius_mm * axis.direction
            found.append(_Level(name, axis.direction, heights_mm(points_mm, axis.direction, level_mm)))
    return found


def _center(
    axis: Point,
    heights_mm: NDArray[np.float64],
    points_mm: NDArray[np.float64],
    excluded: Mapping[str, NDArray[np.bool_]],
    voxel_mm: float,
) -> Point | Missing:
    """Return the middle of the bone at a level, or the reason for which the section cannot be measured."""
    near = np.abs(heights_mm) <= SLAB_MM / 2 + voxel_mm
    if not near.any() or heights_mm.min() > -SLAB_MM / 2 or heights_mm.max() < SLAB_MM / 2:
        return _OUTSIDE
    for name, lost in excluded.items():
        if np.any(near & lost):
            return Missing(name, f"This cross-section contains {name}, or is beside it.")
    return np.asarray(points_mm[near].mean(0) - heights_mm[near].mean() * axis)


_OUTSIDE = Missing("outside-mask", "The mask does not reach this level.")
_NO_LENGTH = Missing("distal-end-missing", "The mask does not contain the whole bone, whose length is needed.")
_NO_SHAFT = Missing("head-missing", "The mask does not contain the head and the shaft below it.")
