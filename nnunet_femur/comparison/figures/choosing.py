"""Which case and which slices stand for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.comparison.findings import DICE, whole

if TYPE_CHECKING:
    import numpy as np

    from nnunet_femur.comparison.findings import Findings
    from nnunet_femur.comparison.grouping import Group, Line
    from nnunet_femur.comparison.predictions import Predictions


HEAD_SLICES = 20
"""The study's heads: so many axial slices from each end of the bone."""


@dataclass(frozen=True)
class Example:
    """A case that every method predicted, and one method to look at closely.

    Attributes:
        group: Where it comes from.
        case: The case: of the best method's scores the median one.
        best: The line with the highest mean of 3D Dice.
        predictions: What each line predicted for the case, by line label; the best one's first.
    """

    group: Group
    case: str
    best: Line
    predictions: dict[str, Predictions]


def example(findings: Findings) -> Example | None:
    """The example that figures of a single case show, from the first set that has predictions of all methods."""
    for group in findings.groups:
        lines = whole(group)
        values = {line.label: findings.values(group, line) for line in lines}
        if not all(DICE in frame for frame in values.values()):
            continue
        shared = sorted(set.intersection(*(set(frame.index) for frame in values.values())))
        best = max(lines, key=lambda line: float(values[line.label][DICE].mean()))
        dice = values[best.label][DICE].reindex(shared).sort_values(kind="stable")
        if not shared or not findings.predictions:
            continue
        case = str(dice.index[(len(dice) - 1) // 2])
        ordered = [best, *(line for line in lines if line is not best)]
        found = {line.label: one for line in ordered if (one := predictions_of(findings, group, line, case))}
        if best.label in found:
            return Example(group, case, best, found)
    return None


def predictions_of(findings: Findings, group: Group, line: Line, case: str) -> Predictions | None:
    """The predictions of a line that hold a case."""
    return next(
        (
            one
            for one in findings.predictions
            if one.method == line.method and one.set == group.set and one.fold in line.folds and case in one.files
        ),
        None,
    )


def ends_only(held: np.ndarray, count: int) -> list[int]:
    """The first and last `count` of ascending slice numbers, from the superior end down; all if there are fewer."""
    falling = [int(index) for index in held[::-1]]
    return falling if len(falling) <= 2 * count else falling[:count] + falling[-count:]
