"""The tables that are read first: the summary, surface distances, and scores by region of the bone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.tables.score_tables import same_cases, score_column, score_table
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries
from nnunet_femur.evaluation import EMPTY_KINDS, METRICS, PLANES
from nnunet_femur.evaluation.regions import END_SLICES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.report.tables.model import Column, Table

SUMMARY = (
    *(
        score_column("volume", "all", "whole", metric, above="3D")
        for metric in ("dice", "iou", "vs", "hd95", "assd")
        if metric in METRICS
    ),
    *(score_column("slices", plane, "whole", "dice", above="Dice of slices", heading=plane) for plane in PLANES),
)
"""Columns of the summary. To add a column, add an entry."""

SURFACE = ("hd95", "hd", "assd", "nsd1", "nsd2", "nsd3", "avs", "precision", "recall")
"""Metrics of the table of surface distances; the last three complete the list of metrics."""

REGIONS = ("proximal", "shaft", "distal", "ends")


def summaries(data: ReportData) -> Iterator[Table]:
    """Yield the summary of every group."""
    for group in data.groups:
        entries = whole_femur_entries(group)
        notes = (
            "Mean ± standard deviation over the n cases.",
            _substitutions(entries),
            _different_cases(entries),
            _left_out(group, entries),
            readers_note(group),
        )
        yield score_table(
            data, group, entries, SUMMARY,
            kind="summary", section=sections.SCORES, title=group.title, place="main",
            note=" ".join(filter(None, notes)), apart=group.raters,
        )  # fmt: skip


def readers_note(group: Group) -> str:
    """Return a sentence about the second readers of a group, else an empty text."""
    if not group.raters:
        return ""
    return (
        "Second readers are not compared with the methods here, since they may have masks of fewer cases; see the "
        f"section “{sections.READERS}”."
    )


def _substitutions(entries: Sequence[Entry]) -> str:
    """Return the number of scores that the policy for empty masks determines, as a sentence."""
    volumes = sum(len(entry.rows[["case", "fold"]].drop_duplicates()) for entry in entries)
    return (
        f"Empty masks scored by the policy: {_total(entries, 'volume', *EMPTY_KINDS)} of {volumes} volumes, "
        f"{_total(entries, 'slices', *EMPTY_KINDS)} of {_total(entries, 'slices', 'slices')} slices (three planes)."
    )


def _total(entries: Sequence[Entry], protocol: str, *metrics: str) -> int:
    total = 0.0
    for entry in entries:
        rows = entry.rows
        chosen = (rows["protocol"] == protocol) & (rows["region"] == "whole") & rows["metric"].isin(metrics)
        total += rows.loc[chosen, "value"].sum()
    return round(total)


def _different_cases(entries: Sequence[Entry]) -> str:
    """Return a warning if the methods were scored on different cases, else an empty text."""
    if same_cases(entries):
        return ""
    return "The methods were scored on different cases, so their means are not comparable and no best one is marked."


def _left_out(group: Group, entries: Sequence[Entry]) -> str:
    """Return a sentence about the methods that are not in the table, else an empty text."""
    number = len(group.entries) - len(entries)
    if not number:
        return ""
    methods = "1 method was" if number == 1 else f"{number} methods were"
    return f"{methods} trained on the femur ends alone; see Tables 3 and 4 of the study."


def surface_tables(data: ReportData) -> Iterator[Table]:
    """Yield for every group the surface distances of whole bones, and Dice and HD95 by region."""
    surface = [_column("whole", metric, above="3D, whole femur") for metric in SURFACE if metric in METRICS]
    regions = [
        _column(region, metric, above=METRICS[metric].label)
        for metric in ("dice", "hd95")
        if metric in METRICS
        for region in REGIONS
    ]
    for group in data.groups:
        for kind, title, columns, note in (
            (
                "surface",
                "surface distances",
                surface,
                "NSD (normalised surface Dice): share of both surfaces within the tolerance of the other surface. "
                "Distances from or to an empty mask follow the policy for empty masks.",
            ),
            (
                "regions",
                "regions of the bone",
                regions,
                "Regions along the reference’s long axis: distal quarter, shaft (the middle half), proximal quarter. "
                f"Ends: the first and the last {END_SLICES} axial slices with reference.",
            ),
        ):
            table = score_table(
                data, group, whole_femur_entries(group), columns,
                kind=kind, section=sections.SURFACES, title=f"{group.title}: {title}",
                note=f"Mean ± standard deviation over the n cases. {note}", with_training_time=False,
                apart=group.raters,
            )  # fmt: skip
            if table.has_scores:
                yield table


def _column(region: str, metric: str, *, above: str) -> Column:
    heading = "" if region == "whole" else region
    return score_column("volume", "all", region, metric, above=above, heading=heading)
