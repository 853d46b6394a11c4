"""Entries of a comparison: the scores of each method on each set of cases, and of the models behind them.

Methods are compared, not their models. The folds of a cross-validation are one entry. If several folds predict a test
set, the entry is the prediction of their ensemble or, without an ensemble, the mean of the folds' scores of each case.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.predictions import folds_text, method_names
from nnunet_femur.evaluation import Measure

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd

SETS = {
    "test": "Test set",
    "cv": "Cross-validation",
    "fixed": "Fixed split",
}
"""Titles of all sets in scores.csv, in the order of the report."""

_KEPT = ("method", "fold", "case", "patient", *Measure._fields, "value")
"""Columns of the rows of an entry."""

__all__ = ["SETS", "Entry", "Group", "Measure", "group_scores", "pivot_scores", "values_by_measure"]


@dataclass(frozen=True)
class Entry:
    """Scores of a method, or of one of its models, on one set of cases.

    Attributes:
        method: The method as in scores.csv.
        folds: Folds of the predictions.
        name: Short name of the method.
        detail: Folds or ensemble, if they distinguish this entry from others of the method; may be empty.
        rows: Its rows of scores.csv, of all regions, without the columns set and unit.
        ends_only: True if the method was trained on the ends of the femur only.
    """

    method: str
    folds: tuple[str, ...]
    name: str
    detail: str
    rows: pd.DataFrame = field(repr=False)
    ends_only: bool = False

    @property
    def label(self) -> str:
        """Name and detail."""
        return f"{self.name}, {self.detail}" if self.detail else self.name

    @cached_property
    def wide(self) -> pd.DataFrame:
        """Scores with a row per case and a column per :class:`Measure`; the mean for a case in several folds."""
        return pivot_scores(self.rows, ["case"])

    @cached_property
    def of_predictions(self) -> pd.DataFrame:
        """Scores with a row per case and fold, and a column per :class:`Measure`."""
        import pandas as pd

        if len(self.folds) != 1:
            return pivot_scores(self.rows, ["case", "fold"])
        # The same numbers, which take most of an entry's memory.
        cases_and_fold = pd.MultiIndex.from_product([self.wide.index, self.folds], names=["case", "fold"])
        return self.wide.set_axis(cases_and_fold)

    @cached_property
    def defined(self) -> pd.DataFrame:
        """Like :attr:`wide`, without the measures that are NaN for all cases."""
        return self.wide.dropna(axis="columns", how="all")

    @property
    def even(self) -> bool:
        """True if every case has scores of equally many folds."""
        return len(self.folds) == 1 or self.of_predictions.groupby(level="case").size().nunique() < 2

    def fold_means(self, measure: Measure) -> pd.Series:
        """Return the mean over the cases of each fold; folds without a score are missing."""
        import pandas as pd

        if len(self.folds) == 1:
            return pd.Series(self.column(measure).mean(), index=[*self.folds]).dropna()
        if measure not in self.of_predictions.columns:
            return pd.Series(dtype=float)
        return self.of_predictions[measure].groupby(level="fold").mean().dropna()

    def column(self, measure: Measure) -> pd.Series:
        """Return the scores of one measure by case; all NaN if it was not scored."""
        import pandas as pd

        if measure in self.wide.columns:
            return self.wide[measure]
        return pd.Series(np.nan, index=self.wide.index, dtype=float)

    @cached_property
    def patients(self) -> pd.Series:
        """Patient of each case."""
        return self.rows.drop_duplicates("case").set_index("case")["patient"].loc[self.wide.index]


def pivot_scores(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return a tidy table of scores with a row for each key and a column for each :class:`Measure`.

    Scores with the same key and measure are averaged. pandas' own pivot takes minutes for thousands of cases; this one
    sums and counts by integer codes.

    Args:
        rows: Rows with the columns of `keys`, of :class:`Measure`, and ``value``.
        keys: Columns that identify a row of the result.
    """
    import pandas as pd

    places = pd.Index(rows[keys[0]]) if len(keys) == 1 else pd.MultiIndex.from_frame(rows[[*keys]])
    index = places.unique().sort_values()
    codes, levels = zip(*(pd.factorize(rows[name], sort=True) for name in Measure._fields), strict=True)
    sizes = [len(level) for level in levels]
    flat = np.ravel_multi_index(codes, sizes) if len(rows) else np.zeros(0, dtype=np.int64)
    used, column = np.unique(flat, return_inverse=True)
    cell = index.get_indexer(places) * len(used) + column
    shape, number = (len(index), len(used)), len(index) * len(used)
    sums = np.bincount(cell, weights=rows["value"].to_numpy(float), minlength=number).reshape(shape)
    counts = np.bincount(cell, minlength=number).reshape(shape)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    names = [level[code] for level, code in zip(levels, np.unravel_index(used, sizes), strict=True)]
    columns = pd.MultiIndex.from_arrays(names, names=Measure._fields)
    # pandas copies arrays by default, which doubles the memory for a moment.
    return pd.DataFrame(means, index=index, columns=columns, copy=False)


