"""Metrics of overlap: Dice, intersection over union, precision and recall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.evaluation.metrics.metric import OverlapMetric, ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.counts import Overlap


def dice(pairs: Overlap) -> NDArray[np.float64]:
    """Dice coefficient 2 TP / (2 TP + FP + FN), in [0, 1]; NaN for two empty masks."""
    return ratio(2 * pairs.shared, pairs.reference + pairs.prediction)


DICE = OverlapMetric(
    name="dice",
    label="Dice",
    formula="2 TP / (2 TP + FP + FN)",
    family="overlap",
    source="Dice (1945)",
    compute=dice,
    in_slices=True,
)


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


def precision(pairs: Overlap) -> NDArray[np.float64]:
    """Precision TP / (TP + FP), in [0, 1]; NaN for an empty prediction."""
    return ratio(pairs.shared, pairs.prediction)


PRECISION = OverlapMetric(
    name="precision",
    label="Precision",
    formula="TP / (TP + FP)",
    family="overlap",
    source="positive predictive value",
    compute=precision,
)


def recall(pairs: Overlap) -> NDArray[np.float64]:
    """Recall TP / (TP + FN), in [0, 1]; NaN for an empty reference."""
    return ratio(pairs.shared, pairs.reference)


RECALL = OverlapMetric(
    name="recall",
    label="Recall",
    formula="TP / (TP + FN)",
    family="overlap",
    source="sensitivity",
    compute=recall,
)
