"""Bland-Altman plots: difference of predicted and reference value against their mean, a panel per method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.clinical.endpoints import unit_text
from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import GRID, INK, SOFT, Sketch, method_colours, method_panels
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.statistics.agreement import LIMIT_SDS
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.agreement import BlandAltman

EXPLANATION = (
    "Solid line: bias (mean difference), with its 95 % CI shaded. Dashed lines: limits of agreement (bias ± "
    f"{LIMIT_SDS} SD), as in the box."
)
"""Explanation of the lines, for captions."""

_MANY = 100
"""Number of cases above which points are small and transparent."""


def draw_agreement(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw a figure of the volumes for each group."""
    colours = method_colours(data.scored.scores["method"].unique())
    for statistics in data.statistics:
        group = statistics.group
        entries = {entry.label: colours[entry.method] for entry in whole_femur_entries(group)}
        found = [one for one in statistics.agreement if one.entry in entries]
        if not found:
            continue
        yield Sketch(
            agreement_figure(found, entries, quantity="volume (ml)"),
            name=file_name("bland_altman", group.dataset, group.key),
            section=sections.VOLUMES,
            caption=f"{group.title}. Bland-Altman plot of the volume of every case. {EXPLANATION} Above 0 the "
            "prediction is too large.",
        )


def agreement_figure(found: Sequence[BlandAltman], colours: Mapping[str, str], *, quantity: str) -> Figure:
    """Return a figure with a panel for each method.

    Args:
        found: The agreement of each method.
        colours: Colour of each method by label.
        quantity: Name of the quantity with its unit, in lower case.
    """
    unit = unit_text(found[0].unit)
    figure, panels = method_panels(
        [one.entry for one in found],
        panel_height=1.9,
        xlabel=f"mean of predicted and reference {quantity}",
        ylabel=f"prediction − reference ({unit})",
    )
    for axes, one in zip(panels, found, strict=True):
        _draw_panel(axes, one, colours[one.entry])
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(low, high + 0.22 * (high - low))  # Space for the numbers.
    return figure


def _draw_panel(axes: Axes, one: BlandAltman, colour: str) -> None:
    many = len(one.cases) > _MANY
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.axhline(one.bias, color=colour, linewidth=1.5)
    if one.bias_interval is not None:
        axes.axhspan(one.bias_interval.low, one.bias_interval.high, color=colour, alpha=0.15, linewidth=0)
    for limit in (one.low, one.high):
        if limit is not None:
            axes.axhline(limit, color=colour, linewidth=1, linestyle="--")
    axes.scatter(
        one.means, one.differences, s=3 if many else 14, color=colour, alpha=0.3 if many else 0.85, linewidths=0,
        rasterized=many, zorder=3,
    )  # fmt: skip
    # Without the sign of a negative zero.
    unit, bias = unit_text(one.unit), round(one.bias, 1) + 0.0
    half = "" if one.sd is None else f" ± {LIMIT_SDS * one.sd:.1f}"
    axes.annotate(
        f"{bias:+.1f}{half} {unit}".replace("-", "−"), (0.97, 0.96), xycoords="axes fraction", ha="right", va="top",
        fontsize=7.5, color=INK, bbox={"facecolor": "white", "edgecolor": GRID, "linewidth": 0.5, "pad": 1.5},
    )  # fmt: skip
