"""The paired tests of all pairs as a matrix: the effect as colour, the corrected p-value as number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import INK, Sketch
from nnunet_femur.comparison.report.tables.model import p_value
from nnunet_femur.comparison.report.tables.scores import slug
from nnunet_femur.comparison.report.tables.statistics_tables import measure_title

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from nnunet_femur.comparison.report.figures.album import Album
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.analysis import Statistics

SIGNIFICANT = 0.05


def draw_significance(findings: ReportData, _album: Album) -> Iterator[Sketch]:
    """A figure per set, of the 3D Dice of whole femurs."""
    for statistics in findings.statistics:
        for measure, one in statistics.measures.items():
            if (measure.protocol, measure.region, measure.metric) == ("volume", "whole", "dice") and one.pairs:
                yield Sketch(
                    _matrix(one, measure_title(measure)),
                    name=slug("significance", statistics.group.dataset, statistics.group.key),
                    section=sections.STATISTICS,
                    caption=f"{statistics.group.title}. Row against column: colour is the rank-biserial effect (blue: "
                    "the row is better in more patients), the number p after Holm’s correction; pale where it is "
                    f"not below {SIGNIFICANT:g}.",
                    tight=True,
                )


def _matrix(one: Statistics, title: str) -> Figure:
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(name for pair in one.pairs for name in (pair.first, pair.second)))
    if one.ranking:
        order = {rank.entry: rank.mean_rank for rank in one.ranking.ranks}
        labels.sort(key=lambda label: order.get(label, math.inf))
    effects = np.full((len(labels),) * 2, np.nan)
    chances = np.full_like(effects, np.nan)
    for pair in one.pairs:
        row, column = labels.index(pair.first), labels.index(pair.second)
        effects[row, column], effects[column, row] = pair.effect, -pair.effect
        chances[row, column] = chances[column, row] = pair.p_holm
    # Wide enough for the numbers, however few the methods.
    edge = 0.55 * len(labels)
    figure = Figure(figsize=(max(edge + 3.6, 5.2), edge + 1.2), layout="compressed")
    axes = figure.subplots()
    # Pale where the test does not tell the two apart, so that the eye falls on what it does.
    shades = np.where(chances < SIGNIFICANT, 1.0, 0.3)
    image = axes.imshow(effects, cmap="RdBu", vmin=-1, vmax=1, alpha=shades)
    for row, column in np.argwhere(~np.isnan(chances)):
        chance, strong = chances[row, column], chances[row, column] < SIGNIFICANT
        axes.text(
            column,
            row,
            p_value(float(chance)).text.replace("0.", "."),
            ha="center",
            va="center",
            fontsize=7.5,
            fontweight="bold" if strong else "normal",
            color="white" if strong and abs(effects[row, column]) > 0.65 else INK,
        )
    axes.set_yticks(range(len(labels)), [f"{label}  {place}" for place, label in enumerate(labels, 1)])
    axes.set_xticks(range(len(labels)), [str(place) for place, _ in enumerate(labels, 1)])
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.outline.set_visible(False)
    return figure
