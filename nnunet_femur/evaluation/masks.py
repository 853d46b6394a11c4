"""Read a binary mask in anatomical order and see that two masks lie on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.femur import read_femur
from nnunet_femur.imaging.grids import settled
from nnunet_femur.volumes import AxisOrder, Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
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
    """

    path: Path
    voxels: NDArray[np.bool_]
    geometry: Geometry
    findings: tuple[Finding, ...] = ()


_RAS = Geometry((0, 0, 0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))


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
    order = AxisOrder.between(stored, like or _RAS)
    return Mask(path, order.of_array(femur.voxels_zyx), order.of_geometry(stored), femur.findings)


def require_same_grid(truth: Mask, prediction: Mask) -> None:
    """See that two masks lie on one grid in the patient; the order in which files store it does not matter.

    Raises:
        InputError: They do not; the message names both files and every difference.
    """
    if found := truth.geometry.differences(prediction.geometry):
        msg = (
            f"{prediction.path}: does not lie on the grid of its truth {truth.path}: {'; '.join(found)} "
            "(prediction last). Resample the prediction to the CT's own grid."
        )
        raise InputError(msg)
