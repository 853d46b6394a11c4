"""The data that tables, figures and the report show, and the names that they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from nnunet_femur.comparison.calibration.calibrating_predictions import Calibrated
from nnunet_femur.comparison.clinical.endpoints import PROTOCOL, metric_of
from nnunet_femur.comparison.grouping import Measure, group_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.predictions import Predictions, Unscored
    from nnunet_femur.comparison.report.published import PublishedFigures
    from nnunet_femur.comparison.scoring import Scored
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics
    from nnunet_femur.comparison.statistics.endpoint_statistics import GroupEndpoints
    from nnunet_femur.comparison.statistics.subgroups import GroupSubgroups
    from nnunet_femur.comparison.training_curves import TrainingCurve

DICE = Measure("volume", "all", "whole", "dice")
"""3D Dice of the whole bone, the main score."""

_PROTOCOLS = {"volume": "3D", "slices": "slices", "paper": "the study’s protocol"}


@dataclass(frozen=True)
class ReportData:
    """The data of a comparison, as every table and every figure receives it.

    Attributes:
        scored: The scores, and the scores of single slices that they are computed from.
        predictions: The predictions that were scored. Empty if only scores are available; then no mask is drawn.
        statistics: Tests, ranks and agreement of every group, in the order of the report; may be empty.
        published: Published figures to print beside these scores; None for none.
        unscored: Predictions that could not be scored.
        endpoints: Statistics of clinical measurements of each group; empty if nothing was measured.
        measurements: The table of measurements; None if nothing was measured.
        subgroups: Scores by subgroup of each group; empty without covariates.
        reader_scores: Scores of all methods against the masks of each second reader, by the reader's name.
        calibrated: Calibration of the predictions with probabilities.
        curves: Training curves of the methods, as far as they are recorded.
    """

    scored: Scored
    predictions: Sequence[Predictions] = ()
    statistics: Sequence[GroupStatistics] = ()
    published: PublishedFigures | None = None
    unscored: Sequence[Unscored] = ()
    endpoints: Sequence[GroupEndpoints] = ()
    measurements: pd.DataFrame | None = None
    subgroups: Sequence[GroupSubgroups] = ()
    reader_scores: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    calibrated: Calibrated = field(default_factory=Calibrated)
    curves: Sequence[TrainingCurve] = ()

    @cached_property
    def groups(self) -> list[Group]:
        """The sets of cases on which methods are compared, in the order of the report."""
        return [one.group for one in self.statistics] or group_scores(
            self.scored.scores, ends_only=self.scored.ends_only, raters=self.scored.raters
        )

    @cached_property
    def seconds(self) -> Mapping[tuple[str, str], float]:
        """Training times in seconds by method and fold, where they are known."""
        return {(one.method, one.fold): one.seconds for one in self.predictions if one.seconds is not None}

    def minutes(self, entry: Entry) -> float | None:
        """Return the training time of one model in minutes, or the mean over the models of an entry, if known."""
        known = [self.seconds[entry.method, fold] for fold in entry.folds if (entry.method, fold) in self.seconds]
        return sum(known) / len(known) / 60 if known else None


def measure_title(measure: Measure) -> str:
    """Return the name of a measure for titles.

    Example:
        >>> measure_title(DICE)
        '3D Dice'
        >>> measure_title(Measure("slices", "axial", "ends", "dice"))
        'axial slices Dice, ends'
    """
    label = metric_of(measure).label
    if measure.protocol == PROTOCOL:
        return f"{label}, absolute error"
    protocol = _PROTOCOLS.get(measure.protocol, measure.protocol)
    plane = "" if measure.plane == "all" else f"{measure.plane} "
    region = "" if measure.region == "whole" else f", {measure.region}"
    return f"{plane}{protocol} {label}{region}"


def file_name(*parts: str) -> str:
    """Return a file name made of words: lower case, with underscores between them, without an ending.

    Example:
        >>> file_name("boxes", "", "Test set")
        'boxes_test_set'
    """
    words = "_".join(filter(None, parts)).lower()
    kept = "".join(letter if letter.isalnum() or letter in "._" else "_" for letter in words)
    return "_".join(filter(None, kept.split("_")))
