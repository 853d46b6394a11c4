"""From the tidy table to the lines that are compared: one per method and set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@dataclass(frozen=True)
class Line:
    """A method's scores on one set of cases.

    Attributes:
        method: The method as in scores.csv.
        folds: The folds whose predictions these are.
        name: Short name of the method.
        detail: What tells this line from others of the method, such as its folds; may be empty.
        values: A row per case and a column per (protocol, plane, metric), of the whole bone.
    """

    method: str
    folds: tuple[str, ...]
    name: str
    detail: str
    values: pd.DataFrame

    @property
    def label(self) -> str:
        """Name and detail."""
        return f"{self.name}, {self.detail}" if self.detail else self.name


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
        return len({tuple(line.values.index) for line in self.lines}) == 1


def group_scores(scores: pd.DataFrame) -> list[Group]:
    """Groups of a score table: by dataset, and within it in the order of :data:`SETS`."""
    names = method_names(scores["method"])
    datasets = list(dict.fromkeys(method.rpartition("/")[0] for method in names))
    found = []
    for dataset in datasets:
        mine = scores[scores["method"].map(lambda method: method.rpartition("/")[0]) == dataset]
        for kind in SETS:
            rows = mine[(mine["set"] == kind) & (mine["region"] == "whole")]
            if len(rows):
                found.append(Group(dataset, kind, tuple(_lines(rows, kind, names))))
    return found


def _lines(rows: pd.DataFrame, kind: str, names: dict[str, str]) -> Iterator[Line]:
    # Folds 0-4 validate on different cases each and are one line; every model tested is a line of its own.
    pooled = (kind == "cv") & rows["fold"].str.isdecimal()
    keys = rows["fold"].where(~pooled, "pooled")
    for method, of_method in rows.groupby("method", sort=False):
        several = len(keys[of_method.index].unique()) > 1
        for key, of_line in of_method.groupby(keys[of_method.index], sort=False):
            folds = tuple(of_line["fold"].unique())
            yield Line(
                method=str(method),
                folds=folds,
                name=names[str(method)],
                detail=_detail(folds) if several or key == "pooled" else "",
                values=of_line.pivot_table(
                    index="case", columns=["protocol", "plane", "metric"], values="value", aggfunc="mean"
                ),
            )


def _detail(folds: tuple[str, ...]) -> str:
    numbers = [int(fold) for fold in folds if fold.isdecimal()]
    return folds_in_words(numbers) if numbers else {"none": ""}.get(folds[0], folds[0])
