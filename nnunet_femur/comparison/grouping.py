"""From the tidy table to the entries that are compared, one per method and set, and to the models behind them.

Methods are compared, not their models: in a cross-validation the folds of a method are one entry; of a test set that
several folds predict, the entry is the ensemble's prediction or, without an ensemble, the mean of the folds' scores of
each case.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.comparison.predictions import folds_in_words
from nnunet_femur.comparison.traits import method_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
class Entry:
    """Scores of a method, or of one of its models, on one set of cases.

    Attributes:
        method: The method as in scores.csv.
        folds: The folds whose predictions these are.
        name: Short name of the method.
        detail: What tells this entry from others of the method, such as its folds; may be empty.
        rows: The rows of scores.csv that belong to it, of all regions.
        ends_only: Whether the method was trained on the ends of the femur alone.
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
        """A row per case and a column per :class:`Measure`; a case in several folds has the mean of its scores."""
        return _wide(self.rows, ["case"])

    @cached_property
    def of_predictions(self) -> pd.DataFrame:
        """The same with a row per case and fold."""
        return _wide(self.rows, ["case", "fold"])

    @cached_property
    def defined(self) -> pd.DataFrame:
        """Like :attr:`wide`, without the measures that no case has a score of."""
        return self.wide.dropna(axis="columns", how="all")

    @property
    def even(self) -> bool:
        """True if every case has scores of equally many folds."""
        return len(self.folds) == 1 or self.of_predictions.groupby(level="case").size().nunique() < 2

    def fold_means(self, measure: Measure) -> pd.Series:
        """Mean over the cases of each fold; folds without a score are missing."""
        import pandas as pd

        if len(self.folds) == 1:
            return pd.Series(self.column(measure).mean(), index=[*self.folds]).dropna()
        if measure not in self.of_predictions.columns:
            return pd.Series(dtype=float)
        return self.of_predictions[measure].groupby(level="fold").mean().dropna()

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


def _wide(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Pivot by sums and counts of integer codes: pandas' own pivot takes minutes for thousands of cases."""
    import pandas as pd

    places = pd.Index(rows[keys[0]]) if len(keys) == 1 else pd.MultiIndex.from_frame(rows[[*keys]])
    index = places.unique().sort_values()
    codes, levels = zip(*(pd.factorize(rows[name], sort=True) for name in _ADDRESS), strict=True)
    sizes = [len(level) for level in levels]
    flat = np.ravel_multi_index(codes, sizes) if len(rows) else np.zeros(0, dtype=np.int64)
    used, column = np.unique(flat, return_inverse=True)
    cell = index.get_indexer(places) * len(used) + column
    shape, number = (len(index), len(used)), len(index) * len(used)
    sums = np.bincount(cell, weights=rows["value"].to_numpy(float), minlength=number).reshape(shape)
    counts = np.bincount(cell, minlength=number).reshape(shape)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    names = [level[code] for level, code in zip(levels, np.unravel_index(used, sizes), strict=True)]
    return pd.DataFrame(means, index=index, columns=pd.MultiIndex.from_arrays(names, names=_ADDRESS))


@dataclass(frozen=True)
class Group:
    """Entries that may be compared, since they rest on one set of one dataset.

    Attributes:
        dataset: The dataset if there are several, else empty.
        set: One of :data:`SETS`.
        entries: One per method.
        models: One per method and fold or ensemble, for tables of details: they are no further methods.
        fold: Number of the fixed split where the dataset has several, else empty.
    """

    dataset: str
    set: str
    entries: tuple[Entry, ...]
    models: tuple[Entry, ...] = ()
    fold: str = ""

    @property
    def title(self) -> str:
        """Dataset and fold, where they matter, and the name of the set."""
        set_and_fold = f"{SETS[self.set]}, fold {self.fold}" if self.fold else SETS[self.set]
        return " · ".join(filter(None, (self.dataset, set_and_fold)))

    @property
    def key(self) -> str:
        """Name of the set in file names."""
        return f"{self.set}_{self.fold}" if self.fold else self.set

    @property
    def same_cases(self) -> bool:
        """Whether every entry rests on the same cases."""
        return len({tuple(entry.wide.index) for entry in self.entries}) == 1


def group_scores(scores: pd.DataFrame, *, ends_only: Collection[str] = ()) -> list[Group]:
    """Return the groups of a score table: by dataset, and within it in the order of :data:`SETS`.

    Fixed splits of one dataset share cases, so each of them is a group.

    Args:
        scores: The tidy table.
        ends_only: Methods that were trained on the ends of the femur alone.
    """
    names = method_names(scores["method"].unique())
    datasets = list(dict.fromkeys(method.rpartition("/")[0] for method in names))
    found = []
    for dataset in datasets:
        members = [method for method in names if method.rpartition("/")[0] == dataset]
        mine = scores[scores["method"].isin(members)] if len(datasets) > 1 else scores
        for kind in SETS:
            rows = mine[mine["set"] == kind]
            splits = sorted(rows["fold"].unique(), key=lambda fold: (len(fold), fold)) if kind == "fixed" else [""]
            for split in splits:
                part = rows[rows["fold"] == split] if split else rows
                if len(part):
                    by_method = _by_method(part, names, ends_only)
                    entries = tuple(_entry(models, kind) for models in by_method)
                    models = tuple(model for models in by_method for model in models)
                    found.append(Group(dataset, kind, entries, models, split if len(splits) > 1 else ""))
    return found


def _by_method(rows: pd.DataFrame, names: dict[str, str], ends_only: Collection[str]) -> list[list[Entry]]:
    """The models of each method, an entry each."""
    found = []
    for method, of_method in rows.groupby("method", sort=False, observed=True):
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
    """The entry of a method from those of its models."""
    import pandas as pd

    single = [model for model in models if model.folds[0].isdecimal()]
    whole = [model for model in models if not model.folds[0].isdecimal()]
    # The folds validate on cases of their own; of a test set each of them predicts every case.
    chosen = (single or whole) if kind == "cv" else (whole or single)
    folds = tuple(model.folds[0] for model in chosen)
    detail = _detail(folds) if (kind == "cv" and single) or len(models) > 1 else ""
    if kind == "test" and len(chosen) > 1:
        detail = f"mean of {detail}"
    rows = pd.concat([model.rows for model in chosen]) if len(chosen) > 1 else chosen[0].rows
    return replace(chosen[0], folds=folds, detail=detail, rows=rows)


def _detail(folds: tuple[str, ...]) -> str:
    numbers = sorted(int(fold) for fold in folds if fold.isdecimal())
    return folds_in_words(numbers) if numbers else {"none": ""}.get(folds[0], folds[0])
