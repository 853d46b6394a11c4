"""Bland-Altman plots: how far is the predicted volume from the true one, and does it depend on the size?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import (
    GRID,
    INK,
    SOFT,
    WIDTH,
    Sketch,
    bare,
    method_colours,
    rows_of,
    wrapped,
)
from nnunet_femur.comparison.report.report_data import whole
from nnunet_femur.comparison.report.tables.scores import slug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from nnunet_femur.comparison.report.figures.album import Album
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.agreement import BlandAltman

_MANY = 100


def draw_agreement(findings: ReportData, _album: Album) -> Iterator[Sketch]:
    """A figure per set: a panel per method, all with the same axes."""
    from matplotlib.figure import Figure

    colours = method_colours(findings.scored.scores["method"].unique())
    for statistics in findings.statistics:
        group = statistics.group
        entries = {entry.label: entry for entry in whole(group)}
        found = [one for one in statistics.agreement if one.entry in entries]
        if not found:
            continue
        rows, columns = rows_of(len(found))
        width = WIDTH if columns > 1 else 0.6 * WIDTH
        figure = Figure(figsize=(width, 0.5 + 1.9 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, one in zip(panels, found, strict=False):
            _draw_panel(axes, one, colours[entries[one.entry].method])
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(low, high + 0.22 * (high - low))  # Room for the numbers.
        for axes in panels[len(found) :]:
            axes.set_axis_off()
        for axes in panels[max(0, len(found) - columns) : len(found)]:
            axes.tick_params(labelbottom=True)
        figure.supxlabel("mean of predicted and true volume (ml)", fontsize=9)
        figure.supylabel("predicted − true (ml)", fontsize=9)
        yield Sketch(
            figure,
            name=slug("bland_altman", group.dataset, group.key),
            section=sections.VOLUMES,
            caption=f"{group.title}. Volume of every case. Line: bias, shaded with its 95 % interval; dashed: limits "
            "of agreement (bias ± 1.96 SD). Above 0 the prediction is too large.",
        )


def _draw_panel(axes: Axes, one: BlandAltman, colour: str) -> None:
    many = len(one.cases) > _MANY
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.axhline(one.bias_ml, color=colour, linewidth=1.5)
    if one.bias_interval_ml is not None:
        axes.axhspan(one.bias_interval_ml.low, one.bias_interval_ml.high, color=colour, alpha=0.15, linewidth=0)
    for limit in (one.low_ml, one.high_ml):
        if limit is not None:
            axes.axhline(limit, color=colour, linewidth=1, linestyle="--")
    axes.scatter(
        one.means_ml, one.differences_ml, s=3 if many else 14, color=colour, alpha=0.3 if many else 0.85, linewidths=0,
        rasterized=many, zorder=3,
    )  # fmt: skip
    half = "" if one.sd_ml is None else f" ± {1.96 * one.sd_ml:.1f}"
    axes.set_title(wrapped(one.entry), loc="left", fontsize=7)
    axes.annotate(
        f"{one.bias_ml:+.1f}{half} ml".replace("-", "−"), (0.97, 0.96), xycoords="axes fraction", ha="right", va="top",
        fontsize=7.5, color=INK, bbox={"facecolor": "white", "edgecolor": GRID, "linewidth": 0.5, "pad": 1.5},
    )  # fmt: skip
    bare(axes, grid="y")
