"""Direction and side of a whole femur from a coarse copy of its mask, in a fraction of the time of a measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.separation import separate_bones
from nnunet_femur.measurement.shape.border import border_contacts
from nnunet_femur.measurement.shape.completeness import assess, no_femur
from nnunet_femur.measurement.shape.locating import locate_head, locate_side
from nnunet_femur.measurement.shape.mesh import BoneMesh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.measurement.landmarks import Anatomy

COARSE_MM, COARSEST_MM = 3.3, 5.0
"""Spacing of the coarse copy, and the largest spacing that is used; side and direction are right at 4 x 4 x 5 mm."""

_EFFORT = 0.2
"""Part of the spheres that a measurement tries; if none of them is the head, the result is None."""


def coarse_anatomy(mask_zyx: NDArray, geometry: Geometry) -> Anatomy | None:
    """Return up, medial, posterior, side and head of a femur, or None if the mask is not that of one whole femur.

    Args:
        mask_zyx: The mask (z, y, x), not 0 in the femur; its first and last slices are at the border of the volume.
        geometry: Geometry of its voxels.

    Example:
        >>> from nnunet_femur.imaging import read_femur
        >>> femur = read_femur("reference.nrrd")
        >>> coarse_anatomy(femur.voxels_zyx[:20], femur.header.geometry) is None
        True
    """
    if max(geometry.spacing_mm_zyx) > COARSEST_MM:
        return None
    steps = [max(1, round(COARSE_MM / spacing)) for spacing in geometry.spacing_mm_zyx]
    coarse = np.asarray(mask_zyx[tuple(slice(None, None, step) for step in steps)] != 0)
    z, y, x = geometry.spacing_mm_zyx * np.array(steps)
    grid = replace(geometry, size_xyz=coarse.shape[::-1], spacing_mm_xyz=(float(x), float(y), float(z)))
    bones = separate_bones(coarse, grid)
    if len(bones) != 1:
        return None
    mesh = BoneMesh.of_mask(bones[0], grid)
    if no_femur(mesh) is not None:
        return None
    anatomy = locate_head(mesh, effort=_EFFORT)
    border = border_contacts(mask_zyx, geometry)
    if not assess(mesh, anatomy, border=border, voxel_mm=max(grid.spacing_mm_xyz)).is_whole:
        return None
    return locate_side(mesh, anatomy)
