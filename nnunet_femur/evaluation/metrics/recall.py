"""Recall: how much of the bone was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.evaluation.metrics.metric import OverlapMetric, ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.overlap import Overlap


def recall(pairs: Overlap) -> NDArray[np.float64]:
    """Recall TP / (TP + FN), in [0, 1]; NaN for an empty truth."""
    return ratio(pairs.shared, pairs.truth)


RECALL = OverlapMetric(
    name="recall",
    label="Recall",
    formula="TP / (TP + FN)",
    family="overlap",
    source="sensitivity",
    compute=recall,
)
