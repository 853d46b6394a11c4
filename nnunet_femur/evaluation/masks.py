"""Read a binary mask in anatomical order and see that two masks lie on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.files import read_volume
from nnunet_femur.volumes import AxisOrder, Geometry

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Mask:
    """A femur mask whose array axes are the anatomical ones.

    Attributes:
        path: The file it was read from.
        voxels: True where the femur is; axes z, y, x lead to superior, anterior and right, so that a slice of
            the first, second or third axis is axial, coronal or sagittal.
        geometry: The grid after the reorientation.
    """

    path: Path
    voxels: NDArray[np.bool_]
    geometry: Geometry


_RAS = Geometry((0, 0, 0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))


def read_mask(path: Path, *, like: Geometry | None = None) -> Mask:
    """Read a mask of zeros and ones, in whatever order its file stores it.

    Args:
        path: The file.
        like: The geometry whose axes to follow, which brings an oblique mask to those of its truth even where two
            anatomical directions are equally near; None for the anatomical axes.

    Raises:
        InputError: The file cannot be read or holds anything but 0 and 1.
    """
    import SimpleITK as sitk

    image = read_volume(path)
    values = sitk.GetArrayViewFromImage(image)
    _require_binary(path, values)
    stored = Geometry.of(image)
    order = AxisOrder.between(stored, like or _RAS)
    return Mask(path, order.of_array(values != 0), order.of_geometry(stored))


def _require_binary(path: Path, values: NDArray[Any]) -> None:
    if values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= 1:
        return
    others = np.unique(values[(values != 0) & (values != 1)])
    if others.size:
        shown = ", ".join(f"{value:g}" for value in others[:3]) + (", ..." if others.size > 3 else "")
        msg = (
            f"{path}: holds {shown}; a mask holds only 0 and 1. Threshold a probability map, and map "
            "every label that means femur to 1."
        )
        raise InputError(msg)


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
