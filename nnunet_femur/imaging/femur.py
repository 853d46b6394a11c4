"""Read the femur of a mask or a segmentation, in every command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.findings import errors_of
from nnunet_femur.imaging.boxes import box_of, box_within, is_empty
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.labels import femur_of, label_counts
from nnunet_femur.imaging.reading import read_mask
from nnunet_femur.imaging.segments import femur_segments, join_segments
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.imaging.reading import SourceHeader
    from nnunet_femur.imaging.segments import Segment


@dataclass(frozen=True)
class FemurMask:
    """Femur of a mask.

    Attributes:
        header: The header of the file.
        voxels_zyx: True in the femur, shape (z, y, x).
        findings: Assumptions, corrections and omissions; their file is the path as given.

    Example:
        >>> femur = read_femur("reference.nrrd")
        >>> volume_ml = float(femur.voxels_zyx.sum()) * femur.header.geometry.voxel_volume_ml
        >>> 100 < volume_ml < 2000
        True
    """

    header: SourceHeader
    voxels_zyx: NDArray[np.bool_]
    findings: tuple[Finding, ...]


def read_femur(path: Path | str, *, segments: Sequence[str] = (), labels: Sequence[int] = ()) -> FemurMask:
    """Return the femur of a mask, a 3D Slicer segmentation or a DICOM SEG.

    Args:
        path: The file, or a DICOM folder.
        segments: Names of the segments that are femur. Default: the only segment, or those named femur.
        labels: Values of a mask that are femur. Default: 1, or the only value above 0.

    Raises:
        VolumeError: The mask cannot be read, or it is unknown which of its labels or segments are femur.

    Example:
        >>> femur = read_femur("reference.nrrd")
        >>> femur.voxels_zyx.dtype, femur.voxels_zyx.shape
        (dtype('bool'), (48, 32, 32))
    """
    import SimpleITK as sitk

    path = Path(path)
    volume = read_mask(path)
    values_zyx = sitk.GetArrayViewFromImage(volume.image)
    plain = not (volume.header.segments or labels) and values_zyx.dtype.kind in "iu"
    if plain and values_zyx.min() >= 0 and values_zyx.max() <= 1:
        # For most masks it is not necessary to find a box or to count labels.
        return FemurMask(volume.header, values_zyx != 0, volume.header.findings)
    femur, box, found = femur_box(volume.header, volume.image, path, segments=segments, labels=labels)
    findings = [*volume.header.findings, *found]
    for error in errors_of(findings):
        raise VolumeError(path, error.problem, error.remedy, code=error.code)
    voxels_zyx = np.zeros(volume.header.geometry.shape_zyx, bool)
    if box is not None:
        voxels_zyx[box] = femur
    return FemurMask(volume.header, voxels_zyx, tuple(findings))


def femur_box(
    header: SourceHeader, image: sitk.Image, file: Path, *, segments: Sequence[str], labels: Sequence[int]
) -> tuple[NDArray[np.bool_], Box | None, list[Finding]]:
    """Return the femur of a mask in its bounding box, that box, and the findings about the values of the mask.

    Args:
        header: The header of the mask.
        image: The voxels of the mask.
        file: The mask, as the findings name it.
        segments: As in :func:`read_femur`.
        labels: As in :func:`read_femur`.

    Returns:
        The femur, in the shape of the box; the box, None for an empty mask; the findings, which may be errors.
    """
    import SimpleITK as sitk

    empty = np.zeros((0, 0, 0), bool)
    values_zyx = sitk.GetArrayViewFromImage(image)
    if not np.issubdtype(values_zyx.dtype, np.integer) and not np.isfinite(values_zyx).all():
        count = int(np.count_nonzero(~np.isfinite(values_zyx)))
        return empty, None, [finding("not-finite", file, f"contains {count} values that are NaN or infinite.")]
    box = box_of(values_zyx if values_zyx.ndim == 3 else values_zyx.max(axis=3))
    if is_empty(box):
        return empty, None, []
    if header.segments:
        chosen, findings = femur_segments(header.segments, segments, file)
        femur_zyx = join_segments(values_zyx[box], chosen)
        findings += _unnamed(values_zyx[box], header.segments, file, empty=() if femur_zyx.any() else chosen)
    else:
        femur_zyx, findings = femur_of(values_zyx[box], labels, file)
    tighter = box_of(femur_zyx)
    if is_empty(tighter):
        return empty, None, findings
    return femur_zyx[tighter], box_within(box, tighter), findings


def _unnamed(values: NDArray, segments: Sequence[Segment], file: Path, *, empty: Sequence[Segment]) -> list[Finding]:
    """Return the finding about values of a segmentation that are not in any of its segments.

    Args:
        values: The voxels, z, y, x, with the layers as the last axis if there are several.
        segments: All segments.
        file: The segmentation, as the finding names it.
        empty: The segments that are femur, if they contain no voxel. The values in their layers are then probably the
            femur.
    """
    layers = values if values.ndim == 4 else values[..., np.newaxis]
    strays: set[int] = set()
    meant = False
    for layer in range(layers.shape[3]):
        known = {each.value for each in segments if each.layer == layer}
        found = set(label_counts(layers[..., layer])) - known
        strays |= found
        meant |= bool(found) and any(each.layer == layer for each in empty)
    if not strays:
        return []
    names = ", ".join(map(str, sorted(strays)[:8])) + (", ..." if len(strays) > 8 else "")
    if meant:
        problem = f"has no voxels in the segments that are femur, but values that are not in any segment ({names})."
        return [finding("mask-labels", file, problem, "Save the segmentation again in 3D Slicer.")]
    return [finding("labels-left-out", file, f"contains values that are not in any segment ({names}); left out.")]
