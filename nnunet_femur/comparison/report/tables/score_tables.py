"""Tables of scores: a row per method, mean ± standard deviation over cases, the best mean of a column in bold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.report.tables.model import Cell, Column, Row, Table, count, digits, number, with_deviation
from nnunet_femur.evaluation import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.report.report_data import ReportData

CASES = Column("n")
TRAINING = Column("Training (min)", unit="min")

READER = "second reader"
"""Detail of the row of a second reader."""

MeanAndSd = tuple[float, float | None]
"""A mean, and its standard deviation or None."""


def score_column(protocol: str, plane: str, region: str, metric: str, *, above: str, heading: str = "") -> Column:
    """Return the column of one measure, with the metric's name and unit as heading unless another one is given."""
    unit = METRICS[metric].unit
    name = heading or METRICS[metric].label
    return Column(name if unit == "1" else f"{name} ({unit})", above, (protocol, plane, region, metric), unit)


def over_cases(values: pd.DataFrame, column: Column) -> MeanAndSd:
    """Return mean and sample standard deviation over cases; NaN without a case, None as deviation of a single case.

    Args:
        values: A row per case and a column per measure, see :attr:`~nnunet_femur.comparison.grouping.Entry.defined`.
        column: The column of the measure.
    """
    of_cases = values[column.key].dropna() if column.key in values else values.iloc[:0, 0]
    if not len(of_cases):
        return math.nan, None
    return float(of_cases.mean()), float(of_cases.std(ddof=1)) if len(of_cases) > 1 else None


def score_table(
    data: ReportData,
    group: Group,
    entries: Sequence[Entry],
    columns: Sequence[Column],
    *,
    kind: str,
    section: str,
    title: str,
    note: str,
    place: Literal["main", "open", "folded"] = "open",
    summarise: Callable[[Entry, Column], MeanAndSd] = lambda entry, column: over_cases(entry.defined, column),
    with_training_time: bool = True,
    apart: Sequence[Entry] = (),
) -> Table:
    """Return a table with a row per entry: number of cases, the columns that have any score, and the training time.

    The best mean of a column, the one nearest to the metric's ideal, is marked if there are several entries and all
    were scored on the same cases.

    Args:
        data: The data of the report.
        group: The group that the entries belong to.
        entries: The rows.
        columns: Columns of measures, see :func:`score_column`.
        kind: First word of the table's file name.
        section: The section of the report.
        title: Title of the table.
        note: Explanation below the table.
        place: See :class:`~nnunet_femur.comparison.report.tables.model.Table`.
        summarise: Returns mean and standard deviation of an entry in a column; by default over cases.
        with_training_time: Add the training time in minutes as last column, if any is known.
        apart: Second readers, in rows of their own below the others, which are never marked.
    """
    marked = same_cases(entries) and len(entries) > 1
    kept: list[Column] = [CASES]
    shown = (*entries, *apart)
    cells: list[list[Cell]] = [[count(len(entry.wide))] for entry in shown]
    for column in columns:
        found = [summarise(entry, column) for entry in shown]
        if all(math.isnan(mean) for mean, _ in found):
            continue
        kept.append(column)
        best = _best([mean for mean, _ in found[: len(entries)]], column) if marked else set()
        for row, (mean, deviation) in enumerate(found):
            cells[row].append(with_deviation(mean, deviation, unit=column.unit, best=row in best))
    minutes = [data.minutes(entry) for entry in shown]
    if with_training_time and any(known is not None for known in minutes):
        kept.append(TRAINING)
        for row, known in enumerate(minutes):
            cells[row].append(number(known, "min"))
    return Table(
        name=file_name(kind, group.dataset, group.key),
        section=section,
        title=title,
        columns=tuple(kept),
        rows=(
            *(Row(entry.name, tuple(own), detail=entry.detail) for entry, own in zip(entries, cells, strict=False)),
            *(
                Row(entry.name, tuple(own), detail=READER, apart=True)
                for entry, own in zip(apart, cells[len(entries) :], strict=True)
            ),
        ),
        note=note,
        place=place,
    )


def _best(means: Sequence[float], column: Column) -> set[int]:
    """Return the rows whose means are nearest to the ideal, compared as printed."""
    assert column.key is not None  # noqa: S101 - a column of scores has one
    ideal = METRICS[column.key[3]].ideal
    distances = [round(abs(mean - ideal), digits(column.unit)) for mean in means]
    nearest = min((distance for distance in distances if not math.isnan(distance)), default=math.nan)
    return {row for row, distance in enumerate(distances) if distance == nearest}


def same_cases(entries: Sequence[Entry]) -> bool:
    """Return True if all entries were scored on the same cases."""
    return len({tuple(entry.wide.index) for entry in entries}) == 1
