"""Dice coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.evaluation.metrics.metric import OverlapMetric, ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.evaluation.overlap import Overlap


def dice(pairs: Overlap) -> NDArray[np.float64]:
    """Dice coefficient 2 TP / (2 TP + FP + FN), in [0, 1]; NaN for two empty masks."""
    return ratio(2 * pairs.shared, pairs.truth + pairs.prediction)


DICE = OverlapMetric(
    name="dice",
    label="Dice",
    formula="2 TP / (2 TP + FP + FN)",
    family="overlap",
    source="Dice (1945)",
    compute=dice,
    in_slices=True,
)
