"""The registry of tables: a table is one file and one line in :data:`TABLES`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report.tables.details import case_tables, fold_tables, slice_tables, unscored_tables
from nnunet_femur.comparison.report.tables.model import Cell, Column, Row, Table
from nnunet_femur.comparison.report.tables.statistics_tables import statistics_tables
from nnunet_femur.comparison.report.tables.study_tables import study_tables
from nnunet_femur.comparison.report.tables.summary import summaries, surface_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nnunet_femur.comparison.report.report_data import ReportData

__all__ = ["TABLES", "Cell", "Column", "Row", "Table", "tabulate"]

TABLES: tuple[Callable[[ReportData], Iterator[Table]], ...] = (
    summaries,
    statistics_tables,
    study_tables,
    surface_tables,
    slice_tables,
    fold_tables,
    case_tables,
)
"""What is tabulated, in the order of the report."""


def tabulate(findings: ReportData) -> list[Table]:
    """Every table of a comparison."""
    tables = [table for make in TABLES for table in make(findings)]
    return [*tables, *unscored_tables(findings.unscored)]
