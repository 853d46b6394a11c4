"""Everything that tables, figures and the report show, in one object."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from nnunet_femur.comparison.grouping import group_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.predictions import Predictions, Unscored
    from nnunet_femur.comparison.report.published import PublishedFigures
    from nnunet_femur.comparison.scoring import Scored
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics

DICE = ("volume", "all", "whole", "dice")
"""Columns of :attr:`~nnunet_femur.comparison.grouping.Entry.defined` are named like this."""


@dataclass(frozen=True)
class ReportData:
    """What a comparison found out.

    Attributes:
        scored: The scores, and the slices behind them.
        predictions: What was scored; empty if only scores are at hand, and then no mask is drawn.
        statistics: Tests, ranks and agreement of every group in the order of the report; or none.
        published: Published figures to print beside ours, or None.
        unscored: Predictions that could not be scored.
    """

    scored: Scored
    predictions: Sequence[Predictions] = ()
    statistics: Sequence[GroupStatistics] = ()
    published: PublishedFigures | None = None
    unscored: Sequence[Unscored] = ()

    @cached_property
    def groups(self) -> list[Group]:
        """The sets of cases on which entries are compared, in the order of the report."""
        return [one.group for one in self.statistics] or group_scores(
            self.scored.scores, ends_only=self.scored.ends_only
        )

    @cached_property
    def seconds(self) -> Mapping[tuple[str, str], float]:
        """Duration of the training in seconds by method and fold, where it is known."""
        return {(one.method, one.fold): one.seconds for one in self.predictions if one.seconds is not None}

    def minutes(self, entry: Entry) -> float | None:
        """Training of one model of an entry in minutes (of several the mean), if known."""
        known = [self.seconds[entry.method, fold] for fold in entry.folds if (entry.method, fold) in self.seconds]
        return sum(known) / len(known) / 60 if known else None


def whole(group: Group) -> list[Entry]:
    """The entries of a group that predict whole femurs; if none does, all of them."""
    kept = [entry for entry in group.entries if not entry.ends_only]
    return kept or list(group.entries)
