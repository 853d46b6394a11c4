"""The registry of tables.

To add a table, write a function that yields it from the data of the report, and add the function to :data:`TABLES`::

    def my_tables(data: ReportData) -> Iterator[Table]: ...

Files, terminal and report then contain it. A table of scores needs no more than a call of
:func:`~nnunet_femur.comparison.report.tables.score_tables.score_table` for each group of ``data.groups``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report.tables.calibration_tables import calibration_tables
from nnunet_femur.comparison.report.tables.claim_tables import claim_tables
from nnunet_femur.comparison.report.tables.clinical_tables import clinical_tables
from nnunet_femur.comparison.report.tables.details import case_tables, fold_tables, slice_tables, unscored_tables
from nnunet_femur.comparison.report.tables.model import Cell, Column, Row, Table
from nnunet_femur.comparison.report.tables.reader_tables import reader_tables
from nnunet_femur.comparison.report.tables.statistics_tables import statistics_tables
from nnunet_femur.comparison.report.tables.study_tables import study_tables
from nnunet_femur.comparison.report.tables.subgroup_tables import subgroup_tables
from nnunet_femur.comparison.report.tables.summary import summaries, surface_tables
from nnunet_femur.comparison.report.tables.training_tables import training_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nnunet_femur.comparison.report.report_data import ReportData

__all__ = ["TABLES", "Cell", "Column", "Row", "Table", "tabulate"]

TABLES: tuple[Callable[[ReportData], Iterator[Table]], ...] = (
    summaries,
    clinical_tables,
    claim_tables,
    statistics_tables,
    reader_tables,
    subgroup_tables,
    calibration_tables,
    study_tables,
    surface_tables,
    slice_tables,
    fold_tables,
    case_tables,
    unscored_tables,
    training_tables,
)
"""All tables. Those of one section of the report appear in this order."""


def tabulate(data: ReportData) -> list[Table]:
    """Return every table of a comparison."""
    return [table for make in TABLES for table in make(data)]
