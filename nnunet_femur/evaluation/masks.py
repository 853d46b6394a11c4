"""Read a binary mask in anatomical order and see that two masks lie on one grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.femur import read_femur
from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry
from nnunet_femur.imaging.grids import Placement, Relation, settled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding


@dataclass(frozen=True)
class Mask:
    """A femur mask whose array axes are the anatomical ones.

    Attributes:
        path: The file it was read from.
        voxels: True where the femur is; axes z, y, x lead to superior, anterior and right, so that a slice of
            the first, second or third axis is axial, coronal or sagittal.
        geometry: The grid after the reorientation.
        findings: What was assumed about the file.
        may_be_cropped: It is a segmentation, which programs store in the smallest box that holds it.
    """

    path: Path
    voxels: NDArray[np.bool_]
    geometry: Geometry
    findings: tuple[Finding, ...] = ()
    may_be_cropped: bool = False


def read_mask(
    path: Path, *, like: Geometry | None = None, segments: Sequence[str] = (), labels: Sequence[int] = ()
) -> Mask:
    """Return the femur of a mask or segmentation, in whatever order its file stores it.

    Args:
        path: The file; 3D Slicer's segmentations and DICOM SEG are masks too.
        like: The geometry whose axes to follow, which brings an oblique mask to those of its reference even where two
            anatomical directions are equally near; None for the anatomical axes. A mask that does not define its
            orientation is taken as the one in which it has this geometry.
        segments: Names of the segments that are femur; none: the only one, or those named femur.
        labels: Values that are femur; none: 1, or the only value above 0.

    Raises:
        InputError: The file cannot be read, or it is not known which of its values are femur.
    """
    femur = read_femur(path, segments=segments, labels=labels)
    candidates = (femur.header.geometry, *femur.header.alternatives)
    stored = candidates[0] if like is None else settled((like,), (candidates,))[1][0]
    order = AxisOrder.between(stored, like or RAS)
    return Mask(
        path,
        order.of_array(femur.voxels_zyx),
        order.of_geometry(stored),
        femur.findings,
        may_be_cropped=bool(femur.header.segments),
    )


def on_one_grid(reference: Mask, prediction: Mask) -> tuple[Mask, Mask]:
    """Return two masks on the smallest grid that holds both, where one is a segmentation in a box of its own.

    The masks are returned as they are if they are on different lattices of points, or if a mask that is not a
    segmentation does not cover that grid.

    Args:
        reference: The reference mask.
        prediction: A mask along the same axes.
    """
    if not reference.geometry.differences(prediction.geometry):
        return reference, prediction
    way = Placement.of(prediction.geometry, reference.geometry, trust="headers")
    if way.relation is not Relation.SHIFTED:
        return reference, prediction
    places = ((0, 0, 0), reference), (way.offset_zyx, prediction)
    starts = np.array([start for start, _ in places])
    ends = starts + [mask.voxels.shape for _, mask in places]
    first = starts.min(axis=0)
    shape = ends.max(axis=0) - first
    origin = reference.geometry.steps_mm @ first[::-1] + reference.geometry.origin_mm_xyz
    size_xyz = tuple(int(count) for count in shape[::-1])
    grid = replace(reference.geometry, size_xyz=size_xyz, origin_mm_xyz=tuple(origin.tolist()))
    if any(mask.voxels.shape != grid.shape_zyx and not mask.may_be_cropped for mask in (reference, prediction)):
        return reference, prediction
    one, other = (
        _padded(mask, start - first, grid) for start, mask in zip(starts, (reference, prediction), strict=True)
    )
    return one, other


def _padded(mask: Mask, start_zyx: NDArray, grid: Geometry) -> Mask:
    if mask.voxels.shape == grid.shape_zyx:
        return mask
    voxels = np.zeros(grid.shape_zyx, bool)
    place = tuple(slice(int(a), int(a) + n) for a, n in zip(start_zyx, mask.voxels.shape, strict=True))
    voxels[place] = mask.voxels
    return replace(mask, voxels=voxels, geometry=grid)


def require_same_grid(reference: Mask, prediction: Mask) -> None:
    """See that two masks lie on one grid in the patient; the order in which files store it does not matter.

    Raises:
        InputError: They do not; the message names both files and every difference.
    """
    if found := reference.geometry.differences(prediction.geometry):
        msg = (
            f"{prediction.path}: does not lie on the grid of its reference {reference.path}: {'; '.join(found)} "
            "(prediction last). Resample the prediction to the CT's own grid."
        )
        raise InputError(msg)
