"""The registry of tables: a table is one file and one line in :data:`TABLES`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.tables.cases import case_tables
from nnunet_femur.comparison.tables.folds import fold_tables
from nnunet_femur.comparison.tables.model import Cell, Column, Row, Table
from nnunet_femur.comparison.tables.slices import slice_tables
from nnunet_femur.comparison.tables.statistics import statistics_tables
from nnunet_femur.comparison.tables.study import study_tables
from nnunet_femur.comparison.tables.summary import summaries
from nnunet_femur.comparison.tables.surface import surface_tables
from nnunet_femur.comparison.tables.unscored import unscored_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nnunet_femur.comparison.findings import Findings

__all__ = ["TABLES", "Cell", "Column", "Row", "Table", "tabulate"]

TABLES: tuple[Callable[[Findings], Iterator[Table]], ...] = (
    summaries,
    statistics_tables,
    study_tables,
    surface_tables,
    slice_tables,
    fold_tables,
    case_tables,
)
"""What is tabulated, in the order of the report."""


def tabulate(findings: Findings) -> list[Table]:
    """Every table of a comparison."""
    tables = [table for make in TABLES for table in make(findings)]
    return [*tables, *unscored_tables(findings.unscored)]
