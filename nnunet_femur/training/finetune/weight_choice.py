"""The choice of the weights that a fine-tuning ends with: candidates between source and result, and the rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

SOURCE, BEST, LAST = "source", "best", "last"
"""Names of candidates: the source's weights, those of the epoch of the best pseudo Dice, and the last."""

ALPHAS = (0.25, 0.5, 0.75)
"""Places of the other candidates on the straight line from the source (0) to the last weights (1)."""

SMALLEST_GAIN = 0.001
"""Mean Dice that a candidate must gain at least over the one that it replaces."""

MOST_CASES = 12
"""Largest number of validation cases that candidates are scored on."""


@dataclass(frozen=True)
class Choice:
    """The choice of the final weights.

    Attributes:
        chosen: Name of the chosen candidate.
        scores: Dice of each case, for each candidate, from the nearest to the source to the farthest from it; empty if
            no candidates were scored.
        reason: The reason why no candidates were scored; None if they were.
        seconds: Duration of the choice.
    """

    chosen: str
    scores: Mapping[str, Mapping[str, float]]
    reason: str | None = None
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the choice for ``run.json`` and the checkpoint, as JSON content.

        Example:
            >>> Choice("source", {"source": {"L1": 0.9, "L2": 0.8}}).as_dict()["candidates"]
            [{'name': 'source', 'alpha': 0.0, 'mean_dice': 0.85, 'dice': {'L1': 0.9, 'L2': 0.8}}]
        """
        return {
            "chosen": self.chosen,
            "alpha": alpha_of(self.chosen),
            "reason": self.reason,
            "cases": list(next(iter(self.scores.values()), {})),
            "candidates": [
                {
                    "name": name,
                    "alpha": alpha_of(name),
                    "mean_dice": round(float(np.mean(list(dice.values()))), 6),
                    "dice": {case: round(value, 6) for case, value in dice.items()},
                }
                for name, dice in self.scores.items()
            ],
            "smallest_gain": SMALLEST_GAIN,
            "seconds": round(self.seconds, 1),
        }


def interpolation_name(alpha: float) -> str:
    """Return the name of an interpolation.

    Example:
        >>> interpolation_name(0.25)
        'alpha 0.25'
    """
    return f"alpha {alpha:g}"


def alpha_of(name: str) -> float | None:
    """Return the place of a candidate on the line from the source to the last weights; None for the best epoch's."""
    if name == BEST:
        return None
    return {SOURCE: 0.0, LAST: 1.0}.get(name) if name in (SOURCE, LAST) else float(name.removeprefix("alpha "))


def interpolate(source: Mapping[str, torch.Tensor], last: Mapping[str, torch.Tensor], alpha: float) -> dict[str, Any]:
    """Return weights on the straight line between two networks (WiSE-FT; Wortsman et al. 2022, arXiv 2109.01903).

    Args:
        source: Weights of the source.
        last: Weights of the fine-tuned network, of the same names and shapes. Counters and other integers are theirs.
        alpha: Place on the line: 0 for the source, 1 for the fine-tuned network.

    Example:
        >>> import torch
        >>> interpolate({"layer": torch.tensor([0.0, 4.0])}, {"layer": torch.tensor([1.0, 2.0])}, 0.25)
        {'layer': tensor([0.2500, 3.5000])}
    """
    return {
        name: source[name].to(tensor).lerp(tensor, alpha) if tensor.is_floating_point() else tensor
        for name, tensor in last.items()
    }


def choose(scores: Mapping[str, Sequence[float]]) -> str:
    """Return the candidate to keep, with a preference for those near the source.

    The first candidate is kept unless a later one scores higher than the one kept so far by both :data:`SMALLEST_GAIN`
    and one standard error of the mean gain over the cases (the one-standard-error rule; Breiman et al. 1984). With one
    case there is no standard error.

    Args:
        scores: Dice of each case, in the same order for each candidate, from the nearest to the source to the farthest.

    Example:
        Gains of 0.02 and 0.01 have the mean 0.015 and the standard error 0.005; a further gain of 0.0005 is too small.

        >>> choose({"source": [0.90, 0.92], "alpha 0.5": [0.92, 0.93], "last": [0.9205, 0.9305]})
        'alpha 0.5'
    """
    names = list(scores)
    chosen = names[0]
    for name in names[1:]:
        gains = np.asarray(scores[name], float) - np.asarray(scores[chosen], float)
        error = gains.std(ddof=1) / np.sqrt(gains.size) if gains.size > 1 else 0.0
        # Equal gains differ in the last digits.
        if gains.mean() >= max(SMALLEST_GAIN, error) - 1e-9:
            chosen = name
    return chosen


def cases_to_score(cases: Sequence[str]) -> list[str]:
    """Return the cases that candidates are scored on: all, or :data:`MOST_CASES` at equal distances in their order.

    Example:
        >>> cases_to_score([f"case {n:02}" for n in range(36)])[:3]
        ['case 00', 'case 03', 'case 06']
    """
    ordered = sorted(cases)
    if len(ordered) <= MOST_CASES:
        return ordered
    return [ordered[len(ordered) * number // MOST_CASES] for number in range(MOST_CASES)]
