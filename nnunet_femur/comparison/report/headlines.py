"""Sentences at the top of a report: what its numbers show, and what they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report.report_data import measure_title
from nnunet_femur.comparison.statistics.claims import LEVEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.statistics.analysis import GroupStatistics, Statistics
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
    of_endpoints = {one.group.key: [each.statistics for each in one.main.values()] for one in endpoints}
    for one in statistics:
        measures = [*one.measures.values(), *of_endpoints.get(one.group.key, ())]
        first = measures[0] if measures else None
        if first and first.claims:
            yield f"{one.group.title}, {measure_title(first.measure)}: {_best(first)}"
        for each in measures:
            if each.margins:
                yield f"{one.group.title}, {measure_title(each.measure)}: {_compared(each.margins)}"


def _best(one: Statistics) -> str:
    rival = max(one.claims, key=lambda claim: (claim.false is None, claim.false or 0))
    if rival.false is None:
        return f"{rival.first} has the best mean of {len(one.claims) + 1} methods; one patient shows no difference."
    number = "each of the others" if len(one.claims) > 1 else rival.second
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
