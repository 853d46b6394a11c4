"""The femur of a mask or a segmentation, for every command that reads one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.findings import errors_of
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.grids import bounding_box
from nnunet_femur.imaging.labels import femur_of, femur_segments, join_segments, label_counts
from nnunet_femur.imaging.reading import read_mask
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.labels import Segment
    from nnunet_femur.imaging.reading import SourceHeader

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class FemurMask:
    """A mask of which each voxel is femur or not.

    Attributes:
        header: The header of its file.
        voxels_zyx: True where the femur is, shape (z, y, x).
        findings: What was assumed, corrected or left out; their file is the path as given.
    """

    header: SourceHeader
    voxels_zyx: NDArray[np.bool_]
    findings: tuple[Finding, ...]


def read_femur(path: Path, *, segments: Sequence[str] = (), labels: Sequence[int] = ()) -> FemurMask:
    """Return the femur of a mask: a file, 3D Slicer's segmentation, or DICOM SEG.

    Args:
        path: The mask.
        segments: Names of the segments that are femur; none: the only one, or those named femur.
        labels: Values of a mask that are femur; none: 1, or the only value above 0.

    Raises:
        VolumeError: It cannot be read, or it is not known which of its labels or segments are femur.
    """
    import SimpleITK as sitk

    volume = read_mask(path)
    values_zyx = sitk.GetArrayViewFromImage(volume.image)
    plain = not (volume.header.segments or labels) and values_zyx.dtype.kind in "iu"
    if plain and values_zyx.min() >= 0 and values_zyx.max() <= 1:
        # Most masks: no need to look for a box or to count labels.
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
    """Return the femur of a mask in the smallest box that holds it, that box, and what its values show.

    Args:
        header: The mask's header.
        image: Its voxels.
        file: The file that findings name.
        segments: As in :func:`read_femur`.
        labels: As in :func:`read_femur`.

    Returns:
        The femur in its box, shape of the box; the box, None for an empty mask; the findings, errors among them.
    """
    import SimpleITK as sitk

    empty = np.zeros((0, 0, 0), bool)
    values_zyx = sitk.GetArrayViewFromImage(image)
    if not np.issubdtype(values_zyx.dtype, np.integer) and not np.isfinite(values_zyx).all():
        count = int(np.count_nonzero(~np.isfinite(values_zyx)))
        return empty, None, [finding("not-finite", file, f"holds {count} values that are NaN or infinite.")]
    box = bounding_box(values_zyx if values_zyx.ndim == 3 else values_zyx.max(axis=3))
    if box is None:
        return empty, None, []
    if header.segments:
        chosen, findings = femur_segments(header.segments, segments, file)
        femur_zyx = join_segments(values_zyx[box], chosen)
        findings += _unnamed(values_zyx[box], header.segments, file, empty=() if femur_zyx.any() else chosen)
    else:
        femur_zyx, findings = femur_of(values_zyx[box], labels, file)
    tighter = bounding_box(femur_zyx)
    if tighter is None:
        return empty, None, findings
    z, y, x = (
        slice(outer.start + inner.start, outer.start + inner.stop) for outer, inner in zip(box, tighter, strict=True)
    )
    return femur_zyx[tighter], (z, y, x), findings


def _unnamed(values: NDArray, segments: Sequence[Segment], file: Path, *, empty: Sequence[Segment]) -> list[Finding]:
    """Return the finding about values of a segmentation that belong to none of its segments.

    Args:
        values: The voxels, z, y, x, and the layers as the last axis if there are several.
        segments: All there are.
        file: The segmentation, for the finding.
        empty: The segments that are femur, if they have no voxel, so that such values in their layers may be meant.
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
        problem = f"has no voxel of the segments that are femur, but voxels of no segment ({names})."
        return [finding("mask-labels", file, problem, "Save the segmentation again in 3D Slicer.")]
    return [finding("labels-left-out", file, f"contains values that belong to no segment ({names}); left out.")]
