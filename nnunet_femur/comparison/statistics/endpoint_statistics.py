"""Statistics of clinical endpoints: errors of each method, agreement with the reference, and femurs without a value.

A femur that was measured in the reference, but not in a prediction, has no error. Leaving it out would favour methods
that fail on difficult femurs, so in tests and ranks it counts as an error twice as large as the largest that any method
of the group has.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.clinical.endpoints import ENDPOINTS, MAIN, PROTOCOL, Endpoint
from nnunet_femur.comparison.clinical.measurement_errors import WHOLE
from nnunet_femur.comparison.grouping import Measure
from nnunet_femur.comparison.statistics.agreement import BlandAltman, bland_altman
from nnunet_femur.comparison.statistics.analysis import GroupStatistics, Statistics, analyse, whole_femur_entries
from nnunet_femur.comparison.statistics.cautions import Caution
from nnunet_femur.comparison.statistics.descriptive import summarise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.statistics.margins import Margins
    from nnunet_femur.comparison.statistics.paired_tests import TestName

SMALLEST_PENALTY = 1.0
"""Smallest error in tests and ranks of a femur without a measurement, in the endpoint's unit."""


@dataclass(frozen=True)
class Measured:
    """Number of femurs for which an endpoint of one method is known, and the reasons for the others.

    Attributes:
        entry: Label of the method's entry.
        femurs: Number of femurs of the references.
        measured: Number of femurs with an error.
        without_reference: Number of femurs, by code of the reason, that could not be measured in the reference.
        without_prediction: Number of the other femurs, by code, that could not be measured in the prediction.
    """

    entry: str
    femurs: int
    measured: int
    without_reference: Mapping[str, int]
    without_prediction: Mapping[str, int]

    @property
    def failed(self) -> int:
        """Number of femurs that could be measured in the reference, but not in the prediction."""
        return sum(self.without_prediction.values())


@dataclass(frozen=True)
class EndpointStatistics:
    """Statistics of one endpoint in one group.

    Attributes:
        endpoint: The endpoint.
        group: The methods; their cases are femurs, named by case and side.
        statistics: Summaries of absolute errors, and tests and ranks.
        agreement: Bland-Altman agreement of each method with at least one error; empty for distances and angles.
        counts: Number of measured femurs of each method, in the order of the group.
        counts_of_raters: The same of each second reader.
    """

    endpoint: Endpoint
    group: Group
    statistics: Statistics
    agreement: tuple[BlandAltman, ...]
    counts: tuple[Measured, ...]
    counts_of_raters: tuple[Measured, ...] = ()

    @property
    def complete(self) -> tuple[str, ...]:
        """Methods that could be measured wherever the reference could be; only these may be the best."""
        return tuple(one.entry for one in self.counts if not one.failed)


@dataclass(frozen=True)
class GroupEndpoints:
    """Statistics of all endpoints of one group.

    Attributes:
        group: The group, with the scores of its cases.
        endpoints: Statistics by the endpoint's name: the main ones first, then the others that have any error.
    """

    group: Group
    endpoints: Mapping[str, EndpointStatistics]

    @property
    def main(self) -> dict[str, EndpointStatistics]:
        """Statistics of the main endpoints, which are tested, ranked and drawn."""
        return {name: one for name, one in self.endpoints.items() if name in MAIN}

    @property
    def failed(self) -> dict[str, int]:
        """Largest number of femurs, by method, that a main endpoint could not be measured on in the prediction."""
        counts = [count for one in self.main.values() for count in one.counts]
        return {count.entry: max(each.failed for each in counts if each.entry == count.entry) for count in counts}


