"""Reasons why TotalSegmentator cannot find a femur in a CT, found before it is run.

It ends in numpy where a volume is thinner than a voxel of its rough model, and segments noise where values are not HU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.volumes import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.baseline.ct import OrientedCt

LOWEST_BONE_HU = 100.0
"""Values of a CT with a femur in it reach higher than this: cortical bone has several hundred HU."""


def require_suitable(ct: OrientedCt, path: Path, *, rough_spacing_mm: float) -> None:
    """Refuse a CT in which TotalSegmentator cannot find a femur.

    Args:
        ct: The CT.
        path: Its file or folder, for the message.
        rough_spacing_mm: Edge of the voxels of the model that finds the region.

    Raises:
        VolumeError: The CT has a single slice, is thinner than a voxel of the rough model, contains values that are
            not finite, or has no value as high as bone.
    """
    geometry = ct.geometry
    extents_mm = [count * spacing for count, spacing in zip(geometry.size_xyz, geometry.spacing_mm_xyz, strict=True)]
    thinnest = int(np.argmin(extents_mm))
    if min(geometry.size_xyz) < 2:
        problem, remedy, code = "has a single slice.", "Give the whole series.", "not-3d"
    elif extents_mm[thinnest] < rough_spacing_mm:
        axis = ("left-right", "front-back", "head-foot")[thinnest]
        problem = (
            f"covers {extents_mm[thinnest]:.3g} mm along the {axis} axis, less than a voxel of TotalSegmentator's "
            f"rough model ({rough_spacing_mm:g} mm)."
        )
        remedy, code = "Give the whole series, or check the spacing.", "too-thin"
    elif not np.isfinite(highest := float(ct.hu.max())) or not np.isfinite(ct.hu).all():
        problem, remedy, code = "contains NaN or infinite values.", "Export it again.", "not-finite"
    elif highest < LOWEST_BONE_HU:
        problem = f"has no value above {highest:.4g}; bone is above {LOWEST_BONE_HU:g} HU."
        remedy, code = "Check that it is a CT in HU, and that bone is in it.", "no-bone"
    else:
        return
    raise VolumeError(path, problem, remedy, code=code)
