"""Covariates of the cases, such as side, sex, scanner or implant, from a table of the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.dataset.user_tables import case_column, read_table
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import pandas as pd

MOST_VALUES = 6
"""Largest number of values that are subgroups. More numbers are divided at their median; more texts are not used."""


@dataclass(frozen=True)
class Covariates:
    """Covariates of the cases.

    Attributes:
        path: The file.
        table: A row per case, a column per covariate; texts as written, empty where there is no value.
    """

    path: Path
    table: pd.DataFrame

    @classmethod
    def read(cls, path: Path) -> Covariates:
        """Read a CSV file with commas, semicolons or tabs, and a column case (or id, case_id).

        Args:
            path: The file.

        Raises:
            InputError: The file cannot be read (code "unreadable"), is not such a table, or gives a case two values
                (code "invalid-file").
        """
        import pandas as pd

        numbered = read_table(path)
        names = numbered[0][1] if numbered else []
        where = case_column(names)
        if where is None:
            msg = f"{path}: the first line must name the column case, got {', '.join(names).lower() or 'nothing'}."
            raise InputError(msg, code="invalid-file")
        by_case: dict[str, dict[str, str]] = {}
        for line, row in numbered[1:]:
            filled = [*row, *[""] * (len(names) - len(row))]
            values = {name: filled[place] for place, name in enumerate(names) if place != where}
            if by_case.setdefault(filled[where], values) != values:
                msg = f"{path}: line {line} gives case {filled[where]} other values than an earlier line. Correct one."
                raise InputError(msg, code="invalid-file")
        return cls(path, pd.DataFrame.from_dict(by_case, orient="index", dtype=str))

    def of_cases(self, cases: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
        """Return the covariates that divide some cases, and a sentence for everything that cannot be used.

        Args:
            cases: The cases.

        Raises:
            InputError: No column divides the cases (code "invalid-file").
        """
        table = self.table.reindex([*cases]).fillna("")
        known = [len(table[name].unique()) > 1 for name in table.columns]
        if not any(known):
            msg = f"{self.path}: no column differs between the compared cases ({min(cases)}, ...). Check its ids."
            raise InputError(msg, code="invalid-file")
        table, problems = table.loc[:, known], []
        missing = sorted(case for case in cases if case not in self.table.index)
        if missing:
            problems.append(f"{self.path}: lacks {len(missing)} of {len(cases)} cases, such as {missing[0]}.")
        for name in table.columns:
            stated = table.loc[table[name] != "", name]
            if len(stated.unique()) > MOST_VALUES and not are_numbers(stated):
                problems.append(f"{self.path}: {name} has more than {MOST_VALUES} values, so it is not used.")
                table = table.drop(columns=name)
        return table, problems


def are_numbers(values: pd.Series) -> bool:
    """Return True if all texts that are not empty are numbers."""
    return bool(as_numbers(values[values != ""]).notna().all())


def as_numbers(values: pd.Series) -> pd.Series:
    """Return texts as numbers, with a point or a comma before the decimals; NaN for other texts.

    Example:
        >>> import pandas as pd
        >>> as_numbers(pd.Series(["64", "7,5", "m", ""])).tolist()
        [64.0, 7.5, nan, nan]
    """
    import pandas as pd

    return pd.to_numeric(values.str.replace(",", ".", regex=False), errors="coerce")
