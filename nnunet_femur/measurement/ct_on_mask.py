"""Read the CT of a mask on the mask's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.grids import Placement, Relation, settled
from nnunet_femur.imaging.sources import Source

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray


def read_ct_on(path: Path, geometry: Geometry, mask: str) -> NDArray:
    """Return the HU of a CT at each voxel of a mask's grid.

    The CT may store the same voxels in another order of axes, and may be larger: programs store a segmentation in the
    smallest box that contains it.

    Args:
        path: The CT.
        geometry: Geometry of the mask.
        mask: The mask, as messages name it.

    Raises:
        VolumeError: The CT cannot be read.
        InputError: It has another grid than the mask, or does not cover it (code "grid-differs").
    """
    volume = Source(mask, path).read()
    candidates = (volume.header.geometry, *volume.header.alternatives)
    stored = settled(candidates, ((geometry,),))[0]
    return _placed(volume.image, stored, geometry, str(path), mask)


def image_on(ct: sitk.Image, geometry: Geometry, name: str, mask: str) -> NDArray:
    """Return the values of a CT in memory at each voxel of a mask's grid; see :func:`read_ct_on`."""
    return _placed(ct, Geometry.of(ct), geometry, name, mask)


def _placed(ct: sitk.Image, stored: Geometry, geometry: Geometry, name: str, mask: str) -> NDArray:
    import SimpleITK as sitk

    # The CT is placed on the mask's grid, so the mask is the volume that contains the box here.
    placement = Placement.of(stored, geometry, trust="headers")
    values_zyx = placement.order.of_array(sitk.GetArrayViewFromImage(ct))
    first = -np.array(placement.offset_zyx)
    end = first + geometry.shape_zyx
    known = placement.relation in (Relation.SAME, Relation.SHIFTED)
    if not known or (first < 0).any() or (end > values_zyx.shape).any():
        differences = "; ".join(geometry.differences(placement.turned))
        msg = (
            f"{name}: not on the grid of its mask {mask}: {differences or 'the mask is larger'} (mask against CT). "
            "Export the mask on the CT's grid."
        )
        raise InputError(msg, code="grid-differs")
    # A view would end with the image.
    return np.array(values_zyx[tuple(slice(int(a), int(b)) for a, b in zip(first, end, strict=True))])
