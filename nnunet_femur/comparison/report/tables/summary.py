"""Tables read first: the summary, surface distances, and volumes by part of the bone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.report_data import whole
from nnunet_femur.comparison.report.tables.model import Column, Table
from nnunet_femur.comparison.report.tables.scores import same_cases, score, score_rows, slug
from nnunet_femur.evaluation import EMPTY_KINDS, METRICS, PLANES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.report.report_data import ReportData


SUMMARY = (
    *(
        score("volume", "all", "whole", metric, above="3D")
        for metric in ("dice", "iou", "vs", "hd95", "assd")
        if metric in METRICS
    ),
    *(score("slices", plane, "whole", "dice", above="Dice of slices", heading=plane) for plane in PLANES),
)
"""What is shown; another column is another entry."""


def summaries(findings: ReportData) -> Iterator[Table]:
    """A table for every set."""
    for group in findings.groups:
        entries = whole(group)
        columns, rows = score_rows(findings, entries, SUMMARY)
        yield Table(
            name=slug("summary", group.dataset, group.key),
            section=sections.SCORES,
            title=group.title,
            columns=columns,
            rows=rows,
            note=" ".join(
                filter(
                    None,
                    (
                        "Mean ± standard deviation over the n cases.",
                        substitutions(entries),
                        uneven(entries),
                        left_out(group, entries),
                    ),
                )
            ),
            place="main",
        )


def substitutions(entries: Sequence[Entry]) -> str:
    """How many scores the policy for empty masks set, in words."""
    volumes = sum(len(entry.rows[["case", "fold"]].drop_duplicates()) for entry in entries)
    return (
        f"Scores set by the policy for empty masks: {_total(entries, 'volume', *EMPTY_KINDS)} of {volumes} volumes, "
        f"{_total(entries, 'slices', *EMPTY_KINDS)} of {_total(entries, 'slices', 'slices')} slices of three planes."
    )


def uneven(entries: Sequence[Entry]) -> str:
    """A warning where entries rest on different cases, else nothing."""
    if same_cases(entries):
        return ""
    return "The rows rest on different cases, so their means are not comparable and none is marked as best."


def left_out(group: Group, entries: Sequence[Entry]) -> str:
    """Where methods stand that this table does not show, else nothing."""
    others = len(group.entries) - len(entries)
    if not others:
        return ""
    words = "method is" if others == 1 else "methods are"
    return f"{others} {words} trained on the ends of the femur alone and shown in the tables of heads only."


def _total(entries: Sequence[Entry], protocol: str, *metrics: str) -> int:
    total = 0.0
    for entry in entries:
        rows = entry.rows
        mine = (rows["protocol"] == protocol) & (rows["region"] == "whole") & rows["metric"].isin(metrics)
        total += rows.loc[mine, "value"].sum()
    return round(total)


SURFACE = ("hd95", "hd", "assd", "nsd1", "nsd2", "nsd3")
OTHERS = ("avs", "precision", "recall")
REGIONS = {"proximal": "proximal", "shaft": "shaft", "distal": "distal", "ends": "ends"}


def surface_tables(findings: ReportData) -> Iterator[Table]:
    """For every set the surface scores of whole bones, and Dice and HD95 of their parts."""
    for group in findings.groups:
        for name, title, wanted, note in (
            (
                "surface",
                "surface distances",
                _columns(("volume", "whole", metric, "3D, whole femur") for metric in (*SURFACE, *OTHERS)),
                "NSD is the share of both surfaces that lies within the tolerance of the other. "
                "Cases where a distance is undefined or infinite are counted by the policy for empty masks.",
            ),
            (
                "regions",
                "parts of the bone",
                _columns(
                    ("volume", region, metric, METRICS[metric].label)
                    for metric in ("dice", "hd95")
                    if metric in METRICS
                    for region in REGIONS
                ),
                "Parts lie along the bone's long axis; ends are the first and the last 20 axial slices of the reference.",
            ),
        ):
            columns, rows = score_rows(findings, whole(group), wanted, timed=False)
            if any(column.key for column in columns):
                yield Table(
                    name=slug(name, group.dataset, group.key),
                    section=sections.SURFACES,
                    title=f"{group.title}, {title}",
                    columns=columns,
                    rows=rows,
                    note=f"Mean ± standard deviation over the n cases. {note}",
                )


def _columns(wanted: Iterator[tuple[str, str, str, str]]) -> list[Column]:
    return [
        score(protocol, "all", region, metric, above=above, heading=region if region != "whole" else "")
        for protocol, region, metric, above in wanted
        if metric in METRICS
    ]
