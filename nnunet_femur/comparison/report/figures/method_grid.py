"""One slice of a femoral head with the prediction of every method, a panel each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import WIDTH, Sketch, rows_and_columns
from nnunet_femur.comparison.report.figures.example_case import choose_example
from nnunet_femur.comparison.report.figures.slice_images import SliceReader, SliceView
from nnunet_femur.comparison.report.figures.slice_panels import contour_legend, draw_slice, frame_mm
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.evaluation.regions import END_SLICES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.evaluation import SliceScores


def draw_method_grid(data: ReportData, reader: SliceReader) -> Iterator[Sketch]:
    """Draw one figure with a panel per method: the same slice of the same case."""
    from matplotlib.figure import Figure

    example = choose_example(data)
    if example is None:
        return
    scores: dict[str, SliceScores] = {}
    for label, one in example.predictions.items():
        found = data.scored.slices.get((one.method, one.set, one.fold, example.case))
        if found is not None:
            scores[label] = found
    index = _slice_with_largest_spread(list(scores.values()))
    if index is None:
        return
    views = {label: SliceView(example.predictions[label], example.case, index) for label in scores}
    images = reader.read(views.values())
    frame = frame_mm(list(images.values()))
    rows, columns = rows_and_columns(len(views))
    size = WIDTH if columns > 2 else 0.66 * WIDTH, 0.35 + rows * (0.4 + WIDTH / 4)
    figure = Figure(figsize=size, layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (label, view) in zip(panels, views.items(), strict=False):
        draw_slice(axes, images[view.key], frame=frame, line_width=1.1)
        title = label.replace(" · ", "\n")
        axes.set_title(f"{title}\nDice {_dice_at(scores[label], index):.3f}", loc="left", fontsize=7.5)
    for axes in panels[len(views) :]:
        axes.set_axis_off()
    contour_legend(figure)
    yield Sketch(
        figure,
        name=file_name("grid", example.group.dataset),
        section=sections.GRID,
        caption=f"Case {example.case}, axial slice {index}: of the {END_SLICES} slices of the femoral head, the one "
        "with the largest standard deviation of Dice between the methods.",
    )


def _dice_at(slices: SliceScores, index: int) -> float:
    """Return the Dice of a slice; 1 for a slice with neither reference nor prediction."""
    if index not in slices.index:
        return 1.0
    return float(slices.values["dice"][np.searchsorted(slices.index, index)])


def _slice_with_largest_spread(scores: Sequence[SliceScores]) -> int | None:
    """Return the slice of the head whose Dice differs most between methods.

    Slices with less than a quarter of the largest reference area are left out.
    """
    if not scores:
        return None
    first = scores[0]
    head = [(int(i), int(n)) for i, n in zip(first.index, first.reference, strict=True) if n > 0][-END_SLICES:]
    if not head:
        return None
    largest = max(area for _, area in head)
    spread = {
        index: float(np.std([_dice_at(one, index) for one in scores])) for index, area in head if 4 * area >= largest
    }
    return max(spread, key=lambda index: (round(spread[index], 9), index))
