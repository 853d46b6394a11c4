"""Matrix of the paired tests: the effect size as colour, the corrected p-value as number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import INK, Sketch
from nnunet_femur.comparison.report.report_data import DICE, file_name, measure_title
from nnunet_femur.comparison.report.tables.model import p_value
from nnunet_femur.comparison.statistics.cautions import SIGNIFICANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.statistics.analysis import Statistics


def draw_significance(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw a figure for each group, of the 3D Dice of whole femurs."""
    for statistics in data.statistics:
        one = statistics.measures.get(DICE)
        if one is not None and one.pairs:
            yield Sketch(
                _matrix(one, measure_title(DICE)),
                name=file_name("significance", statistics.group.dataset, statistics.group.key),
                section=sections.STATISTICS,
                caption=f"{statistics.group.title}. Method of the row compared with the method of the column. Colour: "
                "rank-biserial correlation, blue if the method of the row wins more patients. Number: p-value after "
                f"Holm’s correction, in bold below {SIGNIFICANT:g}; cells with larger p-values are pale.",
                tight=True,
            )


def _matrix(one: Statistics, title: str) -> Figure:
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(name for pair in one.pairs for name in (pair.first, pair.second)))
    if one.ranking:
        order = {rank.entry: rank.mean_rank for rank in one.ranking.ranks}
        labels.sort(key=lambda label: order.get(label, math.inf))
    effects = np.full((len(labels),) * 2, np.nan)
    p_values = np.full_like(effects, np.nan)
    for pair in one.pairs:
        row, column = labels.index(pair.first), labels.index(pair.second)
        effects[row, column], effects[column, row] = pair.effect, -pair.effect
        p_values[row, column] = p_values[column, row] = pair.p_holm
    # Wide enough for the numbers, also with few methods.
    edge = 0.55 * len(labels)
    figure = Figure(figsize=(max(edge + 3.6, 5.2), edge + 1.2), layout="compressed")
    axes = figure.subplots()
    # Pale cells lead the eye to the significant differences.
    shades = np.where(p_values < SIGNIFICANT, 1.0, 0.3)
    image = axes.imshow(effects, cmap="RdBu", vmin=-1, vmax=1, alpha=shades)
    for row, column in np.argwhere(~np.isnan(p_values)):
        significant = p_values[row, column] < SIGNIFICANT
        axes.text(
            column,
            row,
            p_value(float(p_values[row, column])).text.replace("0.", "."),
            ha="center",
            va="center",
            fontsize=7.5,
            fontweight="bold" if significant else "normal",
            color="white" if significant and abs(effects[row, column]) > 0.65 else INK,
        )
    axes.set_yticks(range(len(labels)), [f"{label}  {number}" for number, label in enumerate(labels, 1)])
    axes.set_xticks(range(len(labels)), [str(number) for number, _ in enumerate(labels, 1)])
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.outline.set_visible(False)
    return figure
