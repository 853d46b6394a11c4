"""Bland-Altman plots: difference of predicted and reference volume against their mean, a panel per method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import GRID, INK, SOFT, Sketch, method_colours, method_panels
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.statistics.agreement import LIMIT_SDS
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.agreement import BlandAltman

_MANY = 100
"""Number of cases above which points are small and transparent."""


def draw_agreement(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw a figure for each group."""
    colours = method_colours(data.scored.scores["method"].unique())
    for statistics in data.statistics:
        group = statistics.group
        entries = {entry.label: entry for entry in whole_femur_entries(group)}
        found = [one for one in statistics.agreement if one.entry in entries]
        if not found:
            continue
        figure, panels = method_panels(
            [one.entry for one in found],
            panel_height=1.9,
            xlabel="mean of predicted and reference volume (ml)",
            ylabel="prediction − reference (ml)",
        )
        for axes, one in zip(panels, found, strict=True):
            _draw_panel(axes, one, colours[entries[one.entry].method])
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(low, high + 0.22 * (high - low))  # Space for the numbers.
        yield Sketch(
            figure,
            name=file_name("bland_altman", group.dataset, group.key),
            section=sections.VOLUMES,
            caption=f"{group.title}. Bland-Altman plot of the volume of every case. Solid line: bias (mean "
            f"difference), with its 95 % CI shaded. Dashed lines: limits of agreement (bias ± {LIMIT_SDS} SD), as in "
            "the box. Above 0 the prediction is too large.",
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
    half = "" if one.sd_ml is None else f" ± {LIMIT_SDS * one.sd_ml:.1f}"
    axes.annotate(
        f"{one.bias_ml:+.1f}{half} ml".replace("-", "−"), (0.97, 0.96), xycoords="axes fraction", ha="right", va="top",
        fontsize=7.5, color=INK, bbox={"facecolor": "white", "edgecolor": GRID, "linewidth": 0.5, "pad": 1.5},
    )  # fmt: skip
