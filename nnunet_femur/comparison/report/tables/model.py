"""What a table is made of, whatever it is written as."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

DIGITS = 3
"""Decimals of a mean and of a standard deviation without unit; means that print alike count as equal."""

UNIT_DIGITS = {"mm": 2, "ml": 1, "min": 1}
"""Decimals where there is a unit."""


@dataclass(frozen=True)
class Column:
    """One column of a table, after the name of the row.

    Attributes:
        heading: Title of the column.
        above: Title over neighbouring columns; empty for none.
        key: The score it shows as (protocol, plane, region, metric), if it is one.
        unit: Unit of its numbers, "1" if they have none, "" if it holds words.
    """

    heading: str
    above: str = ""
    key: tuple[str, str, str, str] | None = None
    unit: str = "1"

    @property
    def title(self) -> str:
        """Both titles in one."""
        return f"{self.above}: {self.heading}" if self.above else self.heading


@dataclass(frozen=True)
class Cell:
    """One number, with what stands beside it, or a word.

    Attributes:
        text: As printed.
        value: The number in full precision, by which a column is sorted; None for words and gaps.
        deviation: Standard deviation in full precision, if there is one.
        best: Whether it is the best of its column.
        published: The published figure that belongs beside it, as printed; empty for none.
    """

    text: str
    value: float | None = None
    deviation: float | None = None
    best: bool = False
    published: str = ""

    def __str__(self) -> str:
        return self.text

    @property
    def mean(self) -> float:
        """The number; NaN for a gap."""
        return math.nan if self.value is None else self.value


GAP = Cell("–")
"""Nothing to show."""


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: Short name of the method, or whatever the row is about.
        detail: Folds or ensemble, where that tells entries apart; may be empty.
        cells: One per column.
    """

    name: str
    cells: tuple[Cell, ...]
    detail: str = ""

    @property
    def label(self) -> str:
        """Name and detail."""
        return f"{self.name}, {self.detail}" if self.detail else self.name


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: Name of its files, without ending.
        section: The part of the report it belongs to.
        title: What it shows.
        columns: Its columns after the first, which names the rows.
        rows: Its lines.
        note: What a reader must know about it, in sentences.
        stub: Title of the first column.
        place: "main" if the terminal prints it, "open" if the report shows it, "folded" if the reader opens it.
    """

    name: str
    section: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    stub: str = "Method"
    place: Literal["main", "open", "folded"] = "open"

    def __post_init__(self) -> None:
        """See that every row fills every column: LaTeX refuses the table otherwise, and a reader is misled."""
        if any(len(row.cells) != len(self.columns) for row in self.rows):
            msg = f"{self.name}: a row has not the {len(self.columns)} cells of the table's columns"
            raise ValueError(msg)

    @property
    def headings(self) -> list[tuple[str, int]]:
        """The titles over the columns, and over how many each of them stands."""
        return [(above, len(list(under))) for above, under in groupby(self.columns, key=lambda column: column.above)]

    @property
    def published(self) -> bool:
        """Whether any cell has a published figure beside it."""
        return any(cell.published for row in self.rows for cell in row.cells)


def digits(unit: str) -> int:
    """Decimals that numbers of this unit are printed with."""
    return UNIT_DIGITS.get(unit, DIGITS)


def number(value: float | None, unit: str = "1") -> Cell:
    """A cell with one number; a gap for None and NaN."""
    if value is None or math.isnan(value):
        return GAP
    return Cell(f"{value:.{digits(unit)}f}", value)


def count(value: float) -> Cell:
    """A cell with a whole number."""
    return Cell(f"{round(value)}", float(value))


def with_deviation(mean: float, deviation: float | None, *, unit: str = "1", best: bool = False) -> Cell:
    """A cell with mean ± standard deviation; a gap for a mean of NaN."""
    if math.isnan(mean):
        return GAP
    places = digits(unit)
    known = deviation is not None and not math.isnan(deviation)
    spread = f"{deviation:.{places}f}" if known else "–"
    return Cell(f"{mean:.{places}f} ± {spread}", mean, deviation if known else None, best)


def p_value(value: float | None) -> Cell:
    """A cell with a probability, in the way journals print it; a gap for None and NaN."""
    if value is None or math.isnan(value):
        return GAP
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", value)
