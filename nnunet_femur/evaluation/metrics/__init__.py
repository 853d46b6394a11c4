"""The registry of metrics: adding one is one function and one line in :data:`METRICS`.

The formulas are those of Pivi & Fusconi, Methods for 3D Femur Segmentation (2024), with TP, FP and FN counted in
voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.overlap import Overlap


@dataclass(frozen=True)
class Metric:
    """A score of pairs of masks.

    Attributes:
        name: Its name in scores.csv.
        label: Its name in tables and figures.
        formula: Its definition, as printed in the report.
        compute: From n pairs to their n scores; NaN where the formula is undefined.
        ideal: The score of a perfect prediction; the better of two scores is the one nearer to it.
        unit: Unit of the score, "1" if it has none.
    """

    name: str
    label: str
    formula: str
    compute: Callable[[Overlap], NDArray[np.float64]]
    ideal: float = 1.0
    unit: str = "1"


def dice(pairs: Overlap) -> NDArray[np.float64]:
    """Dice coefficient 2 TP / (2 TP + FP + FN), in [0, 1]; NaN for two empty masks."""
    return _ratio(2 * pairs.shared, pairs.truth + pairs.prediction)


def iou(pairs: Overlap) -> NDArray[np.float64]:
    """Intersection over union TP / (TP + FP + FN), in [0, 1]; NaN for two empty masks."""
    return _ratio(pairs.shared, pairs.union)


def signed_volume_similarity(pairs: Overlap) -> NDArray[np.float64]:
    """Signed volume similarity 1 - (Vgt - Vpred) / (Vgt + Vpred), in [0, 2]; NaN for two empty masks.

    Above 1 the prediction is too large. This is the study's definition. Taha & Hanbury's (2015) is unsigned,
    and ITK's ``GetVolumeSimilarity`` is 2 (Vpred - Vgt) / (Vpred + Vgt).
    """
    return 1 - _ratio(pairs.truth - pairs.prediction, pairs.truth + pairs.prediction)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("dice", "Dice", "2 TP / (2 TP + FP + FN)", dice),
        Metric("iou", "IoU", "TP / (TP + FP + FN)", iou),
        Metric("vs", "VS", "1 − (Vgt − Vpred) / (Vgt + Vpred)", signed_volume_similarity),
    )
}
"""Every metric by its name, in the order of tables."""
