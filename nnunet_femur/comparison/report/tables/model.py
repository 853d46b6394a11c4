"""The parts of a table, independent of the format that it is written in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

DIGITS = 3
"""Decimals of a mean and of a standard deviation without unit. Means that are printed alike count as equal."""

UNIT_DIGITS = {"mm": 2, "ml": 1, "min": 1, "deg": 2, "HU": 1, "mm2": 1, "cm2": 1, "%": 1}
"""Decimals of numbers with these units."""


@dataclass(frozen=True)
class Column:
    """One column of a table. The first column, with the names of the rows, is not among them.

    Attributes:
        heading: Heading of the column.
        above: Heading above neighbouring columns that share it; may be empty.
        key: The measure as (protocol, plane, region, metric); None if the column shows no score.
        unit: Unit of the numbers, "1" for numbers without unit, "" for text.
    """

    heading: str
    above: str = ""
    key: tuple[str, str, str, str] | None = None
    unit: str = "1"

    @property
    def title(self) -> str:
        """Both headings in one."""
        return f"{self.above}: {self.heading}" if self.above else self.heading


@dataclass(frozen=True)
class Cell:
    """A number with its standard deviation and its published counterpart, or a text.

    Attributes:
        text: Text as printed.
        value: The number in full precision, by which the column is sorted; None for texts and missing values.
        deviation: Standard deviation in full precision; None for a number without one.
        best: True for the best value of its column.
        published: The published figure as printed; empty without one.
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
        """The number; NaN for a missing value."""
        return math.nan if self.value is None else self.value


GAP = Cell("–")
"""A missing value."""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: Short name of the method, or of another subject of the row.
        cells: One cell per column.
        detail: Folds or ensemble, where a method has several entries; may be empty.
        apart: True for a row that is not compared with the others, such as a second reader; it comes last.
    """

    name: str
    cells: tuple[Cell, ...]
    detail: str = ""
    apart: bool = False

    @property
    def label(self) -> str:
        """Name and detail."""
        return f"{self.name}, {self.detail}" if self.detail else self.name


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: Name of its files, without ending.
        section: Section of the report, see :mod:`~nnunet_femur.comparison.report.sections`.
        title: Title.
        columns: The columns after the first one.
        rows: The rows.
        note: Explanation for the reader, below the table.
        stub: Heading of the first column, which contains the names of the rows.
        place: "main" if the terminal prints it and the report shows it, "open" if the report shows it, "folded" if the
            reader has to open it in the report.

    Raises:
        ValueError: A row has not as many cells as the table has columns.
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
        """Check that every row has a cell for every column."""
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                msg = f"{self.name}: row {row.label!r} must have {len(self.columns)} cells, got {len(row.cells)}"
                raise ValueError(msg)

    @property
    def compared(self) -> tuple[Row, ...]:
        """The rows that are compared with each other."""
        return tuple(row for row in self.rows if not row.apart)

    @property
    def apart(self) -> tuple[Row, ...]:
        """The rows that are shown below the others, and not compared with them."""
        return tuple(row for row in self.rows if row.apart)

    @property
    def headings(self) -> list[tuple[str, int]]:
        """The headings above the columns, each with the number of columns that it spans."""
        return [(above, len(list(under))) for above, under in groupby(self.columns, key=lambda column: column.above)]

    @property
    def has_scores(self) -> bool:
        """True if a column shows a score."""
        return any(column.key for column in self.columns)

    @property
    def has_published(self) -> bool:
        """True if a cell has a published figure."""
        return any(cell.published for row in self.rows for cell in row.cells)


def digits(unit: str) -> int:
    """Return the decimals that numbers of a unit are printed with.

    Example:
        >>> digits("1"), digits("mm")
        (3, 2)
    """
    return UNIT_DIGITS.get(unit, DIGITS)


def number(value: float | None, unit: str = "1") -> Cell:
    """Return a cell with one number, or :data:`GAP` for None and NaN."""
    if value is None or math.isnan(value):
        return GAP
    return Cell(f"{value:.{digits(unit)}f}", value)


def count(value: float) -> Cell:
    """Return a cell with a whole number."""
    return Cell(f"{round(value)}", float(value))


def signed(value: float | None, places: int) -> Cell:
    """Return a cell with one number and its sign, or :data:`GAP` for None and NaN.

    Example:
        >>> str(signed(1.25, 1)), str(signed(-0.5, 2)), str(signed(-0.001, 2))
        ('+1.2', '−0.50', '+0.00')
    """
    cell = number(value)
    return (
        cell
        if value is None or cell is GAP
        else Cell(f"{_rounded(value, places):+.{places}f}".replace("-", "−"), value)
    )


def interval_text(low: float, high: float, places: int) -> str:
    """Return an interval as text, with a minus sign as journals print it."""
    return f"{_rounded(low, places):.{places}f} to {_rounded(high, places):.{places}f}".replace("-", "−")


def _rounded(value: float, places: int) -> float:
    """Return a rounded number without the sign of a negative zero."""
    return round(value, places) + 0.0


def with_deviation(mean: float, deviation: float | None, *, unit: str = "1", best: bool = False) -> Cell:
    """Return a cell with mean ± standard deviation, or :data:`GAP` for a mean of NaN.

    Example:
        >>> str(with_deviation(0.92345, 0.0312)), str(with_deviation(4.2, None, unit="mm"))
        ('0.923 ± 0.031', '4.20 ± –')
    """
    if math.isnan(mean):
        return GAP
    places = digits(unit)
    known = deviation is not None and not math.isnan(deviation)
    spread = f"{deviation:.{places}f}" if known else "–"
    return Cell(f"{mean:.{places}f} ± {spread}", mean, deviation if known else None, best)


def p_value(value: float | None) -> Cell:
    """Return a cell with a p-value as journals print it, or :data:`GAP` for None and NaN.

    Example:
        >>> str(p_value(0.0004)), str(p_value(0.0216))
        ('< 0.001', '0.022')
    """
    if value is None or math.isnan(value):
        return GAP
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", value)
