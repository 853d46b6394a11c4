"""Check all femurs of a predicted mask: their pieces, completeness, shape, likeness, and the HU under them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.prediction.anatomy_checks import (
    check_anatomy,
    check_completeness,
    check_pair,
    check_protrusions,
    has_end,
)
from nnunet_femur.prediction.ct_under_mask import CtSample, check_hu
from nnunet_femur.prediction.postprocessing import Plausibility, check_plausibility
from nnunet_femur.prediction.prediction_kinds import not_measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.measurement.femur_measurements import FemurMeasurements

COARSEST_MM = 6.0
"""Largest spacing at which the shape is checked; in coarser voxels a femur has neither a neck nor condyles."""

_SHARP_MM = 3.5
"""Largest spacing at which protrusions are reported; thicker slices lengthen the condyles of correct masks, too."""


@dataclass(frozen=True)
class _Part:
    """One femur of known side, or the whole mask."""

    name: str
    mask_zyx: NDArray
    femurs: Sequence[FemurMeasurements]


def check_femurs(
    mask_zyx: NDArray,
    geometry: Geometry,
    femurs: Sequence[FemurMeasurements],
    *,
    case: str,
    sides_zyx: Mapping[str, NDArray] | None = None,
    ct: CtSample | None = None,
) -> tuple[Plausibility, tuple[Finding, ...]]:
    """Check a mask and the measurements of its femurs; an unexpected error of a check is a finding.

    Args:
        mask_zyx: The mask (z, y, x), not 0 in the femur.
        geometry: Geometry of its voxels.
        femurs: Measurements of each femur in the mask.
        case: Name of the case.
        sides_zyx: The left and the right femur by side, if both are known and together are the mask. Each is checked by
            itself then.
        ct: A sample of the CT in HU, on the grid of the mask; None if there is no CT.

    Returns:
        Measures of the whole mask, and all findings.
    """
    try:
        return _checked(mask_zyx, geometry, femurs, case, sides_zyx, ct)
    except Exception as error:  # noqa: BLE001 - a mask exists, and must not be lost
        whole = check_plausibility(mask_zyx, geometry, case=case)
        return whole, (*whole.findings, not_measured(error, case))


def _checked(
    mask_zyx: NDArray,
    geometry: Geometry,
    femurs: Sequence[FemurMeasurements],
    case: str,
    sides_zyx: Mapping[str, NDArray] | None,
    ct: CtSample | None,
) -> tuple[Plausibility, tuple[Finding, ...]]:
    is_fine = max(geometry.spacing_mm_xyz) <= COARSEST_MM
    count = sum(has_end(femur) for femur in femurs) if is_fine else 0
    whole = check_plausibility(mask_zyx, geometry, case=case, femurs=max(1, count))
    if not whole.pieces:
        return whole, whole.findings
    findings: list[Finding] = []
    for part in _parts(mask_zyx, femurs, sides_zyx):
        checked = whole if part.mask_zyx is mask_zyx else check_plausibility(part.mask_zyx, geometry, case=case)
        found = list(checked.findings)
        found += _shape(part, checked, geometry) if is_fine else []
        found += check_hu(ct, part.mask_zyx, case) if ct is not None else []
        start = f"{part.name}: " if part.name else ""
        findings += [replace(each, problem=f"{start}{each.problem}") for each in found]
    if is_fine and count == len(femurs) == 2:
        findings += [each for pair in combinations(femurs, 2) for each in check_pair(*pair)]
    return whole, tuple(findings)


def _parts(
    mask_zyx: NDArray, femurs: Sequence[FemurMeasurements], sides_zyx: Mapping[str, NDArray] | None
) -> list[_Part]:
    if not sides_zyx or len(sides_zyx) < 2:
        return [_Part("", mask_zyx, femurs)]
    return [
        _Part(side, voxels, [femur for femur in femurs if femur.side == side]) for side, voxels in sides_zyx.items()
    ]


def _shape(part: _Part, checked: Plausibility, geometry: Geometry) -> list[Finding]:
    extent_mm = max(
        (each.stop - each.start) * spacing
        for each, spacing in zip(box_of(part.mask_zyx), geometry.spacing_mm_zyx, strict=True)
    )
    findings: list[Finding] = []
    for femur in part.femurs:
        findings += check_completeness(femur, checked.cut, extent_mm)
        findings += check_anatomy(femur)
        findings += check_protrusions(femur) if max(geometry.spacing_mm_xyz) <= _SHARP_MM else []
    return findings
