"""Mean ranks of the methods with bootstrap intervals, a panel per measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import Sketch, method_colours, method_rows
from nnunet_femur.comparison.report.report_data import file_name, measure_title

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes

    from nnunet_femur.comparison.grouping import Group, Measure
    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.ranking import Ranking

METRICS_SHOWN = ("dice", "hd95")
"""Metrics of whole volumes with a panel."""


def draw_ranks(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw a figure for each group: the mean rank of each method with its 95 % interval, the best method on top."""
    colours = method_colours(data.scored.scores["method"].unique())
    for statistics in data.statistics:
        group = statistics.group
        found = [
            (measure, one.ranking)
            for measure, one in statistics.measures.items()
            if one.ranking
            and (measure.protocol, measure.region) == ("volume", "whole")
            and measure.metric in METRICS_SHOWN
        ]
        if found:
            yield rank_sketch(group, found, colours, kind="ranks", section=sections.STATISTICS)


def rank_sketch(
    group: Group, found: Sequence[tuple[Measure, Ranking]], colours: Mapping[str, str], *, kind: str, section: str
) -> Sketch:
    """Return the figure of the ranks of one group: a panel for each measure, all with the first one's order of methods.

    Args:
        group: The methods.
        found: The measures with their ranks.
        colours: Colour of each method.
        kind: First word of the file name.
        section: Section of the report.
    """
    of_entries = {entry.label: colours[entry.method] for entry in group.entries}
    order = [rank.entry for rank in sorted(found[0][1].ranks, key=lambda rank: rank.mean_rank)]
    figure, panels = method_rows(order, len(found), height=0.8 + 0.3 * len(order))
    for axes, (measure, ranking) in zip(panels, found, strict=True):
        _draw_panel(axes, ranking, order, of_entries)
        few = len(found) < 3
        separator = ", " if few else "\n"
        tau = "" if ranking.tau is None else f"{separator}τ = {ranking.tau:.2f}"
        title = measure_title(measure).removesuffix(", absolute error")
        axes.set_title(f"{title}{tau}", loc="left", fontsize=9 if few else 7.5)
        axes.set_xlabel("mean rank (1 is best)")
    return Sketch(
        figure,
        name=file_name(kind, group.dataset, group.key),
        section=section,
        caption=f"{group.title}. Mean rank of each method over {found[0][1].patients} patients, with its 95 % "
        "bootstrap interval. Widely overlapping intervals: the data do not show which method is better. Kendall’s "
        "τ near 1: the ranking is stable under resampling of patients.",
    )


def _draw_panel(axes: Axes, ranking: Ranking, order: list[str], colours: dict[str, str]) -> None:
    from matplotlib.ticker import MaxNLocator

    for rank in ranking.ranks:
        row = order.index(rank.entry)
        colour = colours[rank.entry]
        if rank.mean_interval is not None:
            axes.plot([rank.mean_interval.low, rank.mean_interval.high], [row, row], color=colour, linewidth=2.2)
        axes.plot([rank.mean_rank], [row], "o", color=colour, markersize=6)
    axes.set_xlim(0.7, len(order) + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
