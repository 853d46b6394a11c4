"""What the differences can carry: intervals, ranks and paired tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.tables.model import (
    GAP,
    Cell,
    Column,
    Row,
    Table,
    count,
    digits,
    number,
    p_value,
    with_deviation,
)
from nnunet_femur.comparison.report.tables.scores import slug
from nnunet_femur.evaluation import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.grouping import Group, Measure
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.analysis import Interval, Statistics, Summary

PAIRS = 200
"""Most pairs that a table shows."""

_PLACES = {"volume": "3D", "slices": "slices", "paper": "the study’s protocol"}


def statistics_tables(findings: ReportData) -> Iterator[Table]:
    """For every set and measure a table of the entries and one of their pairs; those of the first measure are open."""
    for statistics in findings.statistics:
        for place, (measure, one) in enumerate(statistics.measures.items()):
            yield _lines(statistics.group, measure, one, first=place == 0)
            if one.pairs:
                yield _pairs(statistics.group, measure, one)


def measure_title(measure: Measure) -> str:
    """A measure in words, such as "3D Dice" or "axial slices Dice, ends"."""
    label = METRICS[measure.metric].label
    place = _PLACES.get(measure.protocol, measure.protocol)
    plane = "" if measure.plane == "all" else f"{measure.plane} "
    region = "" if measure.region == "whole" else f", {measure.region}"
    return f"{plane}{place} {label}{region}"


def _name(kind: str, group: Group, measure: Measure) -> str:
    parts = (measure.protocol, measure.plane, measure.region, measure.metric)
    return slug(kind, group.dataset, group.key, *(part for part in parts if part not in {"all", "whole"}))


def _lines(group: Group, measure: Measure, one: Statistics, *, first: bool) -> Table:
    unit = METRICS[measure.metric].unit
    ranks = {rank.entry: rank for rank in one.ranking.ranks} if one.ranking else {}
    folded = any(summary.fold_mean is not None for summary in one.summaries)
    columns = [
        Column("n", "Cases"),
        Column("patients", "Cases"),
        Column("mean ± SD", "Over cases", unit=unit),
        Column("95 % interval", "Over cases", unit=unit),
        Column("median [IQR]", "Over cases", unit=unit),
        *([Column("mean ± SD", "Over folds", unit=unit)] if folded else []),
        *([Column("mean", "Rank"), Column("95 % interval", "Rank"), Column("place", "Rank")] if ranks else []),
    ]
    rows = []
    for summary in one.summaries:
        cells = [
            count(summary.n),
            count(summary.patients),
            with_deviation(summary.mean, summary.sd, unit=unit),
            _interval(summary.interval, digits(unit)),
            _median(summary, unit),
        ]
        if folded:
            folds = summary.fold_mean
            cells.append(GAP if folds is None else with_deviation(folds, summary.fold_sd, unit=unit))
        if ranks:
            rank = ranks.get(summary.entry)
            cells += (
                [Cell(f"{rank.mean_rank:.2f}", rank.mean_rank), _interval(rank.mean_interval, 1), number_of(rank.place)]
                if rank
                else [GAP] * 3
            )
        rows.append(Row(summary.entry, tuple(cells)))
    return Table(
        name=_name("statistics", group, measure),
        section=sections.STATISTICS,
        title=f"{group.title}, {measure_title(measure)}",
        columns=tuple(columns),
        rows=tuple(rows),
        note=_note(one),
        place="open" if first else "folded",
    )


def number_of(place: float) -> Cell:
    """A place in a ranking; halves where places are shared."""
    return Cell(f"{place:g}", place)


def _interval(interval: Interval | None, places: int) -> Cell:
    return GAP if interval is None else Cell(f"{interval.low:.{places}f} to {interval.high:.{places}f}")


def _median(summary: Summary, unit: str) -> Cell:
    places = digits(unit)
    if math.isnan(summary.median):
        return GAP
    return Cell(f"{summary.median:.{places}f} [{summary.q1:.{places}f}, {summary.q3:.{places}f}]")


def _note(one: Statistics) -> str:
    parts = [
        "Intervals are 95 % bootstrap intervals that draw whole patients. SD over cases is the spread between cases, "
        "SD over folds that between the means of folds."
    ]
    if one.ranking:
        parts.append(f"Ranks are means over {one.ranking.patients} patients, 1 is best.")
        if one.ranking.tau is not None and one.ranking.tau_interval is not None:
            interval = one.ranking.tau_interval
            parts.append(
                f"Stability of the ranking: Kendall’s τ {one.ranking.tau:.2f} ({interval.low:.2f} to "
                f"{interval.high:.2f}; 1 if every sample of patients would rank alike)."
            )
    return " ".join([*parts, *one.cautions])


def _pairs(group: Group, measure: Measure, one: Statistics) -> Table:
    unit = METRICS[measure.metric].unit
    shown = sorted(one.pairs, key=lambda pair: (pair.p_holm, pair.p))[:PAIRS]
    hows = sorted({pair.how for pair in one.pairs})
    note = (
        f"{'; '.join(hows)}. p after Holm’s correction for {len(one.pairs)} pairs. Effect: rank-biserial correlation, "
        "1 if the first is nearer to the ideal in every patient, −1 if the second is."
    )
    if len(shown) < len(one.pairs):
        note += f" Shown are the {len(shown)} pairs with the lowest p."
    return Table(
        name=_name("pairs", group, measure),
        section=sections.STATISTICS,
        title=f"{group.title}, {measure_title(measure)}, pairs of methods",
        stub="First",
        columns=(
            Column("Second", unit=""),
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
                    _signed(pair.median_difference, digits(unit) + 1),
                    _signed(pair.effect, 2),
                    p_value(pair.p),
                    p_value(pair.p_holm),
                ),
            )
            for pair in shown
        ),
        note=note,
        place="folded",
    )


def _signed(value: float, places: int) -> Cell:
    cell = number(value)
    return cell if cell is GAP else Cell(f"{value:+.{places}f}".replace("-", "−"), value)
