"""Box plots of every method, each case a point, and a line from method to method for every case."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import SOFT, WIDTH, Sketch, bare, method_colours
from nnunet_femur.comparison.report.report_data import whole
from nnunet_femur.comparison.report.tables.scores import slug
from nnunet_femur.evaluation import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from nnunet_femur.comparison.report.figures.album import Album
    from nnunet_femur.comparison.report.report_data import ReportData

SHOWN = ("dice", "hd95")
"""A panel each, side by side."""

PAIRED = 60
"""With more cases their lines would be a grey carpet."""

_ROW_INCHES, _PANEL_INCHES = 0.52, 0.8


def draw_boxes(findings: ReportData, _album: Album) -> Iterator[Sketch]:
    """A figure per set: a row per method, a panel per metric."""
    from matplotlib.figure import Figure

    colours = method_colours(findings.scored.scores["method"].unique())
    for group in findings.groups:
        entries = whole(group)
        frames = [entry.defined for entry in entries]
        keys = [("volume", "all", "whole", metric) for metric in SHOWN if metric in METRICS]
        keys = [key for key in keys if all(key in frame and frame[key].notna().any() for frame in frames)]
        if not keys:
            continue
        figure = Figure(figsize=(WIDTH, _PANEL_INCHES + _ROW_INCHES * len(entries)), layout="constrained")
        figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr,call-arg]
        panels = figure.subplots(1, len(keys), squeeze=False, sharey=True)[0]
        for axes, key in zip(panels, keys, strict=True):
            _draw_panel(axes, [frame[key].dropna() for frame in frames], [colours[entry.method] for entry in entries])
            metric = METRICS[key[3]]
            axes.set_xlabel(f"3D {metric.label}" + ("" if metric.unit == "1" else f" ({metric.unit})"))
        many = max(map(len, frames)) > PAIRED
        labels = [f"{entry.label}\nn = {len(frame)}" for entry, frame in zip(entries, frames, strict=True)]
        panels[0].set_yticks(range(len(entries)), labels)
        panels[0].set_ylim(len(entries) - 0.5, -0.5)
        yield Sketch(
            figure,
            name=slug("boxes", group.dataset, group.key),
            section=sections.SCORES,
            caption=f"{group.title}. Box: quartiles and median; whiskers: the farthest case within 1.5 times the box; "
            f"points: the cases{'' if many else '; grey lines join the scores of one case'}.",
        )


def _draw_panel(axes: Axes, values: Sequence[pd.Series], colours: Sequence[str]) -> None:
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
    many = max(map(len, values)) > PAIRED
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
    axes.tick_params(axis="y", length=0)
    bare(axes, grid="x")
    axes.spines["left"].set_visible(False)


def _spread(count: int) -> np.ndarray:
    """Offsets of points across a row, so that equal scores do not cover each other; the same at every run."""
    if count > PAIRED:
        # Multiples of the golden ratio fill an interval evenly, in no visible order.
        return 0.4 * (np.arange(count) * 0.618034 % 1 - 0.5)
    return np.zeros(count)