def analyse_endpoints(
    groups: Sequence[Group],
    table: pd.DataFrame,
    *,
    test: TestName = "wilcoxon",
    margins: Margins | None = None,
) -> list[GroupEndpoints]:
    """Return the statistics of the endpoints of each group; groups without measured methods are left out.

    Args:
        groups: The groups, with their rows of scores.csv.
        table: The table of measurements of all groups, see
            :data:`~nnunet_femur.comparison.clinical.measurement_errors.COLUMNS`.
        test: The paired test, see :func:`~nnunet_femur.comparison.statistics.paired_tests.compare_pairs`.
        margins: The method that all others are compared with up to a margin; None for no such comparison.
    """
    found = []
    for group in groups:
        rows = {entry.label: _rows_of(entry, group, table) for entry in whole_femur_entries(group)}
        entries = [entry for entry in whole_femur_entries(group) if len(rows[entry.label])]
        penalties = _penalties(list(rows.values()))
        if not penalties:
            continue
        of_raters = {rater.label: mine for rater in group.raters if len(mine := _rows_of(rater, group, table))}
        tidy = tuple(replace(entry, rows=_tidy(rows[entry.label], penalties)) for entry in entries)
        raters = tuple(
            replace(rater, rows=_tidy(of_raters[rater.label], penalties))
            for rater in group.raters
            if rater.label in of_raters
        )
        femurs = replace(group, entries=tidy, models=(), raters=raters)
        counts = [_counted(entry.label, rows[entry.label]) for entry in entries]
        counts_of_raters = [_counted(label, mine) for label, mine in of_raters.items()]
        endpoints = {}
        for name in (name for name in dict.fromkeys((*MAIN, *ENDPOINTS)) if name in penalties):
            of_methods = tuple(one[name] for one in counts)
            one = _analyse(femurs, ENDPOINTS[name], of_methods, penalties[name], test, margins)
            endpoints[name] = replace(
                one, counts_of_raters=tuple(each[name] for each in counts_of_raters if name in each)
            )
        found.append(GroupEndpoints(group, endpoints))
    return found


def of_all_measures(
    statistics: Sequence[GroupStatistics], endpoints: Sequence[GroupEndpoints]
) -> Iterator[tuple[Group, list[Statistics]]]:
    """Yield each group with the statistics of its scores, and then of its main endpoints.

    Args:
        statistics: Statistics of the scores of each group.
        endpoints: Statistics of the endpoints of the groups that were measured.
    """
    measured = {(one.group.dataset, one.group.key): one.main.values() for one in endpoints}
    for one in statistics:
        main = measured.get((one.group.dataset, one.group.key), ())
        yield one.group, [*one.measures.values(), *(each.statistics for each in main)]


def error_measure(name: str, kind: str) -> Measure:
    """Return the measure of an endpoint in the entries of :class:`EndpointStatistics`.

    Args:
        name: Name of the endpoint.
        kind: "error" with its sign, "absolute", "tested" for absolute errors with those of femurs that could not be
            measured, or "reference" for the value of the reference.
    """
    return Measure(PROTOCOL, kind, "whole", name)


