"""Find the places at which the border of a volume cuts a bone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.measurement.landmarks import Point

_INNER_MM = 10.0
"""Distance of the section that a contact is compared with."""

_CUT_SHARE, _CROPPED_SHARE = 0.15, 0.4
"""Least ratio of a contact to the section 10 mm further in; the second for a volume that was cropped to the bone.

The ratio of the last slice of a whole bone is at most 0.13 at 1 mm and 0.36 at 2 x 2 x 3 mm.
"""

_CROPPED_FACES = 4
"""Number of faces that a bone touches in a volume that was cropped to its box."""


@dataclass(frozen=True)
class BorderContact:
    """A place at which the border of a volume cuts a bone.

    Attributes:
        center_mm: Its middle, in LPS mm.
        area_mm2: Area of the bone in the last slice.
        share: This area by that of the slice 10 mm further in.
    """

    center_mm: Point
    area_mm2: float
    share: float


def border_contacts(mask_zyx: NDArray, geometry: Geometry) -> tuple[BorderContact, ...]:
    """Return the places at which the border of a volume cuts a bone.

    A volume that was cropped to the box of the bone touches it on all sides without cutting it, so a contact counts
    only if it is large for the section of the bone behind it.

    Args:
        mask_zyx: The mask of one bone (z, y, x) in its whole volume, not 0 in the bone.
        geometry: Geometry of its voxels.

    Example:
        >>> from nnunet_femur.imaging import Geometry
        >>> shaft = np.zeros((40, 20, 20), bool)
        >>> shaft[:30, 5:15, 5:15] = True
        >>> grid = Geometry((20, 20, 40), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> [(each.center_mm.tolist(), each.area_mm2, each.share) for each in border_contacts(shaft, grid)]
        [([19.0, 19.0, 0.0], 400.0, 1.0)]
    """
    contacts = []
    for axis in range(3):
        spacing = geometry.spacing_mm_zyx[axis]
        pixel_mm2 = geometry.voxel_volume_ml * 1000 / spacing
        slices = np.moveaxis(mask_zyx, axis, 0)
        inner = min(max(1, round(_INNER_MM / spacing)), len(slices) - 1)
        for last, within in ((0, inner), (len(slices) - 1, len(slices) - 1 - inner)):
            outermost = slices[last] != 0
            count = int(np.count_nonzero(outermost))
            if not count:
                continue
            index = np.argwhere(outermost).mean(axis=0)
            index_xyz = np.insert(index, axis, last)[::-1]
            center = geometry.steps_mm @ index_xyz + geometry.origin_mm_xyz
            behind = int(np.count_nonzero(slices[within]))
            contacts.append(BorderContact(center, count * pixel_mm2, count / max(behind, 1)))
    least = _CROPPED_SHARE if len(contacts) >= _CROPPED_FACES else _CUT_SHARE
    return tuple(contact for contact in contacts if contact.share > least)
