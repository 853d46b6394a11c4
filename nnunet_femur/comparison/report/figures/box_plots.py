"""Box plots of every method, with a point for each case and grey lines between the scores of a case."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.grouping import Measure
from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import INK, SOFT, Sketch, method_colours, method_rows
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries
from nnunet_femur.evaluation import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData

METRICS_SHOWN = ("dice", "hd95")
"""Metrics of whole volumes with a panel."""

MANY = 60
"""Number of cases above which points are small, spread over the row, and not joined by lines."""


def draw_boxes(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw a figure for each group: a row per method, a panel per metric."""
    colours = method_colours(data.scored.scores["method"].unique())
    for group in data.groups:
        entries = whole_femur_entries(group)
        frames = [entry.defined for entry in entries]
        keys = [("volume", "all", "whole", metric) for metric in METRICS_SHOWN if metric in METRICS]
        keys = [key for key in keys if all(key in frame and frame[key].notna().any() for frame in frames)]
        if not keys:
            continue
        labels = [f"{entry.label}\nn = {len(frame)}" for entry, frame in zip(entries, frames, strict=True)]
        figure, panels = method_rows(labels, len(keys), height=0.8 + 0.52 * len(entries))
        figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr,call-arg]
        for axes, key in zip(panels, keys, strict=True):
            draw_box_panel(
                axes, [frame[key].dropna() for frame in frames], [colours[entry.method] for entry in entries]
            )
            _draw_readers(axes, [(reader.name, reader.column(Measure(*key)).dropna()) for reader in group.raters])
            metric = METRICS[key[3]]
            axes.set_xlabel(f"3D {metric.label}" + ("" if metric.unit == "1" else f" ({metric.unit})"))
        many = max(map(len, frames)) > MANY
        yield Sketch(
            figure,
            name=file_name("boxes", group.dataset, group.key),
            section=sections.SCORES,
            caption=f"{group.title}. Box: median and quartiles; whiskers: most extreme cases within 1.5 times the "
            f"interquartile range; points: cases{'' if many else '; grey lines: scores of the same case'}."
            + "".join(
                f" Dashed line: median of {one.name}, a second reader ({len(one.wide)} cases)." for one in group.raters
            ),
        )


def _draw_readers(axes: Axes, readers: Sequence[tuple[str, pd.Series]]) -> None:
    """Draw a line at the median score of each second reader."""
    for name, values in readers:
        if len(values):
            median = float(values.median())
            axes.axvline(median, color=INK, linewidth=1, linestyle="--", zorder=2)
            axes.annotate(
                name, (median, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=6.5, color=INK
            )


def draw_box_panel(axes: Axes, values: Sequence[pd.Series], colours: Sequence[str]) -> None:
    """Draw the boxes of one measure, one below the other.

    Args:
        axes: The panel.
        values: Values of each method by case.
        colours: Colour of each method.
    """
    from matplotlib.collections import LineCollection

    boxes = axes.boxplot(
        [one.to_numpy() for one in values],
        positions=np.arange(len(values)),
        orientation="horizontal",
        widths=0.5,
        showfliers=False,
        showcaps=False,
        patch_artist=True,
        manage_ticks=False,
        medianprops={"linewidth": 1.8},
    )
    many = max(map(len, values)) > MANY
    offsets = [row + _spread(len(one)) for row, one in enumerate(values)]
    for row, (one, colour) in enumerate(zip(values, colours, strict=True)):
        boxes["boxes"][row].set(facecolor=f"{colour}26", edgecolor=colour, linewidth=0.9)
        for part in (boxes["medians"][row], *boxes["whiskers"][2 * row : 2 * row + 2]):
            part.set_color(colour)
        axes.scatter(
            one, offsets[row], s=3 if many else 13, color=colour, alpha=0.35 if many else 0.85, linewidths=0, zorder=3,
            rasterized=many,
        )  # fmt: skip
    if not many:
        joined = [
            [(above[case], row), (below[case], row + 1)]
            for row, (above, below) in enumerate(pairwise(values))
            for case in above.index.intersection(below.index)
        ]
        axes.add_collection(LineCollection(joined, colors=SOFT, linewidths=0.5, alpha=0.35, zorder=0.5))


def _spread(count: int) -> np.ndarray:
    """Return offsets of points across a row, so that equal scores do not cover each other; equal in every run."""
    if count > MANY:
        # Multiples of the golden ratio fill an interval evenly, without a visible order.
        return 0.4 * (np.arange(count) * 0.618034 % 1 - 0.5)
    return np.zeros(count)
