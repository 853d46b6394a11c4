"""Postprocessing of a predicted mask, and checks whether the result is a plausible femur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.sides import faces_of
from nnunet_femur.prediction.prediction_kinds import predicted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.geometry import Geometry


FRAGMENT_ML = 0.5
"""Pieces below this volume in ml are fragments at the bone's edge; larger ones count as further pieces."""

PLAUSIBLE_ML = (100.0, 900.0)
"""Range of the volume of an adult's whole femur in ml, with a wide margin."""

_MOST_CAVITIES = 0.02
"""Largest volume of cavities that is not reported, as a share of the mask's volume."""


@dataclass(frozen=True)
class Plausibility:
    """Measures of a mask, and findings about it.

    Attributes:
        volume_ml: Volume in ml.
        pieces: Number of pieces of at least :data:`FRAGMENT_ML`; 1 if all pieces are smaller, 0 for an empty mask.
        cut: Sides of the volume that the mask touches: "superior", "left", ...
        findings: Findings about what a reader should check; none for a plausible femur.
    """

    volume_ml: float
    pieces: int
    cut: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The findings as short texts."""
        return tuple(found.problem.rstrip(".") for found in self.findings)


def keep_largest(mask_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest piece of a mask.

    Args:
        mask_zyx: The mask (z, y, x), 0 and 1. A mask with at most one piece is returned as it is, not copied.
    """
    box = box_of(mask_zyx)
    labels, sizes = label_pieces(mask_zyx[box])
    if len(sizes) < 2:
        return mask_zyx
    kept = np.zeros_like(mask_zyx)
    kept[box] = labels == 1 + int(np.argmax(sizes))
    return kept


def fill_holes(mask_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mask with its cavities filled.

    A cavity is background that no path over faces of voxels connects with the outside. Background at the border of the
    volume is not a cavity.

    Args:
        mask_zyx: The mask (z, y, x), 0 and 1.
    """
    from scipy import ndimage

    box = box_of(mask_zyx)
    outside, _ = ndimage.label(np.pad(mask_zyx[box] == 0, 1, constant_values=True))
    filled = mask_zyx.copy()
    filled[box] = (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled


def label_pieces(mask_zyx: NDArray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Label the pieces of a mask; voxels that share a face, an edge or a corner belong to one piece.

    Args:
        mask_zyx: The mask (z, y, x), not 0 inside.

    Returns:
        The number of the piece in each voxel, from 1, and the number of voxels of each piece.
    """
    from scipy import ndimage

    labels, count = ndimage.label(mask_zyx, structure=np.ones((3, 3, 3)))
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]


def check_plausibility(mask_zyx: NDArray, geometry: Geometry, *, case: str = "femur", femurs: int = 1) -> Plausibility:
    """Measure a mask and check whether it can be one femur, or two.

    Args:
        mask_zyx: The mask (z, y, x), not 0 in the femur.
        geometry: Geometry of its voxels.
        case: Name of the case.
        femurs: Number of femurs that were found in the mask; as many pieces are plausible.
    """
    box = box_of(mask_zyx)
    part = mask_zyx[box]
    if not part.size:
        return Plausibility(0.0, 0, (), (predicted("no-femur", case, "empty: no femur was found."),))
    _, sizes = label_pieces(part)
    volumes_ml = sorted((float(size) * geometry.voxel_volume_ml for size in sizes), reverse=True)
    large = [volume for volume in volumes_ml if volume >= FRAGMENT_ML] or volumes_ml[:1]
    fragments = len(volumes_ml) - len(large)
    cut = _cut_sides(box, mask_zyx.shape, geometry)
    total = sum(volumes_ml)
    problems = {}
    if len(large) > femurs:
        problems["pieces"] = f"{len(large)} pieces of {', '.join(f'{volume:.1f}' for volume in large)} ml."
    if fragments:
        problems["fragments"] = f"{fragments} fragment{'s' * (fragments > 1)} below {FRAGMENT_ML:g} ml."
    if cut:
        problems["cut-by-view"] = f"cut by the field of view ({', '.join(cut)})."
    # The range is that of one whole femur: it does not apply to several pieces, and its lower end not to a cut bone.
    low, high = PLAUSIBLE_ML
    if len(large) == 1 and not (low <= total <= high) and not (cut and total < low):
        problems["volume"] = f"{total:.0f} ml; a femur has {low:.0f} to {high:.0f} ml."
    cavities_ml = float(np.count_nonzero(fill_holes(part)) - np.count_nonzero(part)) * geometry.voxel_volume_ml
    if cavities_ml > _MOST_CAVITIES * total:
        problems["cavities"] = f"cavities of {cavities_ml:.1f} ml in {total:.1f} ml of bone."
    findings = tuple(predicted(code, case, problem) for code, problem in problems.items())
    return Plausibility(total, len(large), cut, findings)


def _cut_sides(box: tuple[slice, ...], shape_zyx: tuple[int, ...], geometry: Geometry) -> tuple[str, ...]:
    """Return the patient's sides at which a box reaches the border of the volume."""
    found = []
    for axis_xyz in (2, 1, 0):
        part = box[2 - axis_xyz]
        start, end = faces_of(geometry, axis_xyz)
        found += [start] if part.start == 0 else []
        found += [end] if part.stop == shape_zyx[2 - axis_xyz] else []
    return tuple(found)
