"""Read the CT of a mask, with its axes in the order of the mask's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.boxes import box_at
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.grids import Placement, Relation, settled
from nnunet_femur.imaging.sources import Source

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CtOfMask:
    """A CT whose grid contains the grid of a mask.

    Attributes:
        hu_zyx: The whole CT; its axes are in the order of the mask's.
        geometry: Geometry of the CT in this order.
        start_zyx: Index in the CT of the mask's first voxel.
    """

    hu_zyx: NDArray
    geometry: Geometry
    start_zyx: tuple[int, int, int]

    def placed(self, mask_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask on the grid of the CT.

        Programs store a segmentation in the smallest box that contains it, but the tissue around the bone counts too.

        Args:
            mask_zyx: The mask on its own grid.
        """
        if mask_zyx.shape == self.hu_zyx.shape:
            return mask_zyx
        placed = np.zeros(self.hu_zyx.shape, bool)
        placed[box_at(self.start_zyx, mask_zyx.shape)] = mask_zyx
        return placed


def read_ct_on(path: Path, geometry: Geometry, mask: str) -> CtOfMask:
    """Return the CT of a mask.

    The CT may store the same voxels in another order of axes, and may be larger than the mask.

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
    return _checked(volume.image, stored, geometry, str(path), mask)


def image_on(ct: sitk.Image, geometry: Geometry, name: str, mask: str) -> CtOfMask:
    """Return a CT in memory as the CT of a mask; see :func:`read_ct_on`.

    Args:
        ct: The CT.
        geometry: Geometry of the mask.
        name: The CT, as messages name it.
        mask: The mask, as messages name it.
    """
    return _checked(ct, Geometry.of(ct), geometry, name, mask)


def _checked(ct: sitk.Image, stored: Geometry, geometry: Geometry, name: str, mask: str) -> CtOfMask:
    import SimpleITK as sitk

    # The CT is placed on the mask's grid, so the offset is that of the CT in the mask.
    placement = Placement.of(stored, geometry, trust="headers")
    z, y, x = (-offset for offset in placement.offset_zyx)
    # A view would end with the image.
    hu_zyx = np.array(placement.order.of_array(sitk.GetArrayViewFromImage(ct)))
    known = placement.relation in (Relation.SAME, Relation.SHIFTED)
    ends = np.array([z, y, x]) + geometry.shape_zyx
    if not known or min(z, y, x) < 0 or (ends > hu_zyx.shape).any():
        differences = "; ".join(geometry.differences(placement.turned))
        msg = (
            f"{name}: not on the grid of its mask {mask}: {differences} (mask against CT). "
            "Export the mask on the CT's grid."
        )
        raise InputError(msg, code="grid-differs")
    return CtOfMask(hu_zyx, placement.turned, (z, y, x))
