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
        predictions: What each method predicted for the case, by its name and fold; the best one's first. Of several
            folds it is the first that predicted the case.
    """

    group: Group
    case: str
    best: Line
    predictions: dict[str, Predictions]

    @property
    def best_label(self) -> str:
        """Name and fold of the best method's prediction."""
        return next(iter(self.predictions))

    @property
    def best_prediction(self) -> Predictions:
        """Predictions of the best method."""
        return self.predictions[self.best_label]


def example(findings: Findings) -> Example | None:
    """The example that figures of a single case show, from the first set that has predictions of all methods."""
    for group in findings.groups:
        lines = whole(group)
        values = {line.label: line.defined for line in lines}
        if not all(DICE in frame for frame in values.values()):
            continue
        shared = sorted(set.intersection(*(set(frame.index) for frame in values.values())))
        best = max(lines, key=lambda line: float(values[line.label][DICE].mean()))
        dice = values[best.label][DICE].reindex(shared).sort_values(kind="stable")
        if not shared or not findings.predictions:
            continue
        case = str(dice.index[(len(dice) - 1) // 2])
        ordered = [best, *(line for line in lines if line is not best)]
        found = [(line, one) for line in ordered if (one := predictions_of(findings, group, line, case))]
        if found and found[0][0] is best:
            return Example(group, case, best, {_shown(line, one): one for line, one in found})
    return None


def _shown(line: Line, one: Predictions) -> str:
    return line.label if len(line.folds) == 1 else f"{line.name}{one.fold_suffix}"


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
