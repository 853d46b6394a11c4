"""What a femur's mask measures, and whether it can be one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.sides import faces_of
from nnunet_femur.prediction.postprocessing import label_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

CRUMB_ML = 0.5
"""Pieces below this volume are crumbs at the bone's edge rather than further pieces."""

PLAUSIBLE_ML = (100.0, 900.0)
"""Volumes that a whole femur of an adult can have, with a wide margin."""


@dataclass(frozen=True)
class Verdict:
    """Measures of a mask, and what makes it doubtful.

    Attributes:
        volume_ml: Its volume in ml.
        pieces: Number of pieces of at least :data:`CRUMB_ML`, or 1 for a mask that is smaller altogether.
        cut: The sides of the volume that the mask touches: "superior", "left", ...
        warnings: What a reader should look at, in words; empty for a plausible femur.
    """

    volume_ml: float
    pieces: int
    cut: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(mask_zyx: NDArray, geometry: Geometry) -> Verdict:
    """Measure a mask and say what is implausible about it.

    Args:
        mask_zyx: The mask, not 0 in the femur.
        geometry: Where its voxels lie.
    """
    box = box_of(mask_zyx)
    part = mask_zyx[box]
    if not part.size:
        return Verdict(0.0, 0, (), ("empty: no femur was found",))
    _, sizes = label_pieces(part)
    volumes_ml = sorted((float(size) * geometry.voxel_volume_ml for size in sizes), reverse=True)
    large = [volume for volume in volumes_ml if volume >= CRUMB_ML] or volumes_ml[:1]
    crumbs = len(volumes_ml) - len(large)
    cut = _touched(box, mask_zyx.shape, geometry)
    total = sum(volumes_ml)
    warnings = []
    if len(large) > 1:
        warnings.append(f"{len(large)} pieces of {', '.join(f'{volume:.1f}' for volume in large)} ml")
    if crumbs:
        warnings.append(f"{crumbs} crumb(s) below {CRUMB_ML:g} ml beside it")
    if cut:
        warnings.append(f"cut by the field of view ({', '.join(cut)})")
    # Where the bone is cut or there are several, the volume of one whole femur says nothing.
    low, high = PLAUSIBLE_ML
    if len(large) == 1 and not (low <= total <= high) and not (cut and total < low):
        warnings.append(f"{total:.0f} ml, where a femur has {low:.0f} to {high:.0f}")
    return Verdict(total, len(large), cut, tuple(warnings))


def _touched(box: tuple[slice, ...], shape_zyx: tuple[int, ...], geometry: Geometry) -> tuple[str, ...]:
    found = []
    for axis_xyz in (2, 1, 0):
        part = box[2 - axis_xyz]
        start, end = faces_of(geometry, axis_xyz)
        found += [start] if part.start == 0 else []
        found += [end] if part.stop == shape_zyx[2 - axis_xyz] else []
    return tuple(found)
