"""Tables of claims: how likely the best method is not the best, and which methods are not worse than a named one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.clinical.endpoints import metric_of
from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.report_data import file_name, measure_title
from nnunet_femur.comparison.report.tables.model import (
    GAP,
    Cell,
    Column,
    Row,
    Table,
    count,
    digits,
    interval_text,
    p_value,
    signed,
)
from nnunet_femur.comparison.statistics.claims import LEVEL, MOST_PATIENTS, POWER
from nnunet_femur.comparison.statistics.endpoint_statistics import of_all_measures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.grouping import Group, Measure
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.analysis import Statistics
    from nnunet_femur.comparison.statistics.bootstrap import Interval

_NEEDED = (
    f"Needed: number of patients that would settle the question at the {100 * LEVEL:g} % level with {100 * POWER:g} % "
    "power, if mean and standard deviation of the gain are those seen; – if it is settled, the gain has the wrong "
    f"sign, or more than {MOST_PATIENTS} are needed."
)


def claim_tables(data: ReportData) -> Iterator[Table]:
    """Yield for every group the claims about its best methods, and the comparisons up to a margin."""
    for group, measures in of_all_measures(data.statistics, data.endpoints):
        if any(each.claims for each in measures):
            yield _claims(group, measures)
        if any(each.margins for each in measures):
            yield _margins(group, measures)


def _claims(group: Group, measures: list[Statistics]) -> Table:
    rows = []
    for one in measures:
        rival = one.most_doubtful
        if rival is None:
            continue
        places = digits(metric_of(one.measure).unit)
        holds = sum(claim.holds for claim in one.claims)
        rows.append(
            Row(
                _title(one.measure),
                (
                    Cell(rival.first),
                    Cell(f"{holds} of {len(one.claims)}", float(holds)),
                    Cell(rival.second),
                    count(rival.n),
                    signed(rival.gain, places),
                    _interval(rival.interval, places),
                    p_value(rival.false),
                    _needed(rival.needed),
                ),
            )
        )
    return Table(
        name=file_name("claims", group.dataset, group.key),
        section=sections.STATISTICS,
        title=f"{group.title}: the best method, and the probability that it is not better",
        stub="Score",
        columns=(
            Column("Best mean", unit=""),
            Column("better than", "Claims that hold", unit=""),
            Column("method", "Most doubtful rival", unit=""),
            Column("patients", "Most doubtful rival"),
            Column("mean gain", "Most doubtful rival", unit=""),
            Column("95 % CI", "Most doubtful rival", unit=""),
            Column("P(false claim)", "Most doubtful rival"),
            Column("needed", "Most doubtful rival"),
        ),
        rows=tuple(rows),
        note=(
            "P(false claim): probability that the method with the best mean is not better than the rival (after "
            f"Christodoulou et al., arXiv 2505.04720); a claim holds up to {100 * LEVEL:g} %. It is not corrected for "
            "the number of methods. Gain: how much nearer to the ideal the best method is, mean over the patients with "
            f"scores of all methods, with its t-interval. {_NEEDED}"
        ),
    )


def _margins(group: Group, measures: list[Statistics]) -> Table:
    rows = []
    for one in measures:
        unit = metric_of(one.measure).unit
        places = digits(unit)
        rows += [
            Row(
                test.method,
                (
                    Cell(_title(one.measure)),
                    Cell(f"{test.margin:g}", test.margin),
                    count(test.n),
                    signed(test.gain, places),
                    _interval(test.interval, places),
                    Cell(test.verdict),
                    p_value(test.p_not_worse),
                    p_value(test.p_equivalent),
                    _needed(test.needed),
                ),
            )
            for test in one.margins
        ]
    against = next(test.against for one in measures for test in one.margins)
    return Table(
        name=file_name("margins", group.dataset, group.key),
        section=sections.STATISTICS,
        title=f"{group.title}: compared with {against} up to a margin",
        columns=(
            Column("Score", unit=""),
            Column("margin"),
            Column("patients"),
            Column("mean gain", unit=""),
            Column("90 % CI", unit=""),
            Column("verdict", unit=""),
            Column("not worse", "p"),
            Column("equivalent", "p"),
            Column("needed"),
        ),
        rows=tuple(rows),
        note=(
            f"Gain: how much nearer to the ideal the method is than {against}, mean over patients. A method is not "
            "worse if the 90 % t-interval of the gain is above minus the margin (one-sided test at 5 %), equivalent if "
            "it is also below the margin (two one-sided tests), better if it is above 0, and worse if it is below 0 "
            f"and not equivalent. The p-values are not corrected for several methods and scores. {_NEEDED}"
        ),
    )


def _title(measure: Measure) -> str:
    unit = metric_of(measure).unit
    return measure_title(measure) if unit == "1" else f"{measure_title(measure)} ({unit})"


def _interval(interval: Interval | None, places: int) -> Cell:
    return GAP if interval is None else Cell(interval_text(interval.low, interval.high, places))


def _needed(patients: int | None) -> Cell:
    return GAP if patients is None else count(patients)
