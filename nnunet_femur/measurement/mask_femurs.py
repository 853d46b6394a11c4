"""Read the femurs of one mask, each by itself, with the side that a label or a segment states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.findings import errors_of
from nnunet_femur.imaging.femur_mask import femur_box
from nnunet_femur.imaging.geometry import Geometry, VolumeError
from nnunet_femur.imaging.labels import femur_of, label_counts, whole_labels
from nnunet_femur.imaging.reading import read_mask
from nnunet_femur.imaging.segments import choose_segments, femur_segments, join_segments, side_of
from nnunet_femur.imaging.sides import LEFT, RIGHT, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.segments import Segment

SIDE_LABELS = {1: LEFT, 2: RIGHT}
"""Sides by label, as ``nnfemur predict --sides`` and ``nnfemur baseline --sides`` write them."""


@dataclass(frozen=True)
class MaskFemurs:
    """Femurs of one mask, on the mask's own grid.

    Attributes:
        geometry: The grid.
        labels_zyx: 0 outside; 1 in the left and 2 in the right femur if `has_sides`, else 1 in any femur.
        has_sides: True if labels or segments state the sides.
        findings: Assumptions about the file.
    """

    geometry: Geometry
    labels_zyx: NDArray[np.uint8]
    has_sides: bool
    findings: tuple[Finding, ...] = ()


def read_femurs(path: Path, *, segments: Sequence[str] = (), labels: Sequence[int] = ()) -> MaskFemurs:
    """Return the femurs of a mask, a 3D Slicer segmentation or a DICOM SEG.

    Sides are stated by two segments, such as ``femur_left`` and ``femur_right``, or by the labels 1 (left) and 2
    (right). A mask with only one of these labels states no side: 1 is the usual label of any femur.

    Args:
        path: The file, or a DICOM folder.
        segments: Names of the segments that are femur. Default: the only segment, or those named femur.
        labels: Values of a mask that are femur; they state no sides. Default: 1 and 2, or the only value above 0.

    Raises:
        VolumeError: The mask cannot be read, or it is unknown which of its labels or segments are femur.

    Example:
        >>> femurs = read_femurs(Path("reference.nrrd"))
        >>> femurs.has_sides, int(femurs.labels_zyx.max())
        (False, 1)
    """
    import SimpleITK as sitk

    if not path.exists():
        raise VolumeError(path, "not found.", "Check the path.", code="not-found")
    volume = read_mask(path)
    values_zyx = sitk.GetArrayViewFromImage(volume.image)
    header = volume.header
    if header.segments:
        by_side = _segments_by_side(header.segments, segments)
        if by_side:
            labels_zyx = _joined({side: join_segments(values_zyx, chosen) for side, chosen in by_side.items()})
            found = femur_segments(header.segments, segments, path)[1]
            findings = (*header.findings, *found)
            return MaskFemurs(header.geometry, labels_zyx, has_sides=True, findings=findings)
    elif not labels and _are_sides(values_zyx):
        labels_zyx = whole_labels(values_zyx)[0].astype(np.uint8)
        return MaskFemurs(header.geometry, labels_zyx, has_sides=True, findings=header.findings)
    femur_zyx, box, found = femur_box(header, volume.image, path, segments=segments, labels=labels)
    for error in errors_of(found):
        raise VolumeError(path, error.problem, error.remedy, code=error.code)
    labels_zyx = np.zeros(header.geometry.shape_zyx, np.uint8)
    if box is not None:
        labels_zyx[box] = femur_zyx
    return MaskFemurs(header.geometry, labels_zyx, has_sides=False, findings=(*header.findings, *found))


def image_femurs(image: sitk.Image, name: str, *, labels: Sequence[int] = ()) -> MaskFemurs:
    """Return the femurs of a mask in memory.

    Args:
        image: The mask, one value per voxel.
        name: Name of the mask in messages.
        labels: As in :func:`read_femurs`.

    Raises:
        VolumeError: It is not a 3D mask, or it is unknown which of its labels are femur.
    """
    import SimpleITK as sitk

    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        size = " x ".join(map(str, image.GetSize()))
        problem = f"has {size} voxels of {image.GetPixelIDTypeAsString()}."
        raise VolumeError(Path(name), problem, "Pass a 3D image with one value per voxel.", code="unsupported")
    values_zyx = sitk.GetArrayViewFromImage(image)
    geometry = Geometry.of(image)
    if not np.issubdtype(values_zyx.dtype, np.integer) and not np.isfinite(values_zyx).all():
        raise VolumeError(Path(name), "contains NaN or infinite values.", "Export it again.", code="not-finite")
    if not labels and _are_sides(values_zyx):
        return MaskFemurs(geometry, whole_labels(values_zyx)[0].astype(np.uint8), has_sides=True)
    if not values_zyx.any():
        return MaskFemurs(geometry, np.zeros(values_zyx.shape, np.uint8), has_sides=False)
    femur_zyx, findings = femur_of(values_zyx, labels, Path(name))
    for error in errors_of(findings):
        raise VolumeError(Path(name), error.problem, error.remedy, code=error.code)
    return MaskFemurs(geometry, femur_zyx.astype(np.uint8), has_sides=False, findings=tuple(findings))


def _are_sides(values_zyx: NDArray) -> bool:
    """Return True for a mask with exactly the labels of both sides."""
    if values_zyx.size == 0 or values_zyx.max() != max(SIDE_LABELS):
        return False
    whole_zyx, fractions = whole_labels(values_zyx)
    return not fractions and label_counts(whole_zyx).keys() == SIDE_LABELS.keys()


def _segments_by_side(segments: Sequence[Segment], wanted: Sequence[str]) -> dict[str, list[Segment]]:
    """Return the segments of each side; empty unless every segment that is femur states its side."""
    by_side: dict[str, list[Segment]] = {}
    for each in choose_segments(segments, wanted):
        by_side.setdefault(side_of(each), []).append(each)
    return {} if UNKNOWN in by_side else by_side


def _joined(by_side: dict[str, NDArray[np.bool_]]) -> NDArray[np.uint8]:
    labels_zyx = np.zeros(next(iter(by_side.values())).shape, np.uint8)
    for label, side in SIDE_LABELS.items():
        if side in by_side:
            labels_zyx[by_side[side]] = label
    return labels_zyx
