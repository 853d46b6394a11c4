"""Surface distances, and volumes by part of the bone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison import sections
from nnunet_femur.comparison.findings import whole
from nnunet_femur.comparison.tables.model import Column, Table
from nnunet_femur.comparison.tables.scores import score, score_rows, slug
from nnunet_femur.evaluation import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.findings import Findings

SURFACE = ("hd95", "hd", "assd", "nsd1", "nsd2", "nsd3")
OTHERS = ("avs", "precision", "recall")
REGIONS = {"proximal": "proximal", "shaft": "shaft", "distal": "distal", "ends": "ends"}


def surface_tables(findings: Findings) -> Iterator[Table]:
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
                "Parts lie along the bone's long axis; ends are the first and the last 20 axial slices of the truth.",
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
