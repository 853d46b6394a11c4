"""Tables of statistics: intervals and ranks of every method, and paired tests of every pair."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from nnunet_femur.comparison.clinical.endpoints import PROTOCOL, metric_of
from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.report_data import file_name, measure_title
from nnunet_femur.comparison.report.tables.model import (
    GAP,
    Cell,
    Column,
    Row,
    Table,
    count,
    digits,
    p_value,
    signed,
    with_deviation,
)
from nnunet_femur.comparison.report.tables.score_tables import READER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.grouping import Group, Measure
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.analysis import Statistics
    from nnunet_femur.comparison.statistics.bootstrap import Interval
    from nnunet_femur.comparison.statistics.descriptive import Summary

PAIRS = 200
"""Largest number of pairs that a table shows."""


def statistics_tables(data: ReportData) -> Iterator[Table]:
    """Yield two tables for every group and measure: the methods, and the pairs of methods.

    The methods' table of the first measure is open, the others are folded.
    """
    for statistics in data.statistics:
        for position, (measure, one) in enumerate(statistics.measures.items()):
            yield from tables_of(statistics.group, measure, one, place="open" if position == 0 else "folded")


def tables_of(group: Group, measure: Measure, one: Statistics, *, place: Literal["open", "folded"]) -> Iterator[Table]:
    """Yield the tables of the methods and of their pairs for one measure.

    Args:
        group: The methods.
        measure: The measure.
        one: Its statistics.
        place: Place of the first table; that of the pairs is folded.
    """
    yield _methods(group, measure, one, place)
    if one.pairs:
        yield _pairs(group, measure, one)


def _section(measure: Measure) -> str:
    return sections.CLINICAL if measure.protocol == PROTOCOL else sections.STATISTICS


def _name(kind: str, group: Group, measure: Measure) -> str:
    parts = (measure.protocol, measure.plane, measure.region, measure.metric)
    kept = (part for part in parts if part not in {"all", "whole", "absolute"})
    return file_name(kind, group.dataset, group.key, *kept)


def _methods(group: Group, measure: Measure, one: Statistics, place: Literal["open", "folded"]) -> Table:
    unit = metric_of(measure).unit
    ranks = {rank.entry: rank for rank in one.ranking.ranks} if one.ranking else {}
    several_folds = any(summary.fold_mean is not None for summary in one.summaries)
    columns = [
        Column("n", "Cases"),
        Column("patients", "Cases"),
        Column("mean ± SD", "Over cases", unit=unit),
        Column("95 % CI of mean", "Over cases", unit=unit),
        Column("median [IQR]", "Over cases", unit=unit),
        *([Column("mean ± SD", "Over folds", unit=unit)] if several_folds else []),
        *([Column("mean", "Rank"), Column("95 % CI", "Rank"), Column("place", "Rank")] if ranks else []),
    ]
    rows = []
    readers = {summary.entry for summary in one.raters}
    for summary in (*one.summaries, *one.raters):
        cells = [
            count(summary.n),
            count(summary.patients),
            with_deviation(summary.mean, summary.sd, unit=unit),
            _interval(summary.interval, digits(unit)),
            _median(summary, unit),
        ]
        if several_folds:
            mean = summary.fold_mean
            cells.append(GAP if mean is None else with_deviation(mean, summary.fold_sd, unit=unit))
        if ranks:
            rank = ranks.get(summary.entry)
            cells += (
                [
                    Cell(f"{rank.mean_rank:.2f}", rank.mean_rank),
                    _interval(rank.mean_interval, 1),
                    Cell(f"{rank.place:g}", rank.place),
                ]
                if rank
                else [GAP] * 3
            )
        apart = summary.entry in readers
        rows.append(Row(summary.entry, tuple(cells), detail=READER if apart else "", apart=apart))
    return Table(
        name=_name("statistics", group, measure),
        section=_section(measure),
        title=f"{group.title}: {measure_title(measure)}",
        columns=tuple(columns),
        rows=tuple(rows),
        note=_note(one),
        place=place,
    )


def _interval(interval: Interval | None, places: int) -> Cell:
    return GAP if interval is None else Cell(f"{interval.low:.{places}f} to {interval.high:.{places}f}")


def _median(summary: Summary, unit: str) -> Cell:
    places = digits(unit)
    if math.isnan(summary.median):
        return GAP
    return Cell(f"{summary.median:.{places}f} [{summary.q1:.{places}f}, {summary.q3:.{places}f}]")


def _note(one: Statistics) -> str:
    parts = ["95 % CI: bootstrap interval that resamples patients."]
    if any(summary.fold_mean is not None for summary in one.summaries):
        parts.append("Over folds: mean and standard deviation of the folds’ means.")
    if one.ranking:
        parts.append(
            f"Rank: rank of the method among all methods, 1 is best, averaged over {one.ranking.patients} patients."
        )
        if one.ranking.tau is not None and one.ranking.tau_interval is not None:
            interval = one.ranking.tau_interval
            parts.append(
                f"Stability of the ranking under resampling of patients: Kendall’s τ = {one.ranking.tau:.2f} "
                f"(95 % CI {interval.low:.2f} to {interval.high:.2f}); τ = 1 means the same ranking in every sample."
            )
    return " ".join([*parts, *map(str, one.cautions)])


def _pairs(group: Group, measure: Measure, one: Statistics) -> Table:
    unit = metric_of(measure).unit
    shown = sorted(one.pairs, key=lambda pair: (pair.p_holm, pair.p))[:PAIRS]
    hows = sorted({pair.how for pair in one.pairs})
    note = (
        f"Test: {'; '.join(hows)}. p (Holm): p-value corrected for {len(one.pairs)} pairs. A method wins a patient if "
        "its score is nearer to the ideal. Difference: first method minus second, median over patients. Effect: "
        "rank-biserial correlation, 1 if the first method wins every patient, −1 if the second does."
    )
    if len(shown) < len(one.pairs):
        note += f" The table shows the {len(shown)} pairs with the lowest p-values."
    return Table(
        name=_name("pairs", group, measure),
        section=_section(measure),
        title=f"{group.title}: {measure_title(measure)}, pairs of methods",
        stub="First method",
        columns=(
            Column("Second method", unit=""),
            Column("n", "Patients"),
            Column("wins", "Patients"),
            Column("ties", "Patients"),
            Column("losses", "Patients"),
            Column("median", "Difference", unit=unit),
            Column("effect", "Difference"),
            Column("p", "Test"),
            Column("p (Holm)", "Test"),
        ),
        rows=tuple(
            Row(
                pair.first,
                (
                    Cell(pair.second),
                    *map(count, (pair.n, pair.wins, pair.ties, pair.losses)),
                    signed(pair.median_difference, digits(unit) + 1),
                    signed(pair.effect, 2),
                    p_value(pair.p),
                    p_value(pair.p_holm),
                ),
            )
            for pair in shown
        ),
        note=note,
        place="folded",
    )