def _rows_of(entry: Entry, group: Group, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of an entry in the table of measurements, with a name for each femur in the column "case"."""
    chosen = (table["method"] == entry.method) & (table["set"] == group.set) & table["fold"].isin(entry.folds)
    rows = table[chosen]
    femurs = rows["case"].where(rows["side"] == WHOLE, rows["case"] + ", " + rows["side"])
    return rows.assign(case=femurs)


def _penalties(rows: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Return the error in tests and ranks of a femur that was not measured, for each endpoint to report.

    These are the main endpoints, also if no method could be measured, and all others with an error.
    """
    import pandas as pd

    together = pd.concat(rows)
    largest = together["error"].abs().groupby(together["measurement"]).max()
    return {
        str(name): max(2 * float(np.nan_to_num(error)), SMALLEST_PENALTY)
        for name, error in largest.items()
        if name in MAIN or np.isfinite(error)
    }


def _analyse(
    femurs: Group,
    endpoint: Endpoint,
    counts: tuple[Measured, ...],
    penalty: float,
    test: TestName,
    margins: Margins | None,
) -> EndpointStatistics:
    statistics = _statistics(femurs, endpoint.name, test, margins)
    cautions = [one for one in statistics.cautions if one.code != "undefined-scores"]
    return EndpointStatistics(
        endpoint=endpoint,
        group=femurs,
        statistics=replace(statistics, cautions=(*cautions, *_cautions(endpoint, counts, penalty))),
        agreement=tuple(_agreements(femurs, endpoint)) if endpoint.signed else (),
        counts=counts,
    )


def _statistics(group: Group, name: str, test: TestName, margins: Margins | None) -> Statistics:
    """Return the statistics of absolute errors; those of an endpoint that is not a main one have summaries only."""
    measure = error_measure(name, "absolute")
    if name in MAIN:
        return analyse(group, measure, test=test, tested=error_measure(name, "tested"), margins=margins)
    return Statistics(measure, tuple(summarise(entry, measure) for entry in group.entries), (), None, ())


def _tidy(rows: pd.DataFrame, penalties: Mapping[str, float]) -> pd.DataFrame:
    """Return measurements in the form of scores.csv, with a plane for each kind of :func:`error_measure`."""
    import pandas as pd

    absolute = rows["error"].abs()
    failed = (rows["reference_missing"] == "") & (rows["prediction_missing"] != "")
    columns = {
        "error": rows["error"],
        "absolute": absolute,
        "tested": absolute.where(~failed, rows["measurement"].map(penalties)),
        "reference": rows["reference"],
    }
    labels = rows[["method", "set", "fold", "case", "patient"]].assign(
        protocol=PROTOCOL, region="whole", metric=rows["measurement"]
    )
    return pd.concat([labels.assign(plane=kind, value=of) for kind, of in columns.items()], ignore_index=True)


def _counted(label: str, rows: pd.DataFrame) -> dict[str, Measured]:
    """Count the femurs of an entry by endpoint. One that several folds predict must be measured in all of them."""
    reasons: dict[str, dict[str, tuple[str, str]]] = {}
    columns = ("measurement", "case", "reference_missing", "prediction_missing")
    for name, case, of_reference, of_prediction in rows[[*columns]].itertuples(index=False):
        before = reasons.setdefault(name, {}).setdefault(case, ("", ""))
        reasons[name][case] = before[0] or of_reference, before[1] or of_prediction
    return {
        name: Measured(
            entry=label,
            femurs=len(of_cases),
            measured=sum(1 for pair in of_cases.values() if not any(pair)),
            without_reference=Counter(reference for reference, _ in of_cases.values() if reference),
            without_prediction=Counter(code for reference, code in of_cases.values() if code and not reference),
        )
        for name, of_cases in reasons.items()
    }


def _agreements(group: Group, endpoint: Endpoint) -> Iterator[BlandAltman]:
    for entry in group.entries:
        errors = entry.column(error_measure(endpoint.name, "error"))
        known = errors.notna()
        if known.any():
            reference = entry.column(error_measure(endpoint.name, "reference"))[known].to_numpy(float)
            yield bland_altman(
                entry.label,
                tuple(map(str, errors.index[known])),
                reference,
                # Not the predicted value: the error of an angle is below 180 degrees.
                reference + errors[known].to_numpy(float),
                patients=entry.patients[known].to_numpy(),
                unit=endpoint.unit,
            )


def _cautions(endpoint: Endpoint, counts: Sequence[Measured], penalty: float) -> Iterator[Caution]:
    failing = [one for one in counts if one.failed]
    if failing:
        named = ", ".join(f"{one.entry} ({one.failed} of {one.femurs})" for one in failing)
        yield Caution(
            "not-measurable",
            f"Femurs that could be measured in the reference, but not in the prediction: {named}. Means, bias and "
            f"limits leave these femurs out, so they favour these methods, and no such method is marked as best. "
            f"In tests and ranks each counts as an error of {penalty:.3g} {endpoint.unit}, at least twice as large as "
            "any measured one.",
        )
