"""What the scores of a group can carry: summaries, paired tests, ranks, and what cannot be concluded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.grouping import Measure
from nnunet_femur.comparison.statistics.agreement import BlandAltman, bland_altman
from nnunet_femur.comparison.statistics.paired_tests import PairTest, TestName, compare_pairs, smallest_p
from nnunet_femur.comparison.statistics.ranking import Interval, Rank, Ranking, mean_interval, rank_lines
from nnunet_femur.evaluation import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.grouping import Entry, Group

__all__ = [
    "MEASURES",
    "BlandAltman",
    "GroupStatistics",
    "Interval",
    "Measure",
    "PairTest",
    "Rank",
    "Ranking",
    "Statistics",
    "Summary",
    "analyse",
    "analyse_groups",
]

SIGNIFICANT = 0.05
"""Level that a p-value is held against."""

FEW_PATIENTS = 6
"""With fewer patients no exact paired test can reach :data:`SIGNIFICANT`: 2 / 2^5 is 0.0625."""

MEASURES = (
    *(Measure("volume", "all", "whole", metric) for metric in ("dice", "iou", "vs", "hd95", "assd", "nsd2")),
    Measure("slices", "axial", "whole", "dice"),
    Measure("volume", "all", "ends", "dice"),
)
"""What is tested unless a caller says otherwise; a measure that was not scored is left out."""


@dataclass(frozen=True)
class Summary:
    """One measure of one entry, over its cases.

    Attributes:
        entry: Label of the entry.
        n: Cases with a score.
        patients: Patients that they belong to.
        undefined: Cases left out, since the policy for empty masks gives them no score.
        mean: Mean over cases; NaN without a case.
        sd: Sample standard deviation over cases; None with fewer than two.
        median: Median over cases; NaN without a case.
        q1: First quartile over cases.
        q3: Third quartile over cases.
        interval: 95 % bootstrap interval of the mean, clustered by patient; None with fewer than two patients.
        folds: Number of folds whose predictions were scored.
        fold_mean: Mean over folds of the means of their cases; None with fewer than two folds.
        fold_sd: Sample standard deviation over folds of those means. It is no measure of spread between patients.
    """

    entry: str
    n: int
    patients: int
    undefined: int
    mean: float
    sd: float | None
    median: float
    q1: float
    q3: float
    interval: Interval | None
    folds: int
    fold_mean: float | None
    fold_sd: float | None


@dataclass(frozen=True)
class Statistics:
    """All statistics of one measure in one group.

    Attributes:
        measure: What was measured.
        summaries: One per entry, in the order of the group.
        pairs: Every pair of entries, tested; empty with a single entry.
        ranking: Ranks of the entries; None with a single entry or no patient in common.
        cautions: What cannot be concluded, and what a reader must know, a sentence each.
    """

    measure: Measure
    summaries: tuple[Summary, ...]
    pairs: tuple[PairTest, ...]
    ranking: Ranking | None
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class GroupStatistics:
    """The statistics of one group.

    Attributes:
        group: The group.
        measures: Statistics by measure.
        agreement: Bland-Altman agreement of the whole bone's volume, one per entry that has any.
    """

    group: Group
    measures: dict[Measure, Statistics]
    agreement: tuple[BlandAltman, ...]


def analyse_groups(
    groups: Sequence[Group], *, measures: Sequence[Measure] = MEASURES, test: TestName = "wilcoxon"
) -> list[GroupStatistics]:
    """The statistics of every group, in their order.

    Methods that predict the ends of the bone alone take part in no measure of more of it.
    """
    return [
        GroupStatistics(
            group=group,
            measures={
                measure: analyse(group if measure.region == "ends" else _of_whole_bones(group), measure, test=test)
                for measure in measures
                if any(entry.column(measure).notna().any() for entry in group.entries)
            },
            agreement=tuple(_agreements(_of_whole_bones(group))),
        )
        for group in groups
    ]


def _of_whole_bones(group: Group) -> Group:
    """The group without the entries of methods that predict the ends alone, unless there are no others."""
    entries = tuple(entry for entry in group.entries if not entry.ends_only)
    return replace(group, entries=entries or group.entries)


def analyse(group: Group, measure: Measure, *, test: TestName = "wilcoxon") -> Statistics:
    """Summaries, tests and ranks of one measure in one group.

    Methods are compared: folds are no further methods, and of several folds that predict a case their mean counts.
    Tests and ranks take a patient for the unit: of a patient with several cases their mean.

    Args:
        group: The entries to compare.
        measure: What to compare; its metric must be registered, since nearer to the metric's ideal is better.
        test: The paired test.
    """
    import pandas as pd

    ideal = METRICS[measure.metric].ideal
    by_patient = {
        entry.label: entry.column(measure).groupby(entry.patients.to_numpy(), sort=True).mean()
        for entry in group.entries
    }
    pairs = compare_pairs(by_patient, ideal=ideal, test=test)
    summaries = tuple(_summary(entry, measure) for entry in group.entries)
    return Statistics(
        measure=measure,
        summaries=summaries,
        pairs=pairs,
        ranking=rank_lines(pd.DataFrame(by_patient), ideal=ideal),
        cautions=tuple(_cautions(group, summaries, pairs)),
    )


def _summary(entry: Entry, measure: Measure) -> Summary:
    import pandas as pd

    scores = entry.column(measure)
    known = scores.dropna()
    values = known.to_numpy(float)
    patients, names = pd.factorize(entry.patients.loc[known.index], sort=True)
    folds = entry.fold_means(measure)
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75]) if values.size else [float("nan")] * 3
    return Summary(
        entry=entry.label,
        n=values.size,
        patients=len(names),
        undefined=len(scores) - values.size,
        mean=float(values.mean()) if values.size else float("nan"),
        sd=float(values.std(ddof=1)) if values.size > 1 else None,
        median=float(median),
        q1=float(q1),
        q3=float(q3),
        interval=mean_interval(values, patients),
        folds=len(folds),
        fold_mean=float(folds.mean()) if len(folds) > 1 else None,
        fold_sd=float(folds.std(ddof=1)) if len(folds) > 1 else None,
    )


def _agreements(group: Group) -> Iterator[BlandAltman]:
    for entry in group.entries:
        reference, prediction = (
            entry.column(Measure("volume", "all", "whole", f"{name}_volume")) for name in ("truth", "prediction")
        )
        known = reference.notna() & prediction.notna()
        if known.any():
            cases = tuple(map(str, reference.index[known]))
            yield bland_altman(
                entry.label,
                cases,
                reference[known].to_numpy(float),
                prediction[known].to_numpy(float),
                patients=entry.patients[known].to_numpy(),
            )


def _cautions(group: Group, summaries: Sequence[Summary], pairs: Sequence[PairTest]) -> Iterator[str]:
    patients = min(summary.patients for summary in summaries)
    if patients < FEW_PATIENTS:
        yield (
            f"With {patients} patient{'' if patients == 1 else 's'} no exact paired test can give a p below "
            f"{smallest_p(patients):.3g}, so no difference between methods can be shown at the 5 % level, and "
            f"intervals and ranks only describe these cases. At least {FEW_PATIENTS} patients are needed."
        )
    elif pairs and smallest_p(patients) * len(pairs) > SIGNIFICANT:
        yield (
            f"With {patients} patients and {len(pairs)} pairs no pair can reach the 5 % level after Holm's correction: "
            f"the smallest p that is possible is {min(1.0, smallest_p(patients) * len(pairs)):.2g}. "
            "Compare fewer methods, or on more patients."
        )
    if any(summary.n > summary.patients for summary in summaries):
        yield (
            "Some patients have several cases: intervals draw them together, tests and ranks take their mean, and "
            "mean, deviation and quartiles count every case."
        )
    if not group.same_cases:
        yield "The methods rest on different cases: means are not comparable; tests and ranks use those in common."
    if len({entry.folds for entry in group.entries if entry.folds != ("none",)}) > 1:
        yield (
            "The methods were predicted by different folds: an ensemble usually scores higher than its folds, and more "
            "folds give a steadier mean than few."
        )
    if not all(entry.even for entry in group.entries):
        yield "Some cases have scores of fewer folds than others; their mean is over the folds that they have."
    if undefined := sum(summary.undefined for summary in summaries):
        yield f"{undefined} scores are undefined under the policy for empty masks and were left out."
    if any("normal approximation" in pair.how for pair in pairs):
        yield "Some p-values are normal approximations, since there are many patients or equal differences."
