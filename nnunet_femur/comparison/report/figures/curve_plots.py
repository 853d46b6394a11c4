"""Training curves: loss and pseudo Dice of each epoch, a panel per trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.predictions import method_names
from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import (
    INK,
    SOFT,
    WIDTH,
    Sketch,
    clear_frame,
    method_colours,
    rows_and_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.training_curves import TrainingCurve

MOST_PANELS = 40
"""Largest number of panels of a figure; the table of trainings lists every network."""

_PANEL_HEIGHT = 1.75
"""Height of a panel in inches."""

_WIDE = 8
"""Ratio of the largest to the smallest loss from which the marks of the axis are 1, 2 and 5 of each power of ten."""


def draw_training_curves(data: ReportData, _reader: SliceReader) -> Iterator[Sketch]:
    """Draw one figure with a panel for each training of two epochs or more."""
    from matplotlib.figure import Figure

    names = method_names(data.scored.scores["method"].unique())
    colours = method_colours(data.scored.scores["method"].unique())
    curves = [curve for curve in data.curves if curve.epochs > 1 and curve.method in names][:MOST_PANELS]
    if not curves:
        return
    rows, columns = rows_and_columns(len(curves), most=3)
    figure = Figure(figsize=(WIDTH if columns > 1 else 0.6 * WIDTH, 0.6 + _PANEL_HEIGHT * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    several = _methods_of_several_folds(curves)
    for place, (axes, curve) in enumerate(zip(panels, curves, strict=False)):
        fold = f"\nfold {curve.fold}" if curve.method in several else ""
        # A name with its configuration is wider than each of three panels in a row.
        name = names[curve.method].replace(" · ", "\n") if columns > 2 else names[curve.method]
        axes.set_title(f"{name}{fold}", loc="left", fontsize=7)
        last_of_row = (place + 1) % columns == 0 or place == len(curves) - 1
        _draw_panel(axes, curve, colours[curve.method], dice_label="pseudo Dice" if last_of_row else "")
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("loss above its lowest possible value", fontsize=9)
    yield Sketch(
        figure,
        name="training_curves",
        section=sections.TRAINING,
        caption="Solid line: training loss; dashed line: loss on random patches of the validation cases; both minus "
        "the lowest possible value of the loss (0 for cross-entropy, −1 for Dice loss and cross-entropy), on a "
        "logarithmic axis. Grey line and right axis: pseudo Dice on these patches, from 0 to 1.",
    )


def _methods_of_several_folds(curves: Sequence[TrainingCurve]) -> set[str]:
    methods = [curve.method for curve in curves]
    return {method for method in methods if methods.count(method) > 1}


def _draw_panel(axes: Axes, curve: TrainingCurve, colour: str, *, dice_label: str) -> None:
    epochs = np.arange(1, curve.epochs + 1)
    axes.set_yscale("log")
    drawn = []
    for losses, line in ((curve.train_loss, "-"), (curve.validation_loss, "--")):
        if len(losses) == curve.epochs:
            above = curve.above_lowest(losses)
            axes.plot(epochs, above, line, color=colour, linewidth=1.4)
            drawn += [loss for loss in above if loss > 0]
    _label_losses(axes, drawn)
    clear_frame(axes, grid="y")
    axes.tick_params(labelsize=7, which="both")
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    if len(curve.pseudo_dice) == curve.epochs:
        right = axes.twinx()
        right.plot(epochs, curve.pseudo_dice, color=SOFT, linewidth=1.1)
        right.set_ylim(0, 1.02)
        right.set_yticks([0, 0.5, 1])
        right.tick_params(labelsize=7, colors=INK)
        right.set_ylabel(dice_label, fontsize=7, color=INK)
        right.spines["top"].set_visible(False)


def _label_losses(axes: Axes, losses: Sequence[float]) -> None:
    """Label the logarithmic axis with plain numbers, a few of them whatever the range."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    wide = bool(losses) and max(losses) > _WIDE * min(losses)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(4))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
