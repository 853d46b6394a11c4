"""Predictions that could not be scored, with the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison import sections
from nnunet_femur.comparison.tables.model import Cell, Column, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.predictions import Unscored


def unscored_tables(unscored: Sequence[Unscored]) -> Iterator[Table]:
    """Yield a table with a row for every prediction that could not be scored; nothing if all were scored."""
    if not unscored:
        return
    yield Table(
        name="unscored",
        section=sections.UNSCORED,
        title="Predictions that could not be scored",
        columns=(
            Column("Set", unit=""),
            Column("Fold", unit=""),
            Column("Case", unit=""),
            Column("Reason", unit=""),
        ),
        rows=tuple(Row(one.method, tuple(map(Cell, one[1:]))) for one in unscored),
        note="The other predictions were scored; methods that lack a case are tested on the cases in common.",
    )
