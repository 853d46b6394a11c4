"""Everything that tables, figures and the report show, in one object."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from nnunet_femur.comparison.grouping import group_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from nnunet_femur.comparison.grouping import Group, Line
    from nnunet_femur.comparison.predictions import Predictions
    from nnunet_femur.comparison.reference import Reference
    from nnunet_femur.comparison.scoring import Scored
    from nnunet_femur.comparison.statistics import GroupStatistics

HEADS = "FemurHead"
"""How the trainers of femur heads begin: their predictions are no whole femurs."""

DICE = ("volume", "all", "whole", "dice")
"""Columns of :meth:`Findings.values` are named like this: protocol, plane, region, metric."""


@dataclass(frozen=True)
class Findings:
    """What a comparison found out.

    Attributes:
        scored: The scores, and the slices behind them.
        predictions: What was scored; empty if only scores are at hand, and then no mask is drawn.
        statistics: Tests, ranks and agreement of every group in the order of the report; or none.
        reference: Published figures to print beside ours, or None.
    """

    scored: Scored
    predictions: Sequence[Predictions] = ()
    statistics: Sequence[GroupStatistics] = ()
    reference: Reference | None = None
    _values: dict[tuple[str, str, str, tuple[str, ...]], pd.DataFrame] = field(default_factory=dict, repr=False)

    @cached_property
    def groups(self) -> list[Group]:
        """The sets of cases on which lines are compared, in the order of the report."""
        return [one.group for one in self.statistics] or group_scores(self.scored.scores)

    @cached_property
    def seconds(self) -> Mapping[tuple[str, str], float]:
        """Duration of the training in seconds by method and fold, where it is known."""
        return {(one.method, one.fold): one.seconds for one in self.predictions if one.seconds is not None}

    def minutes(self, line: Line) -> float | None:
        """Training of one model of a line in minutes (of several the mean), if known."""
        known = [self.seconds[line.method, fold] for fold in line.folds if (line.method, fold) in self.seconds]
        return sum(known) / len(known) / 60 if known else None

    def values(self, group: Group, line: Line) -> pd.DataFrame:
        """Scores of a line: a row per case, and a column per (protocol, plane, region, metric).

        A case that several folds of a line predicted counts once, with the mean of its scores.
        """
        key = (group.dataset, group.set, line.method, line.folds)
        if key not in self._values:
            self._values[key] = line.rows.pivot_table(
                index="case", columns=["protocol", "plane", "region", "metric"], values="value", aggfunc="mean"
            )
        return self._values[key]


def whole(group: Group) -> list[Line]:
    """The lines of a group that predict whole femurs; if none does, all of them."""
    kept = [line for line in group.lines if not is_heads(line.method)]
    return kept or list(group.lines)


def is_heads(method: str) -> bool:
    """Whether a method was trained on the ends of the femur alone."""
    return method.rpartition("/")[2].startswith(HEADS)
