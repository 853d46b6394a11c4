"""Tables of scores by subgroup."""

from __future__ import annotations

from itertools import groupby
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
    with_deviation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.grouping import Group, Measure
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.subgroups import Subgroup, Subgroups


def subgroup_tables(data: ReportData) -> Iterator[Table]:
    """Yield for every group, measure and covariate the scores of all methods by subgroup."""
    for of_group in data.subgroups:
        for (measure, covariate), ones in groupby(of_group.subgroups, key=lambda one: (one.measure, one.covariate)):
            yield _table(of_group.group, measure, covariate, list(ones))


def _table(group: Group, measure: Measure, covariate: str, found: Sequence[Subgroups]) -> Table:
    unit = metric_of(measure).unit
    reasons = sorted({one.untested for one in found if one.untested})
    note = (
        "Mean ± standard deviation over cases; 95 % CI: bootstrap interval that resamples patients. p: Kruskal-Wallis "
        "test that the patients’ scores do not depend on the subgroup, cases without a value left out; p (Holm): "
        "corrected for all methods, scores and covariates."
    )
    if reasons:
        note += f" Not tested: {', '.join(reasons)}."
    return Table(
        name=file_name("subgroups", group.dataset, group.key, measure.metric, covariate),
        section=sections.SUBGROUPS,
        title=f"{group.title}: {measure_title(measure)} by {covariate}",
        columns=(
            Column(covariate, unit=""),
            Column("cases"),
            Column("patients"),
            Column("mean ± SD", unit=unit),
            Column("95 % CI of mean", unit=unit),
            Column("p", "Test"),
            Column("p (Holm)", "Test"),
        ),
        rows=tuple(_row(one, part, unit, first=part is one.groups[0]) for one in found for part in one.groups),
        note=note,
    )


def _row(one: Subgroups, part: Subgroup, unit: str, *, first: bool) -> Row:
    interval = GAP if part.interval is None else Cell(interval_text(*part.interval, digits(unit)))
    tested = (p_value(one.p), p_value(one.p_holm)) if first else (Cell(""), Cell(""))
    return Row(
        one.entry,
        (
            Cell(part.value),
            count(part.cases),
            count(part.patients),
            with_deviation(part.mean, part.sd, unit=unit),
            interval,
            *tested,
        ),
    )
