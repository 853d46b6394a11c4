"""Policies for empty masks, as data: printed with every table, and counted wherever they decide a score.

To add a policy, add an :class:`EmptyPolicy` and its name in :data:`POLICIES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nnunet_femur.arguments import require_one_of
from nnunet_femur.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nnunet_femur.evaluation.counts import Overlap

EMPTY_KINDS = {
    "both_empty": "reference and prediction empty",
    "truth_empty": "only the reference empty (a false positive)",
    "prediction_empty": "only the prediction empty (a false negative)",
}
"""Ways in which a pair of masks can be empty: the metric's name in scores.csv that counts them, and its meaning."""

DIAGONAL: Literal["diagonal"] = "diagonal"
"""Substitute: the longest distance possible on the grid (in a slice: in the slice), in mm."""

Substitute = float | Literal["diagonal"]
"""Score of a metric in place of its formula's value."""


@dataclass(frozen=True)
class EmptyPolicy:
    """Scores of pairs in which a mask is empty, by metric; a metric without entry keeps the value of its formula.

    Attributes:
        name: Name of the policy.
        meaning: Its meaning in one sentence.
        both_empty: Scores if both masks are empty.
        reference_empty: Scores if only the reference is empty, a false positive.
        prediction_empty: Scores if only the prediction is empty, a false negative.

    Example:
        >>> from nnunet_femur.evaluation import POLICIES
        >>> POLICIES["strict"].prediction_empty["dice"]
        0.0
        >>> POLICIES["strict"].prediction_empty["hd95"]
        'diagonal'
    """

    name: str
    meaning: str
    both_empty: Mapping[str, Substitute]
    reference_empty: Mapping[str, Substitute]
    prediction_empty: Mapping[str, Substitute]

    @property
    def by_kind(self) -> dict[str, Mapping[str, Substitute]]:
        """Scores by kind of emptiness, with the keys of :data:`EMPTY_KINDS`."""
        return dict(
            zip(EMPTY_KINDS, (self.both_empty, self.reference_empty, self.prediction_empty), strict=True),
        )

    def applied(
        self, metric: str, values: NDArray[np.float64], pairs: Overlap, *, diagonal_mm: float = float("nan")
    ) -> NDArray[np.float64]:
        """Return `values` with the policy's score for each pair in which a mask is empty, shape (n,).

        Args:
            metric: Name of the metric.
            values: Scores by the metric's formula, shape (n,).
            pairs: The n pairs of masks.
            diagonal_mm: Value of :data:`DIAGONAL` for these pairs.
        """
        empty = pairs.empty
        for kind, substitutes in self.by_kind.items():
            if metric in substitutes:
                substitute = substitutes[metric]
                score = diagonal_mm if substitute == DIAGONAL else substitute
                values = np.where(empty[kind], score, values)
        return values

    def sentences(self, labels: Mapping[str, str]) -> list[str]:
        """Return the policy as text, a sentence for each kind of emptiness.

        Args:
            labels: Labels of metrics by name; other metrics are left out.
        """
        scores = self.by_kind
        return [
            f"{meaning[0].upper()}{meaning[1:]}: {_scores_text(scores[kind], labels)}."
            for kind, meaning in EMPTY_KINDS.items()
        ]


def _scores_text(scores: Mapping[str, Substitute], labels: Mapping[str, str]) -> str:
    by_score: dict[str, list[str]] = {}
    for metric, score in scores.items():
        if metric in labels:
            shown = "the diagonal of the grid" if score == DIAGONAL else f"{score:g}"
            by_score.setdefault(shown, []).append(labels[metric])
    parts = [f"{', '.join(names)} {shown}" for shown, names in by_score.items()]
    return "; ".join(parts) or "no substitution; a score whose formula divides by zero is missing"


_DISTANCES = [name for name, metric in METRICS.items() if metric.unit == "mm"]
_SHARES = [name for name, metric in METRICS.items() if metric.unit != "mm"]

_PERFECT: dict[str, Substitute] = {name: metric.ideal for name, metric in METRICS.items()}
_FALSE_NEGATIVE: dict[str, Substitute] = dict.fromkeys(_SHARES, 0.0) | dict.fromkeys(_DISTANCES, DIAGONAL)
_FALSE_POSITIVE: dict[str, Substitute] = _FALSE_NEGATIVE | {"vs": 2.0}

STRICT = EmptyPolicy(
    name="strict",
    meaning="False negatives and false positives count as failures; an empty prediction of an empty reference is "
    "perfect.",
    both_empty=_PERFECT,
    reference_empty=_FALSE_POSITIVE,
    prediction_empty=_FALSE_NEGATIVE,
)
"""The default: no missed structure drops out of a mean."""

FORMULA = EmptyPolicy(
    name="formula",
    meaning="Nothing is substituted: undefined scores drop out of the means.",
    both_empty={},
    reference_empty={},
    prediction_empty={},
)
"""The usual behaviour of packages that do not state any: distances of false negatives drop out."""

_BRATS_MM = 373.128664
"""Diagonal of the challenge's grid of 240 x 240 x 155 voxels of 1 mm."""

BRATS = EmptyPolicy(
    name="brats",
    meaning="As in the BraTS challenge: a false negative or false positive has Dice 0 and 373.13 mm on any grid.",
    both_empty=_PERFECT,
    reference_empty=_FALSE_POSITIVE | dict.fromkeys(_DISTANCES, _BRATS_MM),
    prediction_empty=_FALSE_NEGATIVE | dict.fromkeys(_DISTANCES, _BRATS_MM),
)
"""For comparison with studies that use the challenge's fixed penalty."""

POLICIES = {policy.name: policy for policy in (STRICT, FORMULA, BRATS)}
"""All policies by name."""


def find_policy(name: str | EmptyPolicy) -> EmptyPolicy:
    """Return the policy with a name; a policy is returned as it is.

    Raises:
        InputError: No policy has this name (code "invalid-option").

    Example:
        >>> find_policy("brats").meaning
        'As in the BraTS challenge: a false negative or false positive has Dice 0 and 373.13 mm on any grid.'
    """
    if isinstance(name, EmptyPolicy):
        return name
    require_one_of("policy (--empty-masks)", name, POLICIES)
    return POLICIES[name]
