"""The tables: mean ± standard deviation over cases, a line per method and set."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from nnunet_femur.evaluation import EMPTY_KINDS, METRICS, PLANES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nnunet_femur.comparison.grouping import Group, Line

DIGITS = 3
"""Decimals of a mean and of a standard deviation; means that print alike count as equal."""


@dataclass(frozen=True)
class Column:
    """One score of a table.

    Attributes:
        heading: Title of the column.
        above: Title over the columns of one protocol.
        protocol: As in scores.csv, and so are plane and metric.
        plane: Plane of the slices, or "all".
        metric: Name of the metric.
    """

    heading: str
    above: str
    protocol: str
    plane: str
    metric: str


SUMMARY = (
    *(Column(metric.label, "3D", "volume", "all", name) for name, metric in METRICS.items()),
    *(Column(plane, "Dice of slices", "slices", plane, "dice") for plane in PLANES),
)
"""Columns of the table that is shown first; another one is another line."""

SLICES = tuple(
    Column(metric.label, f"{plane} slices", "slices", plane, name)
    for plane in PLANES
    for name, metric in METRICS.items()
)
"""Columns of the table of all slice scores."""


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation over cases; the deviation is None for a single case."""

    mean: float
    deviation: float | None
    best: bool

    def __str__(self) -> str:
        deviation = "–" if self.deviation is None else f"{self.deviation:.{DIGITS}f}"
        return f"{self.mean:.{DIGITS}f} ± {deviation}"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: Short name of the method.
        detail: Folds or ensemble, where that tells lines apart.
        label: Both in one.
        cases: Number of cases.
        cells: One per column.
        minutes: Training of one model in minutes (of several the mean), if known.
    """

    name: str
    detail: str
    label: str
    cases: int
    cells: tuple[Cell, ...]
    minutes: float | None


@dataclass(frozen=True)
class Table:
    """The table of one group.

    Attributes:
        title: Title of the group, and what of it is shown.
        columns: The scores that are shown.
        rows: One per line of the group.
        note: What a reader must know about this table, in sentences.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str

    @property
    def headings(self) -> list[tuple[str, int]]:
        """The titles over the columns, and over how many each of them stands."""
        return [(above, len(list(under))) for above, under in groupby(self.columns, key=lambda column: column.above)]

    @property
    def timed(self) -> bool:
        """Whether any row knows its training time."""
        return any(row.minutes is not None for row in self.rows)


def tabulate(group: Group, seconds: Mapping[tuple[str, str], float]) -> tuple[Table, Table]:
    """The summary of a group, and the table of its slice scores.

    The best mean of a column, the one nearest to the metric's ideal, is marked if there are several rows and
    all rest on the same cases.

    Args:
        group: The lines to summarise.
        seconds: Duration of the training in seconds by method and fold, where it is known.
    """
    note = _note(group)
    return (
        Table(group.title, SUMMARY, _rows(group, SUMMARY, seconds), note),
        Table(f"{group.title}, slices", SLICES, _rows(group, SLICES, {}), note),
    )


def _rows(group: Group, columns: tuple[Column, ...], seconds: Mapping[tuple[str, str], float]) -> tuple[Row, ...]:
    means = [line.values.mean() for line in group.lines]
    deviations = [line.values.std(ddof=1) for line in group.lines]
    marked = group.same_cases and len(group.lines) > 1
    cells: list[list[Cell]] = [[] for _ in group.lines]
    for column in columns:
        key = (column.protocol, column.plane, column.metric)
        distances = [round(abs(mean[key] - METRICS[column.metric].ideal), DIGITS) for mean in means]
        for row, (line, mean, deviation) in enumerate(zip(group.lines, means, deviations, strict=True)):
            spread = float(deviation[key]) if len(line.values) > 1 else None
            best = marked and distances[row] == min(distances)
            cells[row].append(Cell(float(mean[key]), spread, best))
    return tuple(
        Row(line.name, line.detail, line.label, len(line.values), tuple(own), _minutes(line, seconds))
        for line, own in zip(group.lines, cells, strict=True)
    )


def _minutes(line: Line, seconds: Mapping[tuple[str, str], float]) -> float | None:
    known = [seconds[line.method, fold] for fold in line.folds if (line.method, fold) in seconds]
    return sum(known) / len(known) / 60 if known else None


def _note(group: Group) -> str:
    volumes = sum(len(line.values) for line in group.lines)
    note = (
        f"Scores set by the policy for empty masks: {_total(group, 'volume', *EMPTY_KINDS)} of {volumes} volumes, "
        f"{_total(group, 'slices', *EMPTY_KINDS)} of {_total(group, 'slices', 'slices')} slices of three planes."
    )
    if not group.same_cases:
        note += " The rows rest on different cases, so their means are not comparable and none is marked as best."
    return note


def _total(group: Group, protocol: str, *metrics: str) -> int:
    columns = (protocol, slice(None), list(metrics))
    return round(sum(line.values.loc[:, columns].to_numpy().sum() for line in group.lines))
