"""What an empty mask scores, as data: stated with every table, and counted wherever it decided a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.overlap import Overlap

EMPTY_KINDS = {
    "both_empty": "truth and prediction empty",
    "truth_empty": "only the truth empty (a false find)",
    "prediction_empty": "only the prediction empty (a miss)",
}
"""How a pair of masks can be empty, as named in scores.csv, and in words."""


@dataclass(frozen=True)
class EmptyPolicy:
    """The score of each metric, by name, where a mask is empty; a metric not named keeps its formula's value.

    Attributes:
        name: Name of the policy.
        both_empty: Scores where neither mask holds a voxel.
        truth_empty: Scores where only the prediction holds voxels.
        prediction_empty: Scores where only the truth holds voxels.
    """

    name: str
    both_empty: Mapping[str, float]
    truth_empty: Mapping[str, float]
    prediction_empty: Mapping[str, float]

    def applied(self, metric: str, values: NDArray[np.float64], pairs: Overlap) -> NDArray[np.float64]:
        """`values` of `pairs`, shape (n,), with the policy's score wherever a mask is empty."""
        for kind in EMPTY_KINDS:
            substitutes: Mapping[str, float] = getattr(self, kind)
            if metric in substitutes:
                values = np.where(getattr(pairs, kind), substitutes[metric], values)
        return values

    def sentences(self, labels: Mapping[str, str]) -> list[str]:
        """The policy in words, a sentence for each kind of emptiness.

        Args:
            labels: How to call each metric, by its name.
        """
        return [
            f"{words[0].upper()}{words[1:]}: "
            + ", ".join(f"{labels[metric]} {value:g}" for metric, value in getattr(self, kind).items())
            + "."
            for kind, words in EMPTY_KINDS.items()
        ]


STRICT = EmptyPolicy(
    name="strict",
    both_empty={"dice": 1.0, "iou": 1.0, "vs": 1.0},
    truth_empty={"dice": 0.0, "iou": 0.0, "vs": 2.0},
    prediction_empty={"dice": 0.0, "iou": 0.0, "vs": 0.0},
)
"""Misses and false finds count as failures, and an empty prediction of an empty truth is right."""
