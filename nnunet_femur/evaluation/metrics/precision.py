"""Precision: how much of the prediction is bone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.evaluation.metrics.metric import OverlapMetric, ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.overlap import Overlap


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
