"""Intersection over union, Jaccard's index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.evaluation.metrics.metric import OverlapMetric, ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.overlap import Overlap


def iou(pairs: Overlap) -> NDArray[np.float64]:
    """Intersection over union TP / (TP + FP + FN), in [0, 1]; NaN for two empty masks."""
    return ratio(pairs.shared, pairs.union)


IOU = OverlapMetric(
    name="iou",
    label="IoU",
    formula="TP / (TP + FP + FN)",
    family="overlap",
    source="Jaccard (1912)",
    compute=iou,
    in_slices=True,
)
