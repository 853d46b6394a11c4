"""The best, the median and the worst axial slice of every method: CT with the contours of reference and prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import WIDTH, Sketch
from nnunet_femur.comparison.report.figures.album import Album, View
from nnunet_femur.comparison.report.figures.panels import HEAD_SLICES, legend, predictions_of, show
from nnunet_femur.comparison.report.tables.scores import slug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.report.report_data import ReportData


@dataclass(frozen=True)
class _Slice:
    view: View
    dice: float


def draw_slices(findings: ReportData, album: Album) -> Iterator[Sketch]:
    """A figure for each method, from the first set that it predicted."""
    from matplotlib.figure import Figure

    chosen: dict[str, tuple[Group, Entry, list[_Slice]]] = {}
    for group in findings.groups:
        for entry in group.entries:
            if entry.method not in chosen and (found := _choose(findings, group, entry)):
                chosen[entry.method] = (group, entry, found)
    pictures = album.cut(one.view for _, _, found in chosen.values() for one in found)
    for method, (group, entry, found) in chosen.items():
        figure = Figure(figsize=(WIDTH, 3.1), layout="compressed")
        for axes, word, one in zip(figure.subplots(1, 3), ("Best", "Median", "Worst"), found, strict=True):
            show(axes, pictures[one.view.key])
            where = f"{one.view.case}{one.view.predictions.fold_suffix}, slice {one.view.index}"
            axes.set_title(f"{word}: Dice {one.dice:.3f}\n{where}", loc="left", fontsize=8)
        legend(figure)
        which = f"of the heads ({HEAD_SLICES} at each end)" if entry.ends_only else "that hold reference or prediction"
        yield Sketch(
            figure,
            name=slug("slices", method.replace("/", "__")),
            section=sections.EXTREMES,
            caption=f"{entry.name} · {group.title if group.dataset else group.title.lower()}. Of all axial slices "
            f"{which}; among equals the one with most voxels.",
        )


def _choose(findings: ReportData, group: Group, entry: Entry) -> list[_Slice]:
    """The best, the median and the worst slice of an entry; nothing if it has none.

    Those of a method for heads come from the ends alone.
    """
    keys, indices, dice, sizes = [], [], [], []
    for key, slices in findings.scored.slices.items():
        if key[0] == entry.method and key[1] == group.set and key[2] in entry.folds:
            part = _ends(slices.reference) if entry.ends_only else np.full(len(slices.index), fill_value=True)
            keys += [key] * np.count_nonzero(part)
            indices.append(slices.index[part])
            dice.append(slices.values["dice"][part])
            sizes.append(slices.size[part])
    if not keys or not findings.predictions:
        return []
    index, score, size = (np.concatenate(parts) for parts in (indices, dice, sizes))
    rising, falling = np.lexsort((-size, score)), np.lexsort((-size, -score))
    chosen = []
    for place in (falling[0], rising[(len(rising) - 1) // 2], rising[0]):
        of_fold = [one for one in findings.predictions if one.fold == keys[place][2]]
        predictions = next(
            (one for one in of_fold if (one.method, one.set) == keys[place][:2] and keys[place][3] in one.files),
            predictions_of(findings, group, entry, keys[place][3]),
        )
        if predictions is not None:
            chosen.append(_Slice(View(predictions, keys[place][3], int(index[place])), float(score[place])))
    return chosen if len(chosen) == 3 else []


def _ends(reference: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which slices, ascending, belong to the two ends of the bone."""
    held = np.flatnonzero(reference)
    kept = np.zeros(reference.shape, bool)
    kept[held[:HEAD_SLICES]] = kept[held[len(held) - min(HEAD_SLICES, len(held)) :]] = True
    return kept
