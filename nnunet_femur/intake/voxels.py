"""Read the voxels of one case and bring them to the dataset's form: int16 HU, mask 0/1, RAS, one grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.intake.checks import usable
from nnunet_femur.intake.findings import Finding, Severity
from nnunet_femur.volumes import AxisOrder, Geometry, image_of, oriented, read_volume

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.intake.cases import Case
    from nnunet_femur.intake.options import IntakeOptions

ORIENTATION = "RAS"
"""The order of axes of everything written, which is the one TotalSegmentator's networks were trained in."""

PADDING_HU = -3024
"""What scanners write where they measured nothing."""

AIR_HU = -1000
"""What padding becomes."""


@dataclass(frozen=True)
class CaseVoxels:
    """One case in the dataset's form.

    Attributes:
        image: The CT, int16 HU.
        mask: The femur, uint8 0/1, on the same grid.
        volume_ml: Volume of the femur in millilitres.
        source_geometry: The CT's geometry as it was stored.
        findings: What was changed on the way.
    """

    image: sitk.Image
    mask: sitk.Image
    volume_ml: float
    source_geometry: Geometry
    findings: tuple[Finding, ...]


def read_case(source: Path, case: Case, options: IntakeOptions | None = None) -> CaseVoxels | list[Finding]:
    """Read a case whose headers have been checked; errors that only the voxels show come back as findings."""
    image = usable(read_volume, source, case.image)
    mask = usable(read_volume, source, case.mask)
    if isinstance(image, Finding) or isinstance(mask, Finding):
        return [found for found in (image, mask) if isinstance(found, Finding)]
    geometry = Geometry.of(image)
    order = AxisOrder.between(Geometry.of(mask), geometry)

    hu_zyx, image_findings = _hounsfield(_array(image), case.image.as_posix())
    femur_zyx, mask_findings = _femur(order.of_array(_array(mask)), case.mask.as_posix())
    findings = (*image_findings, *mask_findings)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    return errors or CaseVoxels(
        oriented(image_of(hu_zyx, geometry), ORIENTATION),
        oriented(image_of(femur_zyx, geometry), ORIENTATION),
        int(np.count_nonzero(femur_zyx)) * geometry.voxel_volume_ml,
        geometry,
        findings,
    )


def _array(image: sitk.Image) -> NDArray:
    import SimpleITK as sitk

    return sitk.GetArrayViewFromImage(image)


def _hounsfield(values: NDArray, file: str) -> tuple[NDArray[np.int16], list[Finding]]:
    findings = _not_finite(values, file)
    if findings:
        return np.zeros(values.shape, np.int16), findings
    if values.dtype == np.int16:
        hu = values.copy()
    else:
        limits = np.iinfo(np.int16)
        whole = np.rint(values)
        rounded = int(np.count_nonzero(whole != values))
        if rounded:
            problem = f"holds fractions of HU; {rounded} voxels were rounded to whole numbers."
            findings.append(Finding("image-rounded", Severity.NOTE, file, problem))
        clipped = int(np.count_nonzero((whole < limits.min) | (whole > limits.max)))
        if clipped:
            problem = f"holds values beyond {limits.min} to {limits.max}; {clipped} voxels were clipped."
            findings.append(Finding("image-clipped", Severity.WARNING, file, problem, "Check that it is a CT in HU."))
        hu = np.clip(whole, limits.min, limits.max).astype(np.int16)
    padding = hu == PADDING_HU
    padded = int(np.count_nonzero(padding))
    if padded:
        hu[padding] = AIR_HU
        problem = f"is padded with {PADDING_HU}; {padded} voxels were set to {AIR_HU} HU."
        findings.append(Finding("padding", Severity.NOTE, file, problem))
    return hu, findings


def _femur(values: NDArray, file: str) -> tuple[NDArray[np.uint8], list[Finding]]:
    findings = _not_finite(values, file)
    femur = (values > 0).astype(np.uint8)
    if findings:
        return femur, findings
    if not femur.any():
        problem = "is empty: no voxel is above 0, so the CT would count as one without a femur."
        remedy = "Export the segmentation again, or take the case out."
        return femur, [Finding("empty-mask", Severity.ERROR, file, problem, remedy)]
    if not np.issubdtype(values.dtype, np.integer):
        problem = f"is stored as {values.dtype}; written as uint8."
        findings.append(Finding("mask-type", Severity.NOTE, file, problem))
    labels = _labels(values)
    if set(labels) <= {1, 2}:
        if 2 in labels:
            problem = f"holds the label 2 in {labels[2]} voxels, which means femur too; they were set to 1."
            findings.append(Finding("mask-label-2", Severity.NOTE, file, problem))
    else:
        held = ", ".join(f"{label:g}" for label in list(labels)[:8]) + (", ..." if len(labels) > 8 else "")
        problem = f"holds the labels {held}; everything above 0 was taken as femur."
        findings.append(Finding("mask-labels", Severity.WARNING, file, problem, "Check that all of them are femur."))
    return femur, findings


def _labels(values: NDArray) -> dict[float, int]:
    """The labels other than 0 and their numbers of voxels."""
    labels, counts = np.unique(values[values != 0], return_counts=True)
    return {float(label): int(count) for label, count in zip(labels, counts, strict=True)}


def _not_finite(values: NDArray, file: str) -> list[Finding]:
    if np.issubdtype(values.dtype, np.integer) or np.isfinite(values).all():
        return []
    count = int(np.count_nonzero(~np.isfinite(values)))
    remedy = "Export it again without them."
    return [Finding("not-finite", Severity.ERROR, file, f"holds {count} values that are NaN or infinite.", remedy)]
