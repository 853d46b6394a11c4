"""All statistics of a group of methods: summaries, paired tests, ranks, agreement, and cautions for the reader."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nnunet_femur.comparison.clinical.endpoints import metric_of
from nnunet_femur.comparison.grouping import Measure
from nnunet_femur.comparison.statistics.agreement import BlandAltman, bland_altman
from nnunet_femur.comparison.statistics.cautions import Caution, cautions_of
from nnunet_femur.comparison.statistics.claims import Claim, MarginTest, claim_better, compare_with_margin
from nnunet_femur.comparison.statistics.descriptive import Summary, summarise
from nnunet_femur.comparison.statistics.human_ceiling import BesideRater, beside_rater, on_shared_cases
from nnunet_femur.comparison.statistics.margins import ANALYSED
from nnunet_femur.comparison.statistics.paired_tests import PairTest, TestName, compare_pairs
from nnunet_femur.comparison.statistics.ranking import Ranking, rank_methods

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.statistics.margins import Margins

MEASURES = (
    *(Measure("volume", "all", "whole", metric) for metric in ANALYSED),
    Measure("slices", "axial", "whole", "dice"),
    Measure("volume", "all", "ends", "dice"),
)
"""Measures that are analysed by default. A measure without any score is left out."""


@dataclass(frozen=True)
class Statistics:
    """All statistics of one measure in one group.

    Attributes:
        measure: The measure.
        summaries: One per method, in the order of the group.
        pairs: The paired tests of all pairs of methods; empty with a single method.
        ranking: Ranks of the methods; None with a single method or no patient in common.
        cautions: Limits of the conclusions, such as too few patients.
        claims: The claims that the method with the best mean is better than each of the others, over the patients with
            scores of all methods; empty with a single method or no patient in common.
        margins: Comparisons of each method with a named one up to a margin; empty if none was named.
        raters: Summaries of the second readers, who are neither tested nor ranked.
        beside_raters: Each method beside each second reader, over the patients with scores of both.
    """

    measure: Measure
    summaries: tuple[Summary, ...]
    pairs: tuple[PairTest, ...]
    ranking: Ranking | None
    cautions: tuple[Caution, ...]
    claims: tuple[Claim, ...] = ()
    margins: tuple[MarginTest, ...] = ()
    raters: tuple[Summary, ...] = ()
    beside_raters: tuple[BesideRater, ...] = ()

    @property
    def most_doubtful(self) -> Claim | None:
        """The claim that is most probably false; None without claims."""
        return max(self.claims, key=lambda claim: (claim.false is None, claim.false or 0), default=None)


@dataclass(frozen=True)
class GroupStatistics:
    """The statistics of one group.

    Attributes:
        group: The methods compared, and the cases that they are compared on.
        measures: Statistics by measure.
        agreement: Bland-Altman agreement of the whole bone's volume, one per method with volumes.
    """

    group: Group
    measures: dict[Measure, Statistics]
    agreement: tuple[BlandAltman, ...]


def analyse_groups(
    groups: Sequence[Group],
    *,
    measures: Sequence[Measure] = MEASURES,
    test: TestName = "wilcoxon",
    margins: Margins | None = None,
) -> list[GroupStatistics]:
    """Return the statistics of every group, in their order.

    Methods that predict the femur ends alone are compared on the region "ends" only.

    Args:
        groups: The groups, as :func:`~nnunet_femur.comparison.grouping.group_scores` returns them.
        measures: The measures to analyse.
        test: The paired test, see :func:`~nnunet_femur.comparison.statistics.paired_tests.compare_pairs`.
        margins: The method that all others are compared with up to a margin; None for no such comparison.
    """
    return [
        GroupStatistics(
            group=group,
            measures={
                measure: analyse(
                    group if measure.region == "ends" else _of_whole_bones(group), measure, test=test, margins=margins
                )
                for measure in measures
                if any(entry.column(measure).notna().any() for entry in group.entries)
            },
            agreement=tuple(_agreements(_of_whole_bones(group))),
        )
        for group in groups
    ]


def analyse(
    group: Group,
    measure: Measure,
    *,
    test: TestName = "wilcoxon",
    tested: Measure | None = None,
    margins: Margins | None = None,
) -> Statistics:
    """Return summaries, tests, ranks and claims of one measure in one group.

    The methods are compared, not their folds: where several folds predict a case, their mean score counts. Tests and
    ranks treat the patient as the unit: several cases of a patient count once, by their mean score.

    Args:
        group: The methods to compare.
        measure: The measure to compare. The nearer a score is to the metric's ideal, the better.
        test: The paired test, see :func:`~nnunet_femur.comparison.statistics.paired_tests.compare_pairs`.
        tested: The measure of tests, ranks and claims, if it is another one than that of the summaries.
        margins: The method that all others are compared with up to a margin; None for no such comparison.

    Example:
        >>> import pandas as pd
        >>> from nnunet_femur.comparison.grouping import Measure, group_scores
        >>> dice = Measure("volume", "all", "whole", "dice")
        >>> scores = pd.DataFrame(
        ...     [
        ...         (method, "test", "0", case, case, *dice, value, "1")
        ...         for method, values in (("A", [0.95, 0.94, 0.93]), ("B", [0.91, 0.95, 0.90]))
        ...         for case, value in zip("xyz", values)
        ...     ],
        ...     columns=["method", "set", "fold", "case", "patient", *dice._fields, "value", "unit"],
        ... )
        >>> (group,) = group_scores(scores)
        >>> found = analyse(group, dice)
        >>> [(one.entry, round(one.mean, 2), one.n) for one in found.summaries]
        [('A', 0.94, 3), ('B', 0.92, 3)]
        >>> [(pair.wins, pair.losses) for pair in found.pairs]
        [(2, 1)]
    """
    import pandas as pd

    ideal = metric_of(measure).ideal
    by_patient = {
        entry.label: entry.column(tested or measure).groupby(entry.patients.to_numpy(), sort=True).mean()
        for entry in group.entries
    }
    pairs = compare_pairs(by_patient, ideal=ideal, test=test)
    summaries = tuple(summarise(entry, measure) for entry in group.entries)
    of_tested = tuple(summarise(entry, tested) for entry in group.entries) if tested else summaries
    return Statistics(
        measure=measure,
        summaries=summaries,
        pairs=pairs,
        ranking=rank_methods(pd.DataFrame(by_patient), ideal=ideal),
        cautions=tuple(cautions_of(group, of_tested, pairs)),
        claims=_claims(by_patient, ideal),
        margins=() if margins is None else tuple(_margin_tests(by_patient, ideal, group, tested or measure, margins)),
        raters=tuple(summarise(entry, measure) for entry in group.raters),
        beside_raters=tuple(_beside_raters(group, tested or measure, ideal)),
    )


def _beside_raters(group: Group, measure: Measure, ideal: float) -> Iterator[BesideRater]:
    for rater in group.raters:
        of_rater = rater.column(measure).rename(rater.label)
        for entry in group.entries:
            yield beside_rater(entry.column(measure).rename(entry.label), of_rater, entry.patients, ideal=ideal)


def _claims(by_patient: dict[str, pd.Series], ideal: float) -> tuple[Claim, ...]:
    """Return the claims that the method with the best mean is better than each of the others."""
    import pandas as pd

    shared = pd.DataFrame(by_patient).dropna()
    if shared.shape[1] < 2 or shared.empty:
        return ()
    best = (shared - ideal).abs().mean().idxmin()
    return tuple(claim_better(shared[best], shared[other], ideal=ideal) for other in shared if other != best)


def _margin_tests(
    by_patient: dict[str, pd.Series], ideal: float, group: Group, measure: Measure, margins: Margins
) -> Iterator[MarginTest]:
    """Yield the comparison of each other method with the named one, if the measure has a margin."""
    against, margin = margins.entry_of(group), margins.of_measure(measure)
    if against is None or margin is None:
        return
    for entry in group.entries:
        if entry is against:
            continue
        if against.label in by_patient:
            scores, reference = by_patient[entry.label], by_patient[against.label]
        else:
            # A second reader may have masks of one leg of a patient only.
            scores, reference, _ = on_shared_cases(entry.column(measure), against.column(measure), entry.patients)
        yield compare_with_margin(
            scores.rename(entry.label), reference.rename(against.label), ideal=ideal, margin=margin
        )


def whole_femur_entries(group: Group) -> tuple[Entry, ...]:
    """Return the methods of a group that predict whole femurs; all methods if none of them does."""
    return tuple(entry for entry in group.entries if not entry.ends_only) or group.entries


def _of_whole_bones(group: Group) -> Group:
    return replace(group, entries=whole_femur_entries(group))


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
