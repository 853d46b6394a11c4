"""Surface scores of single slices, where a surface is a contour and its area a length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.evaluation.distances import MatchedSurfaces
from nnunet_femur.evaluation.metrics import SURFACE_METRICS
from nnunet_femur.evaluation.surfels import extract_surface

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.bone import Bone
    from nnunet_femur.evaluation.surfels import Surface


def slice_surface_values(
    truth: Bone, prediction: Bone, axis: int, index: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Scores of every surface metric in slices across one axis.

    Args:
        truth: The true mask.
        prediction: A mask on the same grid.
        axis: The array axis that the slices lie across.
        index: The slices, shape (n,).

    Returns:
        By metric the scores in the metric's unit, shape (n,); NaN where a slice holds one of both masks only.
    """
    values = {name: np.full(index.size, np.nan) for name in SURFACE_METRICS}
    for place, number in enumerate(index):
        contours = [_contour(bone, axis, int(number)) for bone in (truth, prediction)]
        if all(len(contour.corners) for contour in contours):
            distances = MatchedSurfaces.of(*contours).all()
            for name, metric in SURFACE_METRICS.items():
                values[name][place] = metric.compute(distances)
    return values


def _contour(bone: Bone, axis: int, number: int) -> Surface:
    across = [other for other in range(3) if other != axis]
    box = [bone.box[other] for other in across]
    spacing_mm = tuple(bone.spacing_mm_zyx[other] for other in across)
    return extract_surface(np.take(bone.voxels, number, axis=axis), box, spacing_mm)
