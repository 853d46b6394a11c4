"""The best, the median and the worst axial slice of every method, with the contours of reference and prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import WIDTH, Sketch
from nnunet_femur.comparison.report.figures.example_case import predictions_of
from nnunet_femur.comparison.report.figures.slice_images import SliceReader, SliceView
from nnunet_femur.comparison.report.figures.slice_panels import contour_legend, draw_slice
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.evaluation.regions import END_SLICES, end_slices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.report.report_data import ReportData


@dataclass(frozen=True)
class _ScoredSlice:
    view: SliceView
    dice: float


def draw_extreme_slices(data: ReportData, reader: SliceReader) -> Iterator[Sketch]:
    """Draw a figure for each method, from the first group that it belongs to."""
    from matplotlib.figure import Figure

    chosen: dict[str, tuple[Group, Entry, list[_ScoredSlice]]] = {}
    for group in data.groups:
        for entry in group.entries:
            if entry.method not in chosen and (found := _choose(data, group, entry)):
                chosen[entry.method] = (group, entry, found)
    images = reader.read(one.view for _, _, found in chosen.values() for one in found)
    for method, (group, entry, found) in chosen.items():
        figure = Figure(figsize=(WIDTH, 3.1), layout="compressed")
        for axes, word, one in zip(figure.subplots(1, 3), ("Best", "Median", "Worst"), found, strict=True):
            draw_slice(axes, images[one.view.key])
            where = f"{one.view.case}{one.view.predictions.fold_suffix}, slice {one.view.index}"
            axes.set_title(f"{word}: Dice {one.dice:.3f}\n{where}", loc="left", fontsize=8)
        contour_legend(figure)
        which = (
            f"the first and the last {END_SLICES} axial slices with reference"
            if entry.ends_only
            else "all axial slices that contain reference or prediction"
        )
        yield Sketch(
            figure,
            name=file_name("slices", method.replace("/", "__")),
            section=sections.EXTREMES,
            caption=f"{entry.name} · {group.title}. Slices with the highest, the median and the lowest Dice among "
            f"{which}. Of slices with equal Dice, the one with most voxels is shown.",
        )


def _choose(data: ReportData, group: Group, entry: Entry) -> list[_ScoredSlice]:
    """Return the best, the median and the worst slice of a method, or an empty list if it has no scored slice.

    For a method that predicts the femur ends alone, only slices of the ends are considered.
    """
    keys, indices, dice, sizes = [], [], [], []
    for key, slices in data.scored.slices.items():
        if key[0] == entry.method and key[1] == group.set and key[2] in entry.folds:
            considered = (
                end_slices(slices.reference) if entry.ends_only else np.full(len(slices.index), fill_value=True)
            )
            keys += [key] * np.count_nonzero(considered)
            indices.append(slices.index[considered])
            dice.append(slices.values["dice"][considered])
            sizes.append(slices.size[considered])
    if not keys or not data.predictions:
        return []
    index, score, size = (np.concatenate(parts) for parts in (indices, dice, sizes))
    rising, falling = np.lexsort((-size, score)), np.lexsort((-size, -score))
    chosen = []
    for position in (falling[0], rising[(len(rising) - 1) // 2], rising[0]):
        of_fold = [one for one in data.predictions if one.fold == keys[position][2]]
        predictions = next(
            (one for one in of_fold if (one.method, one.set) == keys[position][:2] and keys[position][3] in one.files),
            predictions_of(data, group, entry, keys[position][3]),
        )
        if predictions is not None:
            view = SliceView(predictions, keys[position][3], int(index[position]))
            chosen.append(_ScoredSlice(view, float(score[position])))
    return chosen if len(chosen) == 3 else []
