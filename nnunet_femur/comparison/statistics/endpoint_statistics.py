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
from nnunet_femur.comparison.statistics.analysis import Statistics, analyse, whole_femur_entries
from nnunet_femur.comparison.statistics.cautions import Caution
from nnunet_femur.comparison.statistics.descriptive import summarise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from nnunet_femur.comparison.grouping import Entry, Group
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
    """

    endpoint: Endpoint
    group: Group
    statistics: Statistics
    agreement: tuple[BlandAltman, ...]
    counts: tuple[Measured, ...]

    @property
    def complete(self) -> tuple[str, ...]:
        """Methods that could be measured wherever the reference could be; only these may be the best."""
        return tuple(one.entry for one in self.counts if not one.failed)


@dataclass(frozen=True)
class GroupEndpoints:
    """Statistics of all endpoints of one group.

    Attributes:
        group: The group, with the scores of its cases.
        endpoints: Statistics by the endpoint's name, the main ones first; without those that have no error.
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
    groups: Sequence[Group], table: pd.DataFrame, *, test: TestName = "wilcoxon"
) -> list[GroupEndpoints]:
    """Return the statistics of the endpoints of each group; groups without any error are left out.

    Args:
        groups: The groups, with their rows of scores.csv.
        table: The table of measurements of all groups, see
            :data:`~nnunet_femur.comparison.clinical.measurement_errors.COLUMNS`.
        test: The paired test, see :func:`~nnunet_femur.comparison.statistics.paired_tests.compare_pairs`.
    """
    found = []
    for group in groups:
        rows = {entry.label: _rows_of(entry, group, table) for entry in whole_femur_entries(group)}
        endpoints = {
            name: one
            for name in dict.fromkeys((*MAIN, *ENDPOINTS))
            if name in ENDPOINTS and (one := _analyse(group, rows, name, test)) is not None
        }
        if endpoints:
            found.append(GroupEndpoints(group, endpoints))
    return found


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


def _analyse(group: Group, rows: Mapping[str, pd.DataFrame], name: str, test: TestName) -> EndpointStatistics | None:
    errors = np.concatenate([one["error"].to_numpy(float) for one in rows.values()])
    if not np.isfinite(errors).any():
        return None
    penalty = max(2 * float(np.nanmax(np.abs(errors))), SMALLEST_PENALTY)
    entries = [
        replace(entry, rows=_tidy(rows[entry.label], name, penalty))
        for entry in whole_femur_entries(group)
        if len(rows[entry.label])
    ]
    of_femurs = replace(group, entries=tuple(entries), models=())
    counts = tuple(_counted(entry.label, rows[entry.label]) for entry in entries)
    statistics = _statistics(of_femurs, name, test)
    endpoint = ENDPOINTS[name]
    cautions = [one for one in statistics.cautions if one.code != "undefined-scores"]
    return EndpointStatistics(
        endpoint=endpoint,
        group=of_femurs,
        statistics=replace(statistics, cautions=(*cautions, *_cautions(endpoint, counts, penalty))),
        agreement=tuple(_agreements(of_femurs, endpoint)) if endpoint.signed else (),
        counts=counts,
    )


def _statistics(group: Group, name: str, test: TestName) -> Statistics:
    """Return the statistics of absolute errors; those of an endpoint that is not a main one have summaries only."""
    measure = error_measure(name, "absolute")
    if name in MAIN:
        return analyse(group, measure, test=test, tested=error_measure(name, "tested"))
    return Statistics(measure, tuple(summarise(entry, measure) for entry in group.entries), (), None, ())


def _tidy(rows: pd.DataFrame, name: str, penalty: float) -> pd.DataFrame:
    """Return rows of one endpoint in the form of scores.csv, with a plane for each kind of :func:`error_measure`."""
    import pandas as pd

    absolute = rows["error"].abs()
    failed = (rows["reference_missing"] == "") & (rows["prediction_missing"] != "")
    columns = {
        "error": rows["error"],
        "absolute": absolute,
        "tested": absolute.where(~failed, penalty),
        "reference": rows["reference"],
    }
    parts = [
        rows[["method", "set", "fold", "case", "patient"]].assign(
            protocol=PROTOCOL, plane=kind, region="whole", metric=name, value=values
        )
        for kind, values in columns.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _counted(label: str, rows: pd.DataFrame) -> Measured:
    """Count the femurs of an entry. A femur that several folds predict counts as measured if it is in all of them."""
    reference, prediction = Counter(), Counter()  # type: ignore[var-annotated]
    measured = 0
    for _, of_femur in rows.groupby("case", sort=True):
        without = [code for code in of_femur["reference_missing"] if code]
        failed = [code for code in of_femur["prediction_missing"] if code]
        if without:
            reference[without[0]] += 1
        elif failed:
            prediction[failed[0]] += 1
        else:
            measured += 1
    return Measured(label, rows["case"].nunique(), measured, dict(reference), dict(prediction))


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
