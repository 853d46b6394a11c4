"""Box plot of the 3D Dice of every method, with each case as a point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.drawing import COLOURS, Drawing, drawn, style
from nnunet_femur.comparison.grouping import group_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nnunet_femur.comparison.grouping import Group
    from nnunet_femur.comparison.scoring import Scored

_ROW_INCHES = 0.55
_PANEL_INCHES = 0.6


def draw_boxes(scored: Scored) -> list[Drawing]:
    """One panel per set, one row per method."""
    from matplotlib.figure import Figure

    groups = group_scores(scored.scores)
    methods = list(dict.fromkeys(scored.scores["method"]))
    colours = {method: COLOURS[place % len(COLOURS)] for place, method in enumerate(methods)}
    heights = [_PANEL_INCHES + _ROW_INCHES * len(group.lines) for group in groups]
    with style():
        figure = Figure(figsize=(5.2, sum(heights)), layout="constrained")
        panels = figure.subplots(
            len(groups), squeeze=False, sharex=True, gridspec_kw={"height_ratios": [len(g.lines) for g in groups]}
        )
        for axes, group in zip(panels[:, 0], groups, strict=True):
            _draw_panel(axes, group, colours)
        panels[-1, 0].set_xlabel("Dice, 3D")
        return [
            drawn(
                figure,
                name="dice",
                section="Spread over cases",
                caption="3D Dice of every case. Box: quartiles and median; whiskers: the farthest case within 1.5 "
                "times the box; points: the cases.",
            )
        ]


def _draw_panel(axes: Axes, group: Group, colours: dict[str, str]) -> None:
    values = [line.values["volume", "all", "dice"].to_numpy() for line in group.lines]
    rows = np.arange(len(values))
    boxes = axes.boxplot(
        values,
        positions=rows,
        orientation="horizontal",
        widths=0.32,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        medianprops={"linewidth": 1.6},
    )
    for row, line in enumerate(group.lines):
        colour = colours[line.method]
        boxes["boxes"][row].set(facecolor=f"{colour}2e", edgecolor=colour, linewidth=0.8)
        for part in (boxes["medians"][row], *boxes["whiskers"][2 * row : 2 * row + 2]):
            part.set_color(colour)
        for cap in boxes["caps"][2 * row : 2 * row + 2]:
            cap.set_visible(False)
        axes.scatter(
            values[row], row + _spread(len(values[row])), s=16, color=colour, alpha=0.8, linewidths=0, zorder=3
        )
        # Above the row and not beside it, where long names would leave no room for the scores.
        axes.annotate(
            f"{line.label} (n = {len(line.values)})",
            (0, row - 0.38),
            xycoords=("axes fraction", "data"),
            xytext=(1, 0),
            textcoords="offset points",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.set_yticks([])
    axes.set_ylim(len(rows) - 0.6, -0.7)
    axes.set_title(group.title, loc="left", fontweight="bold")
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _spread(count: int) -> np.ndarray:
    """Offsets of points across a row, so that equal scores do not cover each other; the same at every run."""
    return 0.1 * (np.arange(count) % 3 - 1) if count > 3 else np.zeros(count)
