"""Ranks of the methods with bootstrap intervals: how far would the order hold among other patients?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import WIDTH, Sketch, bare, method_colours
from nnunet_femur.comparison.report.tables.scores import slug
from nnunet_femur.comparison.report.tables.statistics_tables import measure_title

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from nnunet_femur.comparison.report.figures.album import Album
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.ranking import Ranking

PANELS = ("dice", "hd95")
"""The measures of whole volumes that are ranked, a panel each."""


def draw_ranks(findings: ReportData, _album: Album) -> Iterator[Sketch]:
    """A figure per set: the mean rank of each method, the best on top, with its 95 % interval."""
    from matplotlib.figure import Figure

    methods = method_colours(findings.scored.scores["method"].unique())
    for statistics in findings.statistics:
        group = statistics.group
        found = [
            (measure, one.ranking)
            for measure, one in statistics.measures.items()
            if one.ranking and (measure.protocol, measure.region) == ("volume", "whole") and measure.metric in PANELS
        ]
        if not found:
            continue
        colours = {entry.label: methods[entry.method] for entry in group.entries}
        count = max(len(ranking.ranks) for _, ranking in found)
        figure = Figure(figsize=(WIDTH, 0.8 + 0.3 * count), layout="constrained")
        panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
        # One order for all panels, so that a method is found on one height.
        first = sorted(found[0][1].ranks, key=lambda rank: rank.mean_rank)
        order = [rank.entry for rank in first]
        for axes, (measure, ranking) in zip(panels, found, strict=True):
            _draw_panel(axes, ranking, order, colours)
            tau = "" if ranking.tau is None else f", τ {ranking.tau:.2f}"
            axes.set_title(f"{measure_title(measure)}{tau}", loc="left")
            axes.set_xlabel("mean rank (1 is best)")
        yield Sketch(
            figure,
            name=slug("ranks", group.dataset, group.key),
            section=sections.STATISTICS,
            caption=f"{group.title}. Mean rank over {found[0][1].patients} patients with its 95 % bootstrap interval. "
            "Methods whose intervals overlap widely cannot be told apart. Kendall’s τ near 1: the order is stable.",
        )


def _draw_panel(axes: Axes, ranking: Ranking, order: list[str], colours: dict[str, str]) -> None:
    from matplotlib.ticker import MaxNLocator

    for rank in ranking.ranks:
        row = order.index(rank.entry)
        colour = colours[rank.entry]
        if rank.mean_interval is not None:
            axes.plot([rank.mean_interval.low, rank.mean_interval.high], [row, row], color=colour, linewidth=2.2)
        axes.plot([rank.mean_rank], [row], "o", color=colour, markersize=6)
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlim(0.7, len(order) + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="y", length=0)
    bare(axes, grid="x")
    axes.spines["left"].set_visible(False)
