"""Sentences at the top of a report: what its numbers show, and what they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report.report_data import measure_title
from nnunet_femur.comparison.statistics.claims import LEVEL
from nnunet_femur.comparison.statistics.endpoint_statistics import of_all_measures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.statistics.analysis import GroupStatistics
    from nnunet_femur.comparison.statistics.claims import Claim, MarginTest
    from nnunet_femur.comparison.statistics.endpoint_statistics import GroupEndpoints

_VERDICTS = ("better", "equivalent", "not worse", "undecided", "worse")
"""Verdicts in the order of a sentence."""


def headlines(statistics: Sequence[GroupStatistics], endpoints: Sequence[GroupEndpoints] = ()) -> Iterator[str]:
    """Yield, for each group, a sentence about its best method by 3D Dice, and one for each score with a margin.

    Args:
        statistics: Statistics of the groups, in the order of the report.
        endpoints: Statistics of clinical measurements of each group.
    """
    for group, measures in of_all_measures(statistics, endpoints):
        first = measures[0] if measures else None
        if first and (rival := first.most_doubtful):
            yield f"{group.title}, {measure_title(first.measure)}: {_best(rival, len(first.claims))}"
        for each in measures:
            if each.margins:
                yield f"{group.title}, {measure_title(each.measure)}: {_compared(each.margins)}"


def _best(rival: Claim, rivals: int) -> str:
    if rival.false is None:
        return f"{rival.first} has the best mean of {rivals + 1} methods; one patient shows no difference."
    number = "each of the others" if rivals > 1 else rival.second
    if rival.holds:
        return (
            f"{rival.first} is better than {number}; the probability that this is false is at most "
            f"{_percent(rival.false)} ({rival.second})."
        )
    return (
        f"{rival.first} has the best mean, but is not shown to be better than {rival.second}: the probability that the "
        f"claim is false is {_percent(rival.false)}.{_needed(rival)}"
    )


def _needed(claim: Claim) -> str:
    if claim.needed is None:
        return ""
    return f" About {claim.needed} patients would settle it, if the methods differ as much as here."


def _compared(tests: Sequence[MarginTest]) -> str:
    """Return which methods are not worse than the named one, which are, and which are undecided."""
    found = []
    for verdict in _VERDICTS:
        named = [
            test.method
            + (f" (needs about {test.needed} patients)" if verdict == "undecided" and test.needed is not None else "")
            for test in tests
            if test.verdict == verdict
        ]
        if named:
            found.append(f"{verdict}: {', '.join(named)}")
    return (
        f"compared with {tests[0].against}, up to a margin of {tests[0].margin:g} at the {100 * LEVEL:g} % level: "
        f"{'; '.join(found)}."
    )


def _percent(probability: float) -> str:
    return "less than 0.1 %" if probability < 0.001 else f"{100 * probability:.2g} %"
