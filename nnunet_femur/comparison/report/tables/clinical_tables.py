"""Tables of clinical measurements: errors and agreement of every method, and femurs that could not be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.clinical.endpoints import ENDPOINTS, MAIN
from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.report.tables.model import (
    GAP,
    Cell,
    Column,
    Row,
    Table,
    count,
    digits,
    interval_text,
    number,
    signed,
    with_deviation,
)
from nnunet_femur.comparison.report.tables.score_tables import READER
from nnunet_femur.comparison.report.tables.statistics_tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.agreement import BlandAltman
    from nnunet_femur.comparison.statistics.bootstrap import Interval
    from nnunet_femur.comparison.statistics.descriptive import Summary
    from nnunet_femur.comparison.statistics.endpoint_statistics import EndpointStatistics, GroupEndpoints

LIMIT = 400
"""Largest number of missing measurements that the report lists; measurements.csv contains all."""

_NAMED = 5
"""Largest number of missing measurements, besides the main endpoints, that are listed by name."""

_LEFT_OUT = (
    "Femurs that could not be measured are counted, and left out of means and limits. A method that could not be "
    "measured on a femur whose reference could is never marked as best; in tests and ranks such a femur counts as an "
    "error twice as large as the largest measured one."
)


def clinical_tables(data: ReportData) -> Iterator[Table]:
    """Yield the tables of every group: errors, agreement, statistics of the main endpoints, and what is missing."""
    for one in data.endpoints:
        yield _errors(one)
        yield _agreement(one)
        yield from _others(one)
        for endpoint in one.main.values():
            yield from tables_of(endpoint.group, endpoint.statistics.measure, endpoint.statistics, place="folded")
    yield from _missing(data)


def _errors(one: GroupEndpoints) -> Table:
    """Return the mean absolute error of every method and main endpoint."""
    group, main = one.group, list(one.main.values())
    femurs = {count.entry: count.femurs for count in main[0].counts}
    labels = list(femurs)
    cells: dict[str, list[Cell]] = {label: [] for label in labels}
    for endpoint in main:
        best = _best(endpoint)
        for summary in endpoint.statistics.summaries:
            label = summary.entry
            cells[label].append(_mean(summary, endpoint.endpoint.unit, best=label in best))
    for label in labels:
        failed = one.failed.get(label, 0)
        cells[label].append(Cell(f"{failed} of {femurs[label]}", float(failed)))
    apart = list(_errors_of_raters(main))
    columns = [
        *(Column(f"{each.endpoint.title}", "Mean absolute error", unit=each.endpoint.unit) for each in main),
        Column("not measured", "Femurs"),
    ]
    note = (
        "Prediction against reference: mean ± standard deviation of the absolute error over femurs; of the head "
        f"centre, of the distance. Not measured: femurs whose reference could be measured. {_LEFT_OUT}"
    )
    return Table(
        name=file_name("clinical_errors", group.dataset, group.key),
        section=sections.CLINICAL,
        title=f"{group.title}: clinical measurements, mean absolute error",
        columns=tuple(columns),
        rows=(*(Row(label, tuple(of)) for label, of in cells.items()), *apart),
        note=note,
        place="main",
    )


def _errors_of_raters(main: Sequence[EndpointStatistics]) -> Iterator[Row]:
    """Yield a row for each second reader."""
    for rater in main[0].group.raters:
        label = rater.label
        cells = []
        for each in main:
            summary = next(one for one in each.statistics.raters if one.entry == label)
            cells.append(_mean(summary, each.endpoint.unit, best=False))
        counts = [one for each in main for one in each.counts_of_raters if one.entry == label]
        failed = max(one.failed for one in counts)
        yield Row(label, (*cells, Cell(f"{failed} of {counts[0].femurs}", float(failed))), detail=READER, apart=True)


def _agreement(one: GroupEndpoints) -> Table:
    """Return the table with a row for every main endpoint and method."""
    group = one.group
    columns = (
        Column("Method", unit=""),
        Column("measured", "Femurs"),
        Column("reference", "Not measurable", unit=""),
        Column("prediction", "Not measurable", unit=""),
        Column("bias", "Prediction − reference"),
        Column("95 % CI of bias", "Prediction − reference", unit=""),
        Column("limits of agreement", "Prediction − reference", unit=""),
        Column("mean ± SD", "Absolute error"),
        Column("95 % CI of mean", "Absolute error", unit=""),
        Column("largest", "Absolute error"),
    )
    return Table(
        name=file_name("clinical", group.dataset, group.key),
        section=sections.CLINICAL,
        title=f"{group.title}: Clinical measurements",
        columns=columns,
        rows=tuple(row for endpoint in one.main.values() for row in _agreement_rows(endpoint)),
        stub="Measurement",
        note="Bias: mean of prediction − reference; its interval uses Student’s t, or resamples patients if they have "
        "several femurs. Limits of agreement: bias ± 1.96 standard deviations; distances have none. Interval of the "
        f"mean absolute error: bootstrap that resamples patients. {_LEFT_OUT}",
    )


def _agreement_rows(one: EndpointStatistics) -> Iterator[Row]:
    places = digits(one.endpoint.unit)
    agreements = {each.entry: each for each in one.agreement}
    best = _best(one)
    for summary, counted in zip(one.statistics.summaries, one.counts, strict=True):
        label = counted.entry
        yield Row(
            one.endpoint.title,
            (
                Cell(label),
                Cell(f"{counted.measured} of {counted.femurs}", float(counted.measured)),
                _reasons(counted.without_reference),
                _reasons(counted.without_prediction),
                *_bias(agreements.get(label), places),
                _mean(summary, one.endpoint.unit, best=label in best),
                _interval(summary.interval, places),
                number(_largest(one, label), one.endpoint.unit),
            ),
        )


def _bias(agreement: BlandAltman | None, places: int) -> tuple[Cell, Cell, Cell]:
    if agreement is None:
        return GAP, GAP, GAP
    limits = GAP
    if agreement.low is not None and agreement.high is not None:
        limits = Cell(interval_text(agreement.low, agreement.high, places))
    return signed(agreement.bias, places), _interval(agreement.bias_interval, places), limits


def _interval(interval: Interval | None, places: int) -> Cell:
    return GAP if interval is None else Cell(interval_text(interval.low, interval.high, places))


def _mean(summary: Summary, unit: str, *, best: bool) -> Cell:
    return with_deviation(summary.mean, summary.sd, unit=unit, best=best)


def _largest(one: EndpointStatistics, label: str) -> float | None:
    entry = next(entry for entry in one.group.entries if entry.label == label)
    errors = entry.column(one.statistics.measure)
    return float(errors.max()) if errors.notna().any() else None


def _reasons(codes: Mapping[str, int]) -> Cell:
    """Return a cell with the number of femurs, and the number for each reason."""
    total = sum(codes.values())
    if not total:
        return count(0)
    ordered = sorted(codes.items(), key=lambda one: (-one[1], one[0]))
    listed = ", ".join(code if len(codes) == 1 else f"{code} {number}" for code, number in ordered)
    return Cell(f"{total} ({listed})", float(total))


def _best(one: EndpointStatistics) -> set[str]:
    """Return the methods with the smallest mean absolute error as printed, among those that were always measured.

    It is empty for a single method, and for methods with different femurs.
    """
    if len(one.counts) < 2 or not one.group.same_cases:
        return set()
    places = digits(one.endpoint.unit)
    means = {
        summary.entry: round(summary.mean, places)
        for summary in one.statistics.summaries
        if summary.entry in one.complete and summary.n
    }
    return {label for label, mean in means.items() if mean == min(means.values())}


def _others(one: GroupEndpoints) -> Iterator[Table]:
    """Yield the mean absolute error of the other endpoints, if there are any."""
    others = [endpoint for name, endpoint in one.endpoints.items() if name not in MAIN]
    if not others:
        return
    group = one.group
    rows = []
    for endpoint in others:
        best = _best(endpoint)
        cells = [
            _mean(summary, endpoint.endpoint.unit, best=summary.entry in best)
            for summary in endpoint.statistics.summaries
        ]
        rows.append(Row(endpoint.endpoint.title, tuple(cells)))
    yield Table(
        name=file_name("clinical_others", group.dataset, group.key),
        section=sections.CLINICAL,
        title=f"{group.title}: further measurements, mean absolute error",
        columns=tuple(Column(count.entry) for count in others[0].counts),
        rows=tuple(rows),
        stub="Measurement",
        note="Mean ± standard deviation of the absolute error over femurs; of positions, of the distance (mm); of "
        f"directions, of the angle between them (°). {_LEFT_OUT}",
        place="folded",
    )


def _missing(data: ReportData) -> Iterator[Table]:
    """Yield the table of everything that could not be measured, if there is anything."""
    if data.measurements is None:
        return
    rows = data.measurements
    rows = rows[(rows["reference_missing"] != "") | (rows["prediction_missing"] != "")]
    if rows.empty:
        return
    found: dict[tuple[str, ...], list[str]] = {}
    for method, kind, fold, case, side, name, of_reference, of_prediction in rows[
        ["method", "set", "fold", "case", "side", "measurement", "reference_missing", "prediction_missing"]
    ].itertuples(index=False):
        if of_reference:
            found.setdefault(("reference", kind, "", case, side, of_reference), []).append(name)
        else:
            found.setdefault((method, kind, fold, case, side, of_prediction), []).append(name)
    shown = list(found.items())[:LIMIT]
    yield Table(
        name="clinical_missing",
        section=sections.CLINICAL,
        title="Femurs that could not be measured completely",
        columns=tuple(Column(heading, unit="") for heading in ("Set", "Fold", "Case", "Femur", "Reason", "Missing")),
        rows=tuple(Row(key[0], (*map(Cell, key[1:]), Cell(_names(names)))) for key, names in shown),
        stub="Mask",
        note="“reference” is the reference mask, other names are methods. Measurements that are missing in the "
        "reference are not listed again for the methods. measurements.csv contains all."
        + (f" The table shows {LIMIT} of {len(found)} rows." if len(found) > LIMIT else ""),
        place="folded",
    )


def _names(names: Sequence[str]) -> str:
    """Return the labels of the main endpoints among the names, and the number of the others."""
    kept = list(dict.fromkeys(names))
    if len(kept) >= len(ENDPOINTS) - 1:
        return "everything"
    main = [ENDPOINTS[name].label for name in kept if name in MAIN]
    others = [ENDPOINTS[name].label for name in kept if name not in MAIN]
    return ", ".join([*main, *(others if len(others) <= _NAMED else [f"{len(others)} others"])])
