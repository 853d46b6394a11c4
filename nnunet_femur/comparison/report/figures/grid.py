"""One slice of the femoral head as every method sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import WIDTH, Sketch, rows_of
from nnunet_femur.comparison.report.figures.album import Album, View
from nnunet_femur.comparison.report.figures.panels import HEAD_SLICES, Example, example, legend, show
from nnunet_femur.comparison.report.tables.scores import slug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.evaluation import SliceScores


def draw_grid(findings: ReportData, album: Album) -> Iterator[Sketch]:
    """A panel per method, the same slice of the same case in each."""
    from matplotlib.figure import Figure

    shown = example(findings)
    if shown is None:
        return
    scores = {label: _slices(findings, shown, label) for label in shown.predictions}
    scores = {label: one for label, one in scores.items() if one is not None}
    index = _most_divided([one for one in scores.values() if one is not None])
    if index is None:
        return
    views = {label: View(shown.predictions[label], shown.case, index) for label in scores}
    pictures = album.cut(views.values())
    rows, columns = rows_of(len(views))
    figure = Figure(figsize=(WIDTH if columns > 1 else 3.5, 0.35 + rows * (0.4 + WIDTH / 4)), layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (label, view) in zip(panels, views.items(), strict=False):
        show(axes, pictures[view.key], line=1.1)
        dice = _dice_at(scores[label], index)
        axes.set_title(f"{label.replace(' · ', chr(10))}\nDice {dice:.3f}", loc="left", fontsize=7.5)
    for axes in panels[len(views) :]:
        axes.set_axis_off()
    legend(figure)
    yield Sketch(
        figure,
        name=slug("grid", shown.group.dataset),
        section=sections.GRID,
        caption=f"Case {shown.case}, axial slice {index}: of the head’s {HEAD_SLICES} slices the one on which the "
        "methods differ most.",
    )


def _slices(findings: ReportData, shown: Example, label: str) -> SliceScores | None:
    one = shown.predictions[label]
    return findings.scored.slices.get((one.method, one.set, one.fold, shown.case))


def _dice_at(slices: SliceScores | None, index: int) -> float:
    """Dice of a slice; 1 for one that holds nothing."""
    if slices is None or index not in slices.index:
        return 1.0
    return float(slices.values["dice"][np.searchsorted(slices.index, index)])


def _most_divided(scores: list[SliceScores]) -> int | None:
    """Of the head's slices the one with the widest spread of Dice; slices that only graze the bone do not count."""
    if not scores:
        return None
    first = scores[0]
    head = [(int(i), int(n)) for i, n in zip(first.index, first.reference, strict=True) if n > 0][-HEAD_SLICES:]
    if not head:
        return None
    largest = max(size for _, size in head)
    spread = {
        index: float(np.std([_dice_at(one, index) for one in scores])) for index, size in head if 4 * size >= largest
    }
    return max(spread, key=lambda index: (round(spread[index], 9), index))
