"""Scores of every model of every method: folds and ensembles are not methods, so they have a table of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison import sections
from nnunet_femur.comparison.tables.model import Table
from nnunet_femur.comparison.tables.scores import score_rows, slug
from nnunet_femur.comparison.tables.summary import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.findings import Findings


def fold_tables(findings: Findings) -> Iterator[Table]:
    """Yield a table for every set in which a method has several models."""
    for group in findings.groups:
        if len(group.models) == len(group.lines):
            continue
        models = [model for model in group.models if not model.ends_only] or list(group.models)
        columns, rows = score_rows(findings, models, SUMMARY)
        yield Table(
            name=slug("folds", group.dataset, group.key),
            section=sections.FOLDS,
            title=f"{group.title}, every fold",
            columns=columns,
            rows=rows,
            note="Mean ± standard deviation over the n cases of each fold. Tests and ranks compare methods, not folds.",
            place="folded",
        )
