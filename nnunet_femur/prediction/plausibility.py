"""Measures of a femur's mask, and warnings about an implausible one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.sides import faces_of
from nnunet_femur.prediction.postprocessing import label_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

FRAGMENT_ML = 0.5
"""Pieces below this volume in ml are fragments at the bone's edge; larger ones count as further pieces."""

PLAUSIBLE_ML = (100.0, 900.0)
"""Range of the volume of an adult's whole femur in ml, with a wide margin."""


@dataclass(frozen=True)
class Plausibility:
    """Measures of a mask, and warnings about it.

    Attributes:
        volume_ml: Volume in ml.
        pieces: Number of pieces of at least :data:`FRAGMENT_ML`; 1 for a mask that is smaller altogether.
        cut: Sides of the volume that the mask touches: "superior", "left", ...
        warnings: Short texts about what a reader should check; empty for a plausible femur.
    """

    volume_ml: float
    pieces: int
    cut: tuple[str, ...]
    warnings: tuple[str, ...]


def check_plausibility(mask_zyx: NDArray, geometry: Geometry) -> Plausibility:
    """Measure a mask of one femur and check whether it can be one.

    Args:
        mask_zyx: The mask (z, y, x), not 0 in the femur.
        geometry: Geometry of its voxels.
    """
    box = box_of(mask_zyx)
    part = mask_zyx[box]
    if not part.size:
        return Plausibility(0.0, 0, (), ("empty: no femur was found",))
    _, sizes = label_pieces(part)
    volumes_ml = sorted((float(size) * geometry.voxel_volume_ml for size in sizes), reverse=True)
    large = [volume for volume in volumes_ml if volume >= FRAGMENT_ML] or volumes_ml[:1]
    fragments = len(volumes_ml) - len(large)
    cut = _touched(box, mask_zyx.shape, geometry)
    total = sum(volumes_ml)
    warnings = []
    if len(large) > 1:
        warnings.append(f"{len(large)} pieces of {', '.join(f'{volume:.1f}' for volume in large)} ml")
    if fragments:
        warnings.append(f"{fragments} fragment(s) below {FRAGMENT_ML:g} ml")
    if cut:
        warnings.append(f"cut by the field of view ({', '.join(cut)})")
    # A range of one whole femur does not apply where the bone is cut or there are several.
    low, high = PLAUSIBLE_ML
    if len(large) == 1 and not (low <= total <= high) and not (cut and total < low):
        warnings.append(f"{total:.0f} ml; a femur has {low:.0f} to {high:.0f} ml")
    return Plausibility(total, len(large), cut, tuple(warnings))


def _touched(box: tuple[slice, ...], shape_zyx: tuple[int, ...], geometry: Geometry) -> tuple[str, ...]:
    """Return the patient's sides at which a box reaches the border of the volume."""
    found = []
    for axis_xyz in (2, 1, 0):
        part = box[2 - axis_xyz]
        start, end = faces_of(geometry, axis_xyz)
        found += [start] if part.start == 0 else []
        found += [end] if part.stop == shape_zyx[2 - axis_xyz] else []
    return tuple(found)
