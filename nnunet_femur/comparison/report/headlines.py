"""Sentences at the top of a report: what its numbers show, and what they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.clinical.endpoints import metric_of, unit_text
from nnunet_femur.comparison.report.report_data import measure_title
from nnunet_femur.comparison.statistics.claims import FEWEST_PATIENTS, LEVEL
from nnunet_femur.comparison.statistics.endpoint_statistics import of_all_measures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.grouping import Measure
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics, Statistics
    from nnunet_femur.comparison.statistics.claims import Claim, MarginTest
    from nnunet_femur.comparison.statistics.endpoint_statistics import GroupEndpoints
    from nnunet_femur.comparison.statistics.human_ceiling import BesideRater

PASSED = ("better", "equivalent", "not worse")
"""Verdicts of a method that is not worse than the named one."""

_VERDICTS = ("better", "equivalent", "not worse", "undecided", "worse")
"""Verdicts in the order of a sentence."""


def headlines(statistics: Sequence[GroupStatistics], endpoints: Sequence[GroupEndpoints] = ()) -> Iterator[str]:
    """Yield the sentences of each group.

    The first one names the methods that are not worse than a named one in any score with a margin. Further ones are
    about the best method by 3D Dice, about second readers, and about each score with a margin.

    Args:
        statistics: Statistics of the groups, in the order of the report.
        endpoints: Statistics of clinical measurements of each group.
    """
    for group, measures in of_all_measures(statistics, endpoints):
        if compared := [each for each in measures if each.margins]:
            yield f"{group.title}: {_not_worse(compared)}"
        first = measures[0] if measures else None
        if first and (rival := first.most_doubtful):
            yield f"{group.title}, {measure_title(first.measure)}: {_best(rival, len(first.claims))}"
        for rater in group.raters:
            if first and (beside := [one for one in first.beside_raters if one.rater == rater.label and one.cases]):
                yield f"{group.title}, {measure_title(first.measure)}: {_beside(beside)}"
        for each in measures:
            if each.margins:
                yield f"{group.title}, {measure_title(each.measure)}: {_compared(each.margins)}"


def _best(rival: Claim, rivals: int) -> str:
    if rival.false is None or rival.n < FEWEST_PATIENTS:
        patients = "one patient is" if rival.n == 1 else f"{rival.n} patients are"
        return f"{rival.first} has the best mean of {rivals + 1} methods; {patients} too few for a claim."
    number = "each of the others" if rivals > 1 else rival.second
    if rival.holds:
        return (
            f"{rival.first} is better than {number}; the largest probability that this is false is "
            f"{_percent(rival.false)} ({rival.second})."
        )
    return (
        f"{rival.first} has the best mean, but is not shown to be better than {rival.second}: the probability that the "
        f"claim is false is {_percent(rival.false)}.{_needed(rival)}"
    )


def _not_worse(compared: Sequence[Statistics]) -> str:
    """Return which methods are not worse than the named one in all scores with a margin, and in which others are not.

    Each of these tests has a level of 5 %, and a method must pass all of them, so the level of the statement about a
    method is 5 %, too: an intersection-union test (Berger 1982).
    """
    verdicts: dict[str, list[tuple[str, str]]] = {}
    for each in compared:
        for test in each.margins:
            verdicts.setdefault(test.method, []).append((measure_title(each.measure), test.verdict))
    shown = [method for method, of in verdicts.items() if _passes(of, compared)]
    others = [
        f"{method} ({', '.join(f'{title}: {verdict}' for title, verdict in of if verdict not in PASSED) or 'untested'})"
        for method, of in verdicts.items()
        if method not in shown
    ]
    against = compared[0].margins[0].against
    margins = ", ".join(margin_text(each.measure, each.margins[0].margin) for each in compared)
    sentence = f"not worse than {against} up to the margins ({margins}): {', '.join(shown) or 'no method'}."
    return f"{sentence} Not shown for {', '.join(others)}." if others else sentence


def margin_text(measure: Measure, margin: float) -> str:
    """Return the name of a score with its margin and unit."""
    unit = metric_of(measure).unit
    return f"{measure_title(measure)} {margin:g}" + ("" if unit == "1" else f" {unit_text(unit)}")


def _passes(verdicts: Sequence[tuple[str, str]], compared: Sequence[Statistics]) -> bool:
    return len(verdicts) == len(compared) and all(verdict in PASSED for _, verdict in verdicts)


def _beside(found: Sequence[BesideRater]) -> str:
    """Return the method with the largest gain over a second reader, beside the reader."""
    one = max(found, key=lambda each: each.gain)
    interval = "" if one.interval is None else f" (95 % CI {one.interval.low:+.3f} to {one.interval.high:+.3f})"
    cases = "1 case" if one.cases == 1 else f"{one.cases} cases"
    text = (
        f"{one.rater}, a second reader, reaches {one.of_rater:.3f} on {cases}, {one.method} {one.of_method:.3f} on the "
        f"same. Mean difference of the method from the reader: {one.gain:+.3f}{interval}."
    )
    return text.replace("-0.", "−0.")


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
