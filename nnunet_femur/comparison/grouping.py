"""From the tidy table to the lines that are compared: one per method and set."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.comparison.naming import method_names
from nnunet_femur.comparison.predictions import folds_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

SETS = {
    "test": "Test set",
    "cv": "Cross-validation",
    "fixed": "Fixed split",
}
"""Every set of scores.csv and its title, in the order of the report."""

_ADDRESS = ["protocol", "plane", "region", "metric"]


class Measure(NamedTuple):
    """The address of a score in scores.csv: what was measured, of what, and how."""

    protocol: str
    plane: str
    region: str
    metric: str


@dataclass(frozen=True)
class Line:
    """A method's scores on one set of cases.

    Attributes:
        method: The method as in scores.csv.
        folds: The folds whose predictions these are.
        name: Short name of the method.
        detail: What tells this line from others of the method, such as its folds; may be empty.
        rows: The rows of scores.csv that belong to it, of all regions.
    """

    method: str
    folds: tuple[str, ...]
    name: str
    detail: str
    rows: pd.DataFrame = field(repr=False)

    @property
    def label(self) -> str:
        """Name and detail."""
        return f"{self.name}, {self.detail}" if self.detail else self.name

    @cached_property
    def wide(self) -> pd.DataFrame:
        """A row per case and a column per :class:`Measure`; a case in several folds has the mean of its scores."""
        return _wide(self.rows)

    @property
    def values(self) -> pd.DataFrame:
        """The whole bone's scores: a row per case and a column per (protocol, plane, metric)."""
        whole = self.wide.loc[:, self.wide.columns.get_level_values("region") == "whole"]
        return whole.droplevel("region", axis="columns")

    def column(self, measure: Measure) -> pd.Series:
        """The scores of one measure by case; all NaN if it was not scored."""
        import pandas as pd

        if measure in self.wide.columns:
            return self.wide[measure]
        return pd.Series(np.nan, index=self.wide.index, dtype=float)

    @cached_property
    def patients(self) -> pd.Series:
        """Patient of each case."""
        return self.rows.drop_duplicates("case").set_index("case")["patient"].loc[self.wide.index]

    @cached_property
    def fold_of_case(self) -> pd.Series:
        """Fold of each case; of several the first."""
        return self.rows.drop_duplicates("case").set_index("case")["fold"].loc[self.wide.index]


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Pivot by sums and counts of integer codes: pandas' own pivot takes minutes for thousands of cases."""
    import pandas as pd

    cases = pd.Index(rows["case"].unique(), name="case").sort_values()
    codes, levels = zip(*(pd.factorize(rows[name], sort=True) for name in _ADDRESS), strict=True)
    sizes = [len(level) for level in levels]
    flat = np.ravel_multi_index(codes, sizes) if len(rows) else np.zeros(0, dtype=np.int64)
    used, column = np.unique(flat, return_inverse=True)
    cell = cases.get_indexer(pd.Index(rows["case"])) * len(used) + column
    shape, number = (len(cases), len(used)), len(cases) * len(used)
    sums = np.bincount(cell, weights=rows["value"].to_numpy(float), minlength=number).reshape(shape)
    counts = np.bincount(cell, minlength=number).reshape(shape)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    names = [level[code] for level, code in zip(levels, np.unravel_index(used, sizes), strict=True)]
    return pd.DataFrame(means, index=cases, columns=pd.MultiIndex.from_arrays(names, names=_ADDRESS))


@dataclass(frozen=True)
class Group:
    """Lines that may be compared, since they rest on one set of one dataset.

    Attributes:
        dataset: The dataset if there are several, else empty.
        set: One of :data:`SETS`.
        lines: By method and fold.
    """

    dataset: str
    set: str
    lines: tuple[Line, ...]

    @property
    def title(self) -> str:
        """Dataset, where it matters, and set in words."""
        return " · ".join(filter(None, (self.dataset, SETS[self.set])))

    @property
    def same_cases(self) -> bool:
        """Whether every line rests on the same cases."""
        return len({tuple(line.wide.index) for line in self.lines}) == 1


def group_scores(scores: pd.DataFrame) -> list[Group]:
    """Groups of a score table: by dataset, and within it in the order of :data:`SETS`."""
    names = method_names(scores["method"].unique())
    datasets = list(dict.fromkeys(method.rpartition("/")[0] for method in names))
    found = []
    for dataset in datasets:
        members = [method for method in names if method.rpartition("/")[0] == dataset]
        mine = scores[scores["method"].isin(members)] if len(datasets) > 1 else scores
        for kind in SETS:
            rows = mine[mine["set"] == kind]
            if len(rows):
                found.append(Group(dataset, kind, tuple(_lines(rows, kind, names))))
    return found


def _lines(rows: pd.DataFrame, kind: str, names: dict[str, str]) -> Iterator[Line]:
    # Folds 0-4 validate on different cases each and are one line; every model tested is a line of its own.
    pooled = (kind == "cv") & rows["fold"].str.isdecimal()
    keys = rows["fold"].where(~pooled, "pooled")
    for method, of_method in rows.groupby("method", sort=False, observed=True):
        several = len(keys[of_method.index].unique()) > 1
        for key, of_line in of_method.groupby(keys[of_method.index], sort=False, observed=True):
            folds = tuple(of_line["fold"].unique())
            yield Line(
                method=str(method),
                folds=folds,
                name=names[str(method)],
                detail=_detail(folds) if several or key == "pooled" else "",
                rows=of_line,
            )


def _detail(folds: tuple[str, ...]) -> str:
    numbers = [int(fold) for fold in folds if fold.isdecimal()]
    return folds_in_words(numbers) if numbers else {"none": ""}.get(folds[0], folds[0])