def values_by_measure(rows: pd.DataFrame) -> dict[Measure, float]:
    """Return the scores of one case from its rows of a tidy table."""
    columns = [rows[name] for name in Measure._fields]
    return dict(zip(map(Measure, *columns), rows["value"], strict=True))


@dataclass(frozen=True)
class Group:
    """Entries that may be compared, because they belong to one set of one dataset.

    Attributes:
        dataset: The dataset if several are compared, else empty.
        set: One of :data:`SETS`.
        entries: One per method.
        models: One per method and fold or ensemble, for tables of details; they do not count as methods.
        fold: Number of the fixed split if the dataset has several, else empty.
        raters: Second readers with masks of some of the cases, who are neither methods nor ranked among them.
    """

    dataset: str
    set: str
    entries: tuple[Entry, ...]
    models: tuple[Entry, ...] = ()
    fold: str = ""
    raters: tuple[Entry, ...] = ()

    @property
    def title(self) -> str:
        """Name of the set, with dataset and fold if there are several."""
        set_and_fold = f"{SETS[self.set]}, fold {self.fold}" if self.fold else SETS[self.set]
        return " · ".join(filter(None, (self.dataset, set_and_fold)))

    @property
    def key(self) -> str:
        """Name of the set in file names."""
        return f"{self.set}_{self.fold}" if self.fold else self.set

    @property
    def same_cases(self) -> bool:
        """True if all entries have the same cases."""
        return len({tuple(entry.wide.index) for entry in self.entries}) == 1


def group_scores(scores: pd.DataFrame, *, ends_only: Collection[str] = (), raters: Collection[str] = ()) -> list[Group]:
    """Return the groups of a table of scores, by dataset and then in the order of :data:`SETS`.

    Fixed splits of one dataset share cases, so each is a group.

    Args:
        scores: The tidy table.
        ends_only: Methods that were trained on the ends of the femur only.
        raters: Second readers. Sets without scores of a method are left out.
    """
    names = method_names(scores["method"].unique())
    datasets = list(dict.fromkeys(method.rpartition("/")[0] for method in names))
    found = []
    for dataset in datasets:
        members = [method for method in names if method.rpartition("/")[0] == dataset]
        mine = scores[scores["method"].isin(members)] if len(datasets) > 1 else scores
        for kind in SETS:
            of_set = mine["set"] == kind
            # A copy of millions of rows is avoided where all of them belong to one set.
            rows = mine if of_set.all() else mine[of_set]
            splits = sorted(rows["fold"].unique(), key=lambda fold: (len(fold), fold)) if kind == "fixed" else [""]
            for split in splits:
                part = rows[rows["fold"] == split] if split else rows
                everyone = _by_method(part, names, ends_only)
                by_method = [models for models in everyone if models[0].method not in raters]
                readers = tuple(models[0] for models in everyone if models[0].method in raters)
                if by_method:
                    entries = tuple(_entry(models, kind) for models in by_method)
                    models = tuple(model for models in by_method for model in models)
                    found.append(Group(dataset, kind, entries, models, split if len(splits) > 1 else "", readers))
    return found


def _by_method(rows: pd.DataFrame, names: dict[str, str], ends_only: Collection[str]) -> list[list[Entry]]:
    """Return an entry for each model, by method."""
    found = []
    for method, of_method in rows[[*_KEPT]].groupby("method", sort=False, observed=True):
        folds = of_method["fold"].unique()
        found.append(
            [
                Entry(
                    method=str(method),
                    folds=(str(fold),),
                    name=names[str(method)],
                    detail=_detail((str(fold),)) if len(folds) > 1 else "",
                    rows=of_method[of_method["fold"] == fold] if len(folds) > 1 else of_method,
                    ends_only=method in ends_only,
                )
                for fold in folds
            ]
        )
    return found


def _entry(models: Sequence[Entry], kind: str) -> Entry:
    """Return the entry of a method from those of its models."""
    import pandas as pd

    single = [model for model in models if model.folds[0].isdecimal()]
    whole = [model for model in models if not model.folds[0].isdecimal()]
    # Each fold validates on other cases, but predicts every case of a test set.
    chosen = (single or whole) if kind == "cv" else (whole or single)
    folds = tuple(model.folds[0] for model in chosen)
    detail = _detail(folds) if (kind == "cv" and single) or len(models) > 1 else ""
    if kind == "test" and len(chosen) > 1:
        detail = f"mean of {detail}"
    rows = pd.concat([model.rows for model in chosen]) if len(chosen) > 1 else chosen[0].rows
    return replace(chosen[0], folds=folds, detail=detail, rows=rows)


def _detail(folds: tuple[str, ...]) -> str:
    numbers = sorted(int(fold) for fold in folds if fold.isdecimal())
    return folds_text(numbers) if numbers else {"none": ""}.get(folds[0], folds[0])
