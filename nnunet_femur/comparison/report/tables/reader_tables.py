"""Tables of second readers: the methods beside a reader, against the reference and against the reader's masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.clinical.endpoints import metric_of
from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.raters import BESIDE
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
    number,
    signed,
)
from nnunet_femur.comparison.report.tables.score_tables import READER
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nnunet_femur.comparison.grouping import Entry, Group, Measure
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics
    from nnunet_femur.comparison.statistics.human_ceiling import BesideRater


def reader_tables(data: ReportData) -> Iterator[Table]:
    """Yield a table for every group and second reader."""
    for statistics in data.statistics:
        for reader in statistics.group.raters:
            against = _means_against(data, statistics.group, reader.method)
            yield _table(statistics, reader, against)


def _table(statistics: GroupStatistics, reader: Entry, against: Mapping[tuple[str, Measure], float]) -> Table:
    group = statistics.group
    measures = [measure for measure in BESIDE if measure in statistics.measures]
    beside = {
        (one.method, measure): one
        for measure in measures
        for one in statistics.measures[measure].beside_raters
        if one.rater == reader.label
    }
    rows = []
    for entry in whole_femur_entries(group):
        cells = [count(max((one.cases for (label, _), one in beside.items() if label == entry.label), default=0))]
        for measure in measures:
            cells += _cells(beside.get((entry.label, measure)), measure, against.get((entry.method, measure)))
        rows.append(Row(entry.name, tuple(cells), detail=entry.detail))
    rows.append(_row_of(reader, measures))
    return Table(
        name=file_name("reader", reader.name, group.dataset, group.key),
        section=sections.READERS,
        title=f"{group.title}: methods beside {reader.name}",
        columns=(Column("cases"), *(column for measure in measures for column in _columns(measure, reader.name))),
        rows=tuple(rows),
        note=(
            f"{reader.name} is a second reader, who is not ranked. Only cases with a mask of the reader count; each "
            "patient counts once. Reference: mean score against the reference masks. Gain: how much nearer to the "
            f"ideal the method is than the reader, with its 95 % t-interval. Against {reader.name}: mean score of the "
            "method against the reader’s masks; a method that agrees with both readers as well as they agree with "
            "each other cannot be told from a reader by these scores."
        ),
    )


def _columns(measure: Measure, reader: str) -> Iterator[Column]:
    unit = metric_of(measure).unit
    above = measure_title(measure) if unit == "1" else f"{measure_title(measure)} ({unit})"
    yield Column("reference", above, unit=unit)
    yield Column("gain", above, unit="")
    yield Column("95 % CI of gain", above, unit="")
    yield Column(f"against {reader}", above, unit=unit)


def _cells(one: BesideRater | None, measure: Measure, against: float | None) -> Iterator[Cell]:
    unit = metric_of(measure).unit
    if one is None:
        yield from (GAP, GAP, GAP)
    else:
        yield number(one.of_method, unit)
        yield signed(one.gain, digits(unit))
        yield GAP if one.interval is None else Cell(interval_text(*one.interval, digits(unit)))
    yield number(against, unit)


def _row_of(reader: Entry, measures: Sequence[Measure]) -> Row:
    """Return the row of the reader: scores against the reference, which are also those against the reader."""
    cells = [count(len(reader.wide))]
    for measure in measures:
        mean = reader.column(measure).groupby(reader.patients.to_numpy()).mean().mean()
        cells += [number(float(mean), metric_of(measure).unit), GAP, GAP, GAP]
    return Row(reader.name, tuple(cells), detail=READER, apart=True)


def _means_against(data: ReportData, group: Group, reader: str) -> dict[tuple[str, Measure], float]:
    """Return the mean over patients of the scores of each method against the masks of a reader."""
    table = data.reader_scores.get(reader)
    if table is None or table.empty:
        return {}
    mine = [
        one
        for one in group_scores(table, ends_only=data.scored.ends_only)
        if (one.dataset, one.set) == (group.dataset, group.set) and (not group.fold or one.fold in ("", group.fold))
    ]
    return {
        (entry.method, measure): float(entry.column(measure).groupby(entry.patients.to_numpy()).mean().mean())
        for one in mine
        for entry in one.entries
        for measure in BESIDE
    }
