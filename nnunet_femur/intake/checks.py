"""Check what the headers of a pair tell, before any voxel is read or anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from nnunet_femur.intake.findings import Finding, Severity
from nnunet_femur.volumes import AxisOrder, VolumeError, read_geometry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.intake.cases import Case
    from nnunet_femur.intake.options import IntakeOptions
    from nnunet_femur.volumes import Geometry

T = TypeVar("T")

_ROUNDING = 1e-6
"""Differences below this (mm, cosines) come from arithmetic or a header's digits; nobody needs to hear of them."""


def check_headers(source: Path, case: Case, options: IntakeOptions | None = None) -> list[Finding]:
    """What is wrong with the two headers of a case, and what will be done about small differences."""
    image = usable(read_geometry, source, case.image)
    mask = usable(read_geometry, source, case.mask)
    if isinstance(image, Finding) or isinstance(mask, Finding):
        return [found for found in (image, mask) if isinstance(found, Finding)]
    return _compare(case, image, mask)


def usable(read: Callable[[Path], T], source: Path, file: Path) -> T | Finding:
    """What `read` makes of a file, or the finding that it cannot be used."""
    try:
        return read(source / file)
    except VolumeError as error:
        return Finding("unreadable", Severity.ERROR, file.as_posix(), error.problem, error.remedy)


def _compare(case: Case, image: Geometry, mask: Geometry) -> list[Finding]:
    """Both on one grid after flips and permutations, up to a tolerance: the mask takes the image's geometry."""
    file = case.mask.as_posix()
    order = AxisOrder.between(mask, image)
    turned = order.of_geometry(mask)
    differences = turned.differences(image)
    if differences:
        problem = f"is not on the grid of {case.image.as_posix()}: {'; '.join(differences)}."
        remedy = "Export the mask on the CT's own grid (in 3D Slicer: the CT as reference volume)."
        return [Finding("grids-differ", Severity.ERROR, file, problem, remedy)]
    findings = []
    if not order.changes_nothing:
        problem = "is stored along other axes than its CT, at the same place in space; it was turned."
        findings.append(Finding("mask-reordered", Severity.NOTE, file, problem))
    if turned.differences(image, tolerance=_ROUNDING):
        apart = "; ".join(turned.differences(image, tolerance=_ROUNDING))
        problem = f"lies a rounding error beside its CT ({apart}) and was put onto the CT's grid."
        findings.append(Finding("grid-snapped", Severity.NOTE, file, problem))
    return findings
