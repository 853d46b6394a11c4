"""Scores by subgroup of the cases: side, sex, scanner, implant, or another column of a table.

A small subgroup shows little, and many subgroups show something by chance. So counts come first, a difference is tested
only where the test could find one, and the p-values are corrected for all tests of a table.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.covariates import MOST_VALUES, are_numbers, as_numbers
from nnunet_femur.comparison.statistics.bootstrap import mean_interval
from nnunet_femur.comparison.statistics.cautions import SIGNIFICANT
from nnunet_femur.comparison.statistics.paired_tests import holm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from nnunet_femur.comparison.grouping import Entry, Group, Measure
    from nnunet_femur.comparison.statistics.bootstrap import Interval

NOT_STATED = "not stated"
"""Subgroup of the cases without a value."""

_LARGEST_EXACT = 50
"""Largest number of patients whose test permutes the patients instead of using the chi-squared distribution."""

_PERMUTATIONS = 9999


@dataclass(frozen=True)
class Subgroup:
    """Scores of a method in one subgroup.

    Attributes:
        value: Value of the covariate, :data:`NOT_STATED`, or a half of its numbers such as "up to 64".
        cases: Number of cases with a score.
        patients: Number of patients of these cases.
        mean: Mean over cases; NaN without a case.
        sd: Sample standard deviation over cases; None with fewer than two.
        interval: 95 % interval of the mean, from a bootstrap that resamples patients; None with fewer than two
            patients.
    """

    value: str
    cases: int
    patients: int
    mean: float
    sd: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Subgroups:
    """Scores of a method by one covariate.

    Attributes:
        entry: Label of the method's entry.
        measure: The measure.
        covariate: Heading of the covariate's column.
        groups: The subgroups in order.
        p: P-value of the Kruskal-Wallis test (1952) that the patients' scores do not depend on the covariate, by
            permuting patients; by the chi-squared distribution with more than 50 patients. None if nothing was tested.
        p_holm: The p-value after Holm's correction for all tests of the group.
        untested: Reason for which nothing was tested; empty if it was.
    """

    entry: str
    measure: Measure
    covariate: str
    groups: tuple[Subgroup, ...]
    p: float | None
    p_holm: float | None
    untested: str


@dataclass(frozen=True)
class GroupSubgroups:
    """Scores by subgroup of one group of methods.

    Attributes:
        group: The group.
        subgroups: By measure, covariate and method, in this order.
    """

    group: Group
    subgroups: tuple[Subgroups, ...]


def analyse_subgroups(
    groups: Sequence[Group], covariates: pd.DataFrame | None, measures: Sequence[Measure]
) -> list[GroupSubgroups]:
    """Return the scores by subgroup of each group of methods, in its order.

    Args:
        groups: The groups.
        covariates: The table of :class:`~nnunet_femur.comparison.covariates.Covariates`, by case; None for none.
        measures: The measures to divide; those without a score are left out.
    """
    if covariates is None:
        return []
    return [
        GroupSubgroups(
            group,
            _corrected(
                [
                    _subgroups(entry, measure, str(name), _values(covariates[name], entry))
                    for measure in measures
                    for name in covariates.columns
                    for entry in group.entries
                    if entry.column(measure).notna().any()
                ]
            ),
        )
        for group in groups
    ]


def _values(column: pd.Series, entry: Entry) -> pd.Series:
    """Return the subgroup of each case of an entry, as a categorical series in the order of the subgroups."""
    import pandas as pd

    cases = entry.wide.index
    stated = column.reindex(cases).fillna("")
    known = stated[stated != ""]
    if are_numbers(column):
        numbers = as_numbers(stated)
        if column[column != ""].nunique() > MOST_VALUES:
            middle = float(numbers.median())
            order = [f"up to {middle:g}", f"above {middle:g}"]
            labels = pd.Series(np.where(numbers > middle, order[1], order[0]), cases).where(numbers.notna(), NOT_STATED)
        else:
            order = list(dict.fromkeys(known.loc[numbers[known.index].sort_values().index]))
            labels = stated.where(stated != "", NOT_STATED)
    else:
        order = sorted(known.unique())
        labels = stated.where(stated != "", NOT_STATED)
    order = [value for value in order if value != NOT_STATED]
    return pd.Series(pd.Categorical(labels, [*order, NOT_STATED], ordered=True), cases)


def _subgroups(entry: Entry, measure: Measure, covariate: str, values: pd.Series) -> Subgroups:
    import pandas as pd

    scores = entry.column(measure).dropna()
    values, patients = values.loc[scores.index], entry.patients.loc[scores.index]
    groups = []
    for value in values.cat.categories:
        chosen = values == value
        if not chosen.any():
            continue
        of_group = scores[chosen].to_numpy(float)
        codes, names = pd.factorize(patients[chosen], sort=True)
        groups.append(
            Subgroup(
                value=str(value),
                cases=of_group.size,
                patients=len(names),
                mean=float(of_group.mean()),
                sd=float(of_group.std(ddof=1)) if of_group.size > 1 else None,
                interval=mean_interval(of_group, codes),
            )
        )
    stated = values != NOT_STATED
    by_patient = scores[stated].groupby([values[stated].astype(str), patients[stated]]).mean()
    samples = [of_value.to_numpy(float) for _, of_value in by_patient.groupby(level=0)]
    shared = by_patient.index.get_level_values(1).has_duplicates
    untested = _reason(samples, shared=shared)
    p = None if untested else _kruskal(samples)
    return Subgroups(entry.label, measure, covariate, tuple(groups), p, p, untested)


def _reason(samples: Sequence[np.ndarray], *, shared: bool) -> str:
    """Return the reason for which subgroups cannot be tested; empty if they can."""
    if len(samples) < 2:
        return "only one subgroup"
    if min(map(len, samples)) < 2:
        return "one patient in a subgroup"
    if shared:
        return "patients are in several subgroups"
    arrangements = math.factorial(sum(map(len, samples)))
    for sample in samples:
        arrangements //= math.factorial(len(sample))
    # Exchanging subgroups of one size gives the same statistic.
    alike = math.prod(math.factorial(number) for number in Counter(map(len, samples)).values())
    return "too few patients" if alike / arrangements > SIGNIFICANT else ""


def _kruskal(samples: Sequence[np.ndarray]) -> float:
    from scipy import stats

    together = np.concatenate(samples)
    if np.ptp(together) == 0:
        return 1.0
    if together.size > _LARGEST_EXACT:
        return float(stats.kruskal(*samples).pvalue)
    ranks = stats.rankdata(together)
    parts = np.split(ranks, np.cumsum([len(sample) for sample in samples])[:-1])

    def between(*of_groups: np.ndarray, axis: int = -1) -> np.ndarray:
        """Return the part of Kruskal's statistic that depends on the arrangement of the patients."""
        return np.asarray(sum(each.sum(axis=axis) ** 2 / each.shape[axis] for each in of_groups))

    result = stats.permutation_test(
        parts, between, permutation_type="independent", alternative="greater", vectorized=True,
        n_resamples=_PERMUTATIONS, random_state=0,
    )  # fmt: skip
    return float(result.pvalue)


def _corrected(found: Sequence[Subgroups]) -> tuple[Subgroups, ...]:
    corrected: Iterator[float] = iter(holm(np.array([one.p for one in found if one.p is not None])).tolist())
    return tuple(one if one.p is None else replace(one, p_holm=next(corrected)) for one in found)
