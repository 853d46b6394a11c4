"""What an empty mask scores, as data: stated with every table, and counted wherever it decided a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nnunet_femur.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.counts import Overlap

EMPTY_KINDS = {
    "both_empty": "reference and prediction empty",
    "truth_empty": "only the reference empty (a false find)",
    "prediction_empty": "only the prediction empty (a miss)",
}
"""How a pair of masks can be empty, as named in scores.csv, and in words."""

DIAGONAL: Literal["diagonal"] = "diagonal"
"""In place of a score: the longest distance that the grid (in a slice: the slice) allows, in mm."""

Substitute = float | Literal["diagonal"]
"""What a metric scores in place of its formula."""


@dataclass(frozen=True)
class EmptyPolicy:
    """The score of each metric, by name, where a mask is empty; a metric not named keeps its formula's value.

    Attributes:
        name: Name of the policy.
        meaning: What it stands for, in a sentence.
        both_empty: Scores where neither mask holds a voxel.
        truth_empty: Scores where only the prediction holds voxels.
        prediction_empty: Scores where only the reference holds voxels.
    """

    name: str
    meaning: str
    both_empty: Mapping[str, Substitute]
    truth_empty: Mapping[str, Substitute]
    prediction_empty: Mapping[str, Substitute]

    def applied(
        self, metric: str, values: NDArray[np.float64], pairs: Overlap, *, diagonal_mm: float = float("nan")
    ) -> NDArray[np.float64]:
        """`values` of `pairs`, shape (n,), with the policy's score wherever a mask is empty.

        Args:
            metric: Name of the metric.
            values: Its scores by its formula.
            pairs: The pairs of masks that were scored.
            diagonal_mm: What :data:`DIAGONAL` stands for here.
        """
        for kind in EMPTY_KINDS:
            substitutes: Mapping[str, Substitute] = getattr(self, kind)
            if metric in substitutes:
                substitute = substitutes[metric]
                score = diagonal_mm if substitute == DIAGONAL else substitute
                values = np.where(getattr(pairs, kind), score, values)
        return values

    def sentences(self, labels: Mapping[str, str]) -> list[str]:
        """The policy in words, a sentence for each kind of emptiness.

        Args:
            labels: How to call each metric, by its name; others are left out.
        """
        return [f"{words[0].upper()}{words[1:]}: {self._scores(kind, labels)}." for kind, words in EMPTY_KINDS.items()]

    def _scores(self, kind: str, labels: Mapping[str, str]) -> str:
        by_score: dict[str, list[str]] = {}
        for metric, score in getattr(self, kind).items():
            if metric in labels:
                shown = "the diagonal of the grid" if score == DIAGONAL else f"{score:g}"
                by_score.setdefault(shown, []).append(labels[metric])
        parts = [f"{', '.join(names)} {shown}" for shown, names in by_score.items()]
        return "; ".join(parts) or "no substitution, a formula that divides by zero gives no score"


_DISTANCES = [name for name, metric in METRICS.items() if metric.unit == "mm"]
_SHARES = [name for name, metric in METRICS.items() if metric.unit != "mm"]

_RIGHT: dict[str, Substitute] = {name: metric.ideal for name, metric in METRICS.items()}
_MISS: dict[str, Substitute] = dict.fromkeys(_SHARES, 0.0) | dict.fromkeys(_DISTANCES, DIAGONAL)
_FALSE_FIND: dict[str, Substitute] = _MISS | {"vs": 2.0}

STRICT = EmptyPolicy(
    name="strict",
    meaning="Misses and false finds count as failures, and an empty prediction of an empty reference is right.",
    both_empty=_RIGHT,
    truth_empty=_FALSE_FIND,
    prediction_empty=_MISS,
)
"""The default: a structure that was missed cannot drop out of a mean."""

FORMULA = EmptyPolicy(
    name="formula",
    meaning="Nothing is substituted: a score that its formula leaves undefined drops out of the means.",
    both_empty={},
    truth_empty={},
    prediction_empty={},
)
"""What most packages do without saying so; distances of misses drop out."""

_BRATS_MM = 373.128664
"""The diagonal of the challenge's grid of 240 x 240 x 155 voxels of 1 mm."""

BRATS = EmptyPolicy(
    name="brats",
    meaning="As in the BraTS challenge: a miss or a false find has Dice 0 and 373.13 mm, whatever the grid.",
    both_empty=_RIGHT,
    truth_empty=_FALSE_FIND | dict.fromkeys(_DISTANCES, _BRATS_MM),
    prediction_empty=_MISS | dict.fromkeys(_DISTANCES, _BRATS_MM),
)
"""For comparison with studies that took over the challenge's fixed penalty."""

POLICIES = {policy.name: policy for policy in (STRICT, FORMULA, BRATS)}
"""The presets by name."""
