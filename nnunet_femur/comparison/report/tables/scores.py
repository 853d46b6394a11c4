"""A table of scores: an entry per method, mean ± standard deviation over cases, the best in bold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nnunet_femur.comparison.report.tables.model import Cell, Column, Row, count, digits, number, with_deviation
from nnunet_femur.evaluation import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from nnunet_femur.comparison.grouping import Entry
    from nnunet_femur.comparison.report.report_data import ReportData

CASES = Column("n")
TRAINING = Column("Training (min)", unit="min")

Summary = tuple[float, float | None]
"""A mean, and its standard deviation if there is one."""


def score(protocol: str, plane: str, region: str, metric: str, *, above: str, heading: str = "") -> Column:
    """The column of one score."""
    unit = METRICS[metric].unit
    name = heading or METRICS[metric].label
    return Column(name if unit == "1" else f"{name} ({unit})", above, (protocol, plane, region, metric), unit)


def over_cases(values: pd.DataFrame, column: Column) -> Summary:
    """Mean and sample standard deviation over cases; the deviation is None for a single case."""
    of_cases = values[column.key].dropna() if column.key in values else values.iloc[:0, 0]
    if not len(of_cases):
        return math.nan, None
    return float(of_cases.mean()), float(of_cases.std(ddof=1)) if len(of_cases) > 1 else None


def score_rows(
    findings: ReportData,
    entries: Sequence[Entry],
    columns: Sequence[Column],
    *,
    summarise: Callable[[Entry, Column], Summary] = lambda entry, column: over_cases(entry.defined, column),
    timed: bool = True,
) -> tuple[tuple[Column, ...], tuple[Row, ...]]:
    """The columns that have any score, and a row of them for each entry.

    The best mean of a column, the one nearest to the metric's ideal, is marked if there are several entries and all
    rest on the same cases. The number of cases comes first, and the minutes of the training last, if any is known
    and the table is `timed`.
    """
    marked = same_cases(entries) and len(entries) > 1
    kept: list[Column] = [CASES]
    cells: list[list[Cell]] = [[count(len(entry.wide))] for entry in entries]
    for column in columns:
        found = [summarise(entry, column) for entry in entries]
        if all(math.isnan(mean) for mean, _ in found):
            continue
        kept.append(column)
        best = _best([mean for mean, _ in found], column) if marked else set()
        for place, (mean, deviation) in enumerate(found):
            cells[place].append(with_deviation(mean, deviation, unit=column.unit, best=place in best))
    minutes = [findings.minutes(entry) for entry in entries]
    if timed and any(known is not None for known in minutes):
        kept.append(TRAINING)
        for place, known in enumerate(minutes):
            cells[place].append(number(known, "min"))
    rows = tuple(Row(entry.name, tuple(own), detail=entry.detail) for entry, own in zip(entries, cells, strict=True))
    return tuple(kept), rows


def _best(means: Sequence[float], column: Column) -> set[int]:
    """Places of the means that are nearest to the ideal, as printed."""
    assert column.key is not None  # noqa: S101 - a column of scores has one
    ideal = METRICS[column.key[3]].ideal
    distances = [round(abs(mean - ideal), digits(column.unit)) for mean in means]
    nearest = min((distance for distance in distances if not math.isnan(distance)), default=math.nan)
    return {place for place, distance in enumerate(distances) if distance == nearest}


def same_cases(entries: Sequence[Entry]) -> bool:
    """Whether entries rest on the same cases."""
    return len({tuple(entry.wide.index) for entry in entries}) == 1


def slug(*parts: str) -> str:
    """A file name from words: lower case, with underscores between them."""
    words = "_".join(filter(None, parts)).lower()
    kept = "".join(letter if letter.isalnum() or letter in "._" else "_" for letter in words)
    return "_".join(filter(None, kept.split("_")))
